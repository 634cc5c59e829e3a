//! Characters that show nothing: one table for who reads an address and for who searches for one, so
//! that nothing can be hidden by what one of them does not know.

use icu_properties::props::{BinaryProperty, DefaultIgnorableCodePoint};

/// Whether a character takes no room on the screen, turns the reading direction, or stands for what
/// cannot be shown: what Unicode lets programs ignore (`Default_Ignorable_Code_Point`), U+E0000 to
/// U+E0FFF as a whole, and the specials U+FFF0 to U+FFFD.
pub fn is_invisible(letter: char) -> bool {
    letter >= '\u{ad}'
        && (DefaultIgnorableCodePoint::for_char(letter)
            || matches!(letter, '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}'))
}

/// Control characters that part words or switch how bytes are read, and so cannot be left out of a
/// text: line ends, tabs, ESC and the shifts, NUL as half of a UTF-16 letter.
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
