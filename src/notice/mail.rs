//! Builds the bytes of our own mails: header fields, encoded subject, text parts. Whatever differs from run
//! to run (date, random bits, time zone) is passed in.

use super::safe;
use super::{Letterhead, Moment};
use crate::id::Id;
use crate::message::Address;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest subject in characters.
const MAX_SUBJECT: usize = 200;
/// Octets of text in one encoded-word. With its frame it has 64 characters, which fits after `Subject:`.
const WORD_OCTETS: usize = 39;
/// Octets encoded in one line of base64 (RFC 2045 §6.8).
const BASE64_OCTETS: usize = 57;

/// The header of one of our mails.
pub(super) struct Head<'a> {
    pub(super) letterhead: &'a Letterhead,
    pub(super) moment: Moment,
    /// The message it is about.
    pub(super) about: Id,
    /// The Message-ID of that message, so that the notice joins its thread.
    pub(super) thread: &'a str,
    pub(super) to: &'a [Address],
    pub(super) subject: &'a str,
    /// `auto-generated`, or `auto-replied` for a report (RFC 3834 §5).
    pub(super) auto_submitted: &'a str,
    /// Whether it is marked as important (RFC 4021 §2.1.54).
    pub(super) urgent: bool,
}

impl Head<'_> {
    /// The header block up to the MIME fields.
    pub(super) fn render(&self) -> String {
        let letterhead = self.letterhead;
        let mut out = safe::field("From", &format!("Sekisho <{}>", letterhead.from));
        let to: Vec<&str> = self.to.iter().map(Address::as_str).collect();
        out.push_str(&safe::field("To", &to.join(", ")));
        out.push_str(&safe::field("Subject", &encode_text(&safe::line(self.subject, MAX_SUBJECT))));
        out.push_str(&safe::field("Date", &self.moment.rfc5322(&letterhead.zone)));
        let id = format!("<{}.{:016x}@{}>", self.about, self.moment.bits, letterhead.hostname);
        out.push_str(&safe::field("Message-ID", &id));
        if is_message_id(self.thread) {
            out.push_str(&safe::field("In-Reply-To", &format!("<{}>", self.thread)));
            out.push_str(&safe::field("References", &format!("<{}>", self.thread)));
        }
        out.push_str(&safe::field("Auto-Submitted", self.auto_submitted));
        if self.urgent {
            out.push_str("Importance: high\r\nX-Priority: 1\r\n");
        }
        out.push_str("X-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n");
        out
    }
}

/// Whether a Message-ID chosen by a client is safe in our header.
fn is_message_id(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>');
    (3..=250).contains(&text.len()) && text.bytes().all(sound)
}

/// Header text: unchanged if ASCII allows it, otherwise as encoded-words in UTF-8 (RFC 2047).
fn encode_text(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > WORD_OCTETS {
            words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(&chunk)));
            chunk.clear();
        }
        chunk.push(c);
    }
    words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(&chunk)));
    words.join(" ")
}

/// A multipart/alternative of text and HTML (RFC 2046 §5.1.4); only the text part if there is no HTML.
pub(super) fn alternative(text: &str, html: Option<&str>, about: Id, moment: Moment) -> String {
    let text = text_part("text/plain; charset=utf-8", text.as_bytes());
    let Some(html) = html else { return text };
    let boundary = format!("=_sekisho_{about}_{:016x}", moment.bits);
    let html = text_part("text/html; charset=utf-8", html.as_bytes());
    let kind = format!("multipart/alternative; boundary=\"{boundary}\"");
    safe::field("Content-Type", &kind)
        + &format!("\r\n--{boundary}\r\n{text}\r\n--{boundary}\r\n{html}\r\n--{boundary}--\r\n")
}

/// A text part: MIME fields, an empty line, the content. It is not encoded if every client displays it
/// correctly as it is, otherwise base64. Lines of `text` end in LF or CRLF.
pub(super) fn text_part(content_type: &str, text: &[u8]) -> String {
    let plain = text.is_ascii() && text.split(|byte| *byte == b'\n').all(|line| line.len() <= 200);
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut content = Vec::with_capacity(text.len());
    for line in lines {
        content.extend_from_slice(line);
        content.extend_from_slice(b"\r\n");
    }
    // text that ends in a line end has an empty last piece
    if text.ends_with(b"\n") {
        content.truncate(content.len() - 2);
    }
    let mut out = safe::field("Content-Type", content_type);
    if plain {
        out.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        out.push_str(&String::from_utf8_lossy(&content));
    } else {
        out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        for chunk in content.chunks(BASE64_OCTETS) {
            out.push_str(&STANDARD.encode(chunk));
            out.push_str("\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::encoded_word::decode_words;
    use proptest::prelude::*;

    #[test]
    fn only_sound_ids_join_a_thread() {
        assert!(is_message_id("abc.1@mail.example"));
        for text in ["", "a b@c", "a>\r\nBcc: x@y", "<a@b>", "あ@b"] {
            assert!(!is_message_id(text), "{text}");
        }
    }

    #[test]
    fn long_or_foreign_text_is_encoded() {
        assert!(text_part("text/plain", b"short\n").contains("7bit\r\n\r\nshort\r\n"));
        assert!(text_part("text/plain", &[b'x'; 300]).contains("base64"));
        assert!(text_part("text/plain", "あ\n".as_bytes()).ends_with("\r\n\r\n44GCDQo=\r\n"));
    }

    proptest! {
        #[test]
        fn subjects_survive(text in "[ぁ-んa-z一-丕=?_ ]{0,60}") {
            let text = safe::line(&text, 200);
            let field = safe::field("Subject", &encode_text(&text));
            prop_assert!(field.is_ascii());
            prop_assert!(field.lines().all(|line| line.len() <= 78), "{}", field);
            let decoded = decode_words(field.trim_start_matches("Subject:").as_bytes());
            prop_assert_eq!(decoded.trim(), text);
        }
    }
}
