//! The reasons that people choose from when they return a mail. A reason is kept as it was said; who reads it
//! reads it in their own language.

use super::locale::{LANGUAGES, say};
use crate::policy::verdict::Language;

/// What a form calls them.
pub const CANNED: [&str; 3] = ["list", "bcc", "recipients"];

/// A reason in words; nothing for a name that no form has.
pub fn sentence(name: &str, language: Language) -> Option<String> {
    CANNED.contains(&name).then(|| say(language, &format!("desk-canned-{name}"), &[]))
}

/// A text that somebody wrote, with each line that is one of these reasons in this language.
pub fn in_language(text: &str, language: Language) -> String {
    let line = |line: &str| {
        let bare = line.trim();
        let chosen = CANNED
            .iter()
            .find(|name| LANGUAGES.iter().any(|said| sentence(name, *said).as_deref() == Some(bare)));
        chosen.and_then(|name| sentence(name, language)).unwrap_or_else(|| line.to_owned())
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_in_the_readers_language() {
        for name in CANNED {
            let (en, ja) = (sentence(name, Language::En).unwrap(), sentence(name, Language::Ja).unwrap());
            assert_ne!(en, ja);
            for said in [&en, &ja] {
                assert_eq!(in_language(said, Language::Ja), ja);
                assert_eq!(in_language(said, Language::En), en);
            }
            let longer = format!("{ja}\r\n  急ぎません。\n{en} Thanks");
            assert_eq!(in_language(&longer, Language::En), format!("{en}\n  急ぎません。\n{en} Thanks"));
        }
        assert_eq!(sentence("none-such", Language::En), None);
        assert_eq!(in_language("", Language::Ja), "");
    }
}
