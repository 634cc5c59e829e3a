//! The mail with a code to sign in.

use crate::clock::Timestamp;
use crate::intake::OwnMail;
use crate::message::Address;
use crate::policy::verdict::{Bilingual, Language};
use crate::token::Token;
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{LanguageIdentifier, Loader, langid};
use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

fluent_templates::static_loader! {
    static WORDS = {
        locales: "../../locales",
        fallback_language: "en",
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// The sender of the mail.
#[derive(Clone, Debug)]
pub struct Letter {
    /// From.
    pub from: Address,
    /// The domain part of its Message-ID.
    pub hostname: String,
    /// The URL of the desk, if it is known.
    pub url: Option<String>,
    /// Whom people ask for help.
    pub contact: Option<Bilingual>,
}

/// Composes the mail. Its link only fills the code in, and only in the browser that asked for it; after
/// signing in it leads to `back`.
///
/// # Errors
/// There is no randomness, or the message cannot be written.
pub fn compose(
    letter: &Letter,
    to: &Address,
    code: &str,
    language: Language,
    back: &str,
    now: Timestamp,
) -> io::Result<OwnMail> {
    let tongue = match language {
        Language::En => langid!("en"),
        Language::Ja => langid!("ja"),
    };
    let (first, second) = code.split_at(code.len() / 2);
    let shown = format!("{first} {second}");
    let on = if back == "/" { String::new() } else { format!("&back={}", encoded(back)) };
    let link = letter.url.as_ref().map(|url| format!("{url}/login/code?code={code}{on}")).unwrap_or_default();
    let said = |key: &str| say(&tongue, key, &[("code", &shown), ("link", &link)]);
    let mut text = format!("{}\r\n\r\n    {shown}\r\n\r\n", said("code-mail-lead"));
    if !link.is_empty() {
        for part in [said("code-mail-link").as_str(), "\r\n", &link, "\r\n\r\n"] {
            text.push_str(part);
        }
    }
    text.push_str(&said("code-mail-end"));
    text.push_str("\r\n");
    if let Some(contact) = &letter.contact {
        let contact = contact.text(language).to_owned();
        let help = say(&tongue, "foot-contact", &[("contact", &contact)]);
        for part in ["\r\n-- \r\n", &help, "\r\n"] {
            text.push_str(part);
        }
    }
    let random = Token::new().map_err(io::Error::other)?;
    let seconds = now.0.div_euclid(1000);
    let message = MessageBuilder::new()
        .from(("Sekisho", letter.from.as_str()))
        .to(to.as_str())
        .subject(said("code-mail-subject"))
        .date(seconds)
        .message_id(format!("{}@{}", &random.digest().text()[..22], letter.hostname))
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .header("X-Auto-Response-Suppress", Raw::new("All"))
        .text_body(text)
        .write_to_vec()?;
    Ok(OwnMail { about: None, to: vec![to.clone()], message: message.into(), answers: None, enclosed: None })
}

/// Percent-encodes a path for a query; characters at which mail programs end links are escaped too.
fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn say(tongue: &LanguageIdentifier, key: &str, values: &[(&'static str, &str)]) -> String {
    let values: HashMap<Cow<'static, str>, FluentValue<'_>> =
        values.iter().map(|(name, value)| (Cow::Borrowed(*name), FluentValue::from(*value))).collect();
    WORDS.lookup_with_args(tongue, key, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_code_and_the_link() {
        let letter = Letter {
            from: Address::parse("sekisho@example.jp").unwrap(),
            hostname: "relay.example.jp".to_owned(),
            url: Some("https://desk.example.jp".to_owned()),
            contact: Some(Bilingual::new("the office, 1234", "総務部 内線1234")),
        };
        let to = Address::parse("sato@example.jp").unwrap();
        for (language, word) in [(Language::En, "sign in"), (Language::Ja, "ログイン")] {
            let mail = compose(&letter, &to, "12345678", language, "/held/a?x=1", Timestamp(0)).unwrap();
            let parsed = mail_parser::MessageParser::default().parse(&mail.message[..]).unwrap();
            let text = parsed.body_text(0).unwrap();
            assert!(text.contains("1234 5678"), "{text}");
            assert!(
                text.contains("https://desk.example.jp/login/code?code=12345678&back=/held/a%3Fx%3D1"),
                "{text}"
            );
            assert!(text.contains(word), "{text}");
            assert!(parsed.subject().unwrap().contains("1234 5678"));
            assert_eq!(mail.to, std::slice::from_ref(&to));
        }
    }
}
