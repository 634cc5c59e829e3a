//! Normalises user names and passwords for comparison, after `SASLprep` (RFC 4013).
//!
//! ASCII text stays as it is. In other text, non-ASCII spaces become ASCII spaces, invisible characters
//! are removed, and NFKC unifies spellings (full-width and half-width, composed and decomposed).

use unicode_normalization::UnicodeNormalization;

/// The normalised form. `None` if it is empty or contains a control character.
pub fn prepared(text: &str) -> Option<String> {
    let text: String = if text.is_ascii() {
        text.to_owned()
    } else {
        text.chars().filter(|c| !mapped_to_nothing(*c)).map(blank).nfkc().collect()
    };
    let sound = !text.is_empty() && !text.chars().any(char::is_control);
    sound.then_some(text)
}

/// Whether the character is removed (RFC 3454 table B.1).
fn mapped_to_nothing(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}'
        | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Maps non-ASCII spaces to the ASCII space (RFC 3454 table C.1.2).
fn blank(c: char) -> char {
    let odd =
        matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}');
    if odd { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_all_spellings() {
        let cases = [
            ("hanako", Some("hanako")),
            ("I\u{ad}X", Some("IX")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("USER", Some("USER")),
            ("ｐａｓｓ\u{3000}ﾜｰﾄﾞ", Some("pass ワード")),
            ("か\u{3099}", Some("が")),
            ("a\u{7}", None),
            ("\u{ad}", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(prepared(text).as_deref(), expected, "{text:?}");
        }
    }
}
