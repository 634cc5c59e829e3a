//! The usual reasons for returning a mail. A reason is stored in the language in which it was chosen, and shown in
//! the language of its reader.

use super::locale::{LANGUAGES, say};
use crate::policy::verdict::Language;

/// Their names in forms.
pub const CANNED: [&str; 3] = ["list", "bcc", "recipients"];

/// A reason in words; `None` for an unknown name.
pub fn sentence(name: &str, language: Language) -> Option<String> {
    CANNED.contains(&name).then(|| say(language, &format!("desk-canned-{name}"), &[]))
}

/// A reason text in which each line that is one of these reasons is translated into this language.
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
