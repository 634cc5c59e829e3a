//! The phrases of mails to people, in their languages (`locales/*/notice.ftl`).

use crate::message::encoded_word::decode_words;
use crate::message::{Header, header::decode_text};
use crate::policy::risks::words::grouped;
use crate::policy::verdict::Language;
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use std::borrow::Cow;
use std::collections::HashMap;

fluent_templates::static_loader! {
    static WORDS = {
        locales: "../../locales",
        fallback_language: "en",
        // no isolation marks for right-to-left text: they are not usual in plain text mail
        customise: |bundle| {
            bundle.set_use_isolating(false);
            bundle.set_formatter(Some(apart));
        },
    };
}

/// Numbers of four and more digits have thousands separators.
fn apart<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    match value {
        FluentValue::Number(number) => number.as_string().parse().ok().map(grouped),
        _ => None,
    }
}

/// Both languages.
pub(super) const LANGUAGES: [Language; 2] = [Language::En, Language::Ja];

/// The variables of a phrase, with their values.
pub(crate) type Values<'a> = [(&'static str, FluentValue<'a>)];

/// A phrase in a language.
pub(crate) fn say(language: Language, key: &str, values: &Values<'_>) -> String {
    let values: HashMap<Cow<'static, str>, FluentValue<'_>> =
        values.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect();
    WORDS.lookup_with_args(&identifier(language), key, &values)
}

/// A number as a value.
pub(crate) fn number<'a>(count: usize) -> FluentValue<'a> {
    FluentValue::from(count)
}

/// A text as a value.
pub(crate) fn text(text: &str) -> FluentValue<'_> {
    FluentValue::from(text)
}

fn identifier(language: Language) -> LanguageIdentifier {
    match language {
        Language::En => langid!("en"),
        Language::Ja => langid!("ja"),
    }
}

/// The language of a mail, judged by its header: Japanese if Subject or the names in From contain kana or
/// kanji, if its charset is a Japanese one, or if Content-Language says so (RFC 3282); otherwise `otherwise`.
pub fn language_of(header: &[u8], subject: &str, otherwise: Language) -> Language {
    if subject.chars().any(is_japanese) {
        return Language::Ja;
    }
    let Ok(index) = Header::parse(bytes::Bytes::copy_from_slice(header)) else {
        // the characters of an unreadable header still show the language
        let japanese = decode_words(header).chars().any(is_japanese);
        return if japanese { Language::Ja } else { otherwise };
    };
    let telling = ["From", "Subject", "Content-Type"].iter().flat_map(|name| index.named(name));
    for field in telling {
        let body = index.body(field);
        let lower = body.to_ascii_lowercase();
        let charset = |name: &str| memchr::memmem::find(&lower, name.as_bytes()).is_some();
        if decode_text(body).chars().any(is_japanese)
            || ["iso-2022-jp", "shift_jis", "euc-jp"].into_iter().any(charset)
        {
            return Language::Ja;
        }
    }
    let said = index.text("Content-Language").unwrap_or_default().to_ascii_lowercase();
    match said.trim_start().split([',', '-', ' ', ';']).next() {
        Some("ja") => Language::Ja,
        Some("en") => Language::En,
        _ => otherwise,
    }
}

/// Kana (half-width too) and kanji.
fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keys(language: &str) -> BTreeSet<String> {
        let path = format!("{}/../../locales/{language}/notice.ftl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
        text.lines().filter(is_key).filter_map(|line| line.split(" =").next()).map(str::to_owned).collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        assert_eq!(keys("en"), keys("ja"));
        assert!(keys("en").len() > 40);
    }

    #[test]
    fn phrases_have_no_marks_and_count() {
        assert_eq!(say(Language::En, "people", &[("count", number(1))]), "1 person");
        assert_eq!(say(Language::En, "people", &[("count", number(4_500))]), "4,500 people");
        let values = [("count", number(12)), ("outside", number(11))];
        assert_eq!(say(Language::En, "recipients-outside", &values), "12 recipients, 11 of them outside");
        assert_eq!(say(Language::Ja, "recipients-outside", &values), "12名（うち社外11名）");
    }

    #[test]
    fn the_senders_language() {
        let cases: [(&str, &str, Language); 8] = [
            ("From: a@x.jp\r\n", "Hello", Language::En),
            ("From: a@x.jp\r\n", "お知らせ", Language::Ja),
            ("From: =?utf-8?B?5bGx55Sw?= <a@x.jp>\r\n", "Hello", Language::Ja),
            ("From: a@x.jp\r\nContent-Type: text/plain; charset=\"ISO-2022-JP\"\r\n", "Hello", Language::Ja),
            ("From: a@x.jp\r\nContent-Language: ja-JP, en\r\n", "Hello", Language::Ja),
            ("From: a@x.jp\r\nContent-Language: en-GB\r\n", "Hello", Language::En),
            ("no header at all", "", Language::En),
            ("壊れた", "", Language::Ja),
        ];
        for (header, subject, language) in cases {
            assert_eq!(language_of(header.as_bytes(), subject, Language::En), language, "{header} {subject}");
        }
    }
}
