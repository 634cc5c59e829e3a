//! Makes text from outside safe to quote: replies of an upstream and subjects of a sender may contain line
//! ends and control characters, and must not become header or MIME lines of ours.

/// Text as one line for people: control characters become spaces, direction marks are removed, runs of spaces
/// become one, and text longer than `max` characters is cut with `…`.
pub(crate) fn line(text: &str, max: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.chars() {
        let c = if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        if matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            continue;
        }
        if c == ' ' && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if length == max {
            return out.trim_end().to_owned() + "…";
        }
        out.push(c);
        length += 1;
    }
    out.trim_end().to_owned()
}

/// The same in ASCII, for the fields of a delivery status (RFC 3464 §2.1.1): other characters become `?`.
pub(super) fn ascii(text: &str, max: usize) -> String {
    line(text, max).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// A header field with its CRLF, folded between words at 76 columns (RFC 5322 §2.2.3). `body` must not
/// contain line ends.
pub(super) fn field(name: &str, body: &str) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in body.split(' ').filter(|word| !word.is_empty()) {
        if column > name.len() + 1 && column + 1 + word.len() > 76 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_stay_lines() {
        assert_eq!(line("550 no\r\nsuch\tuser\u{0}", 80), "550 no such user");
        assert_eq!(line("\u{202e}evil\u{2028}x", 80), "evil x");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("ab cd", 3), "ab…");
        assert_eq!(ascii("550 宛先不明", 80), "550 ????");
    }

    #[test]
    fn fields_fold_between_words() {
        let body = "word ".repeat(40);
        let folded = field("Diagnostic-Code", &body);
        assert!(folded.lines().all(|line| line.len() <= 76), "{folded}");
        assert_eq!(folded.replace("\r\n", "").matches("word").count(), 40);
    }

    proptest! {
        #[test]
        fn nothing_becomes_a_line_of_its_own(text in "\\PC{0,80}|[\\x00-\\x7f]{0,200}") {
            let folded = field("Diagnostic-Code", &format!("smtp; {}", ascii(&text, 500)));
            prop_assert!(folded.is_ascii());
            for (index, line) in folded.split_inclusive("\r\n").enumerate() {
                prop_assert!(line.ends_with("\r\n"));
                let line = &line[..line.len() - 2];
                prop_assert!(!line.contains(['\r', '\n', '\0']));
                prop_assert!(index == 0 || (line.starts_with(' ') && !line.trim().is_empty()));
            }
        }
    }
}
