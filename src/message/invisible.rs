//! Invisible characters: one table for parsing addresses and for searching them, so that nothing can be
//! hidden by a difference between the two.

use icu_properties::props::{BinaryProperty, DefaultIgnorableCodePoint};

/// Whether a character takes no room on the screen, changes the text direction, or is a placeholder:
/// Unicode's `Default_Ignorable_Code_Point`, U+E0000 to U+E0FFF, and the specials U+FFF0 to U+FFFD.
pub fn is_invisible(letter: char) -> bool {
    letter >= '\u{ad}'
        && (DefaultIgnorableCodePoint::for_char(letter)
            || matches!(letter, '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'))
}

/// Control characters that separate words or switch the encoding, and so must not be removed from a text:
/// line ends, tabs, ESC and the shifts, NUL as half of a UTF-16 unit.
pub fn parts_words(letter: char) -> bool {
    matches!(letter, '\0' | '\t'..='\r' | '\x0e' | '\x0f' | '\x1b' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing() {
        for letter in "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180e}\u{200b}\u{200f}\u{202e}\u{2060}\
                       \u{2065}\u{206f}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffd}\u{1bca0}\u{1d173}\u{e0001}\u{e01ef}"
            .chars()
        {
            assert!(is_invisible(letter), "{letter:?}");
        }
        for letter in "a \u{a0}\u{301}あ々　😀".chars() {
            assert!(!is_invisible(letter), "{letter:?}");
        }
    }
}
