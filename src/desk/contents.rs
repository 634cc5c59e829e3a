//! Reads the text, HTML and attachments of a message for display.
//!
//! The text is the one that a mail program without HTML would show; if there is none, the HTML is converted.
//! Every size is limited.

use super::preview::{self, Preview, Sort};
use base64::Engine;
use mail_parser::{Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use std::borrow::Cow;

/// Most characters of text.
const MOST_TEXT: usize = 200_000;
/// Most octets of HTML.
const MOST_HTML: usize = 2 * 1024 * 1024;
/// Most attachments listed.
const MOST_FILES: usize = 500;
/// Most attachments with a preview, and most octets of all of them.
const MOST_PREVIEWS: usize = 20;
const MOST_PREVIEWED: usize = 32 * 1024 * 1024;

/// The displayable contents of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The text.
    pub text: String,
    /// Whether the text was cut.
    pub text_goes_on: bool,
    /// The HTML as the sender wrote it. It must not be shown without sanitising.
    pub html: Option<String>,
    /// The attachments, in order.
    pub files: Vec<File>,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its index among the attachments, from 0.
    pub number: usize,
    /// Its name as the sender gave it; empty if there is none.
    pub name: String,
    /// Its type in lower case, as the sender gave it.
    pub kind: String,
    /// Decoded size in octets.
    pub size: u64,
    /// Whether the HTML embeds it (an image in the text).
    pub inline: bool,
    /// What kind of file it is.
    pub sort: Sort,
    /// Its preview, if one was requested and is possible.
    pub preview: Option<Preview>,
}

/// Reads a message, with previews of its attachments.
pub fn looked_into(raw: &[u8]) -> Contents {
    let Some(message) = MessageParser::default().parse(raw) else { return Contents::default() };
    let mut contents = of(&message);
    let (mut left, mut octets) = (MOST_PREVIEWS, MOST_PREVIEWED);
    for (file, part) in contents.files.iter_mut().zip(message.attachments()) {
        if left == 0 || file.inline {
            continue;
        }
        let content = octets_of(part, raw);
        if content.len() > octets {
            continue;
        }
        // text whose charset was declared has already been decoded to UTF-8
        let is_read = matches!((&part.body, &content), (PartType::Text(_), Cow::Borrowed(_)));
        let charset = part.content_type().filter(|_| !is_read).and_then(|kind| kind.attribute("charset"));
        file.preview = preview::of(file.sort, &file.name, charset, &content);
        if file.preview.is_some() {
            (left, octets) = (left - 1, octets - content.len());
        }
    }
    contents
}

/// A part's octets before any conversion of the charset.
fn octets_of<'a>(part: &'a MessagePart<'_>, raw: &[u8]) -> Cow<'a, [u8]> {
    let PartType::Text(text) = &part.body else { return Cow::Borrowed(part.contents()) };
    if text.contains('\u{fffd}')
        && let Some(body) = raw.get(part.offset_body as usize..part.offset_end as usize)
    {
        if part.encoding == Encoding::None {
            return Cow::Owned(body.to_vec());
        }
        let plain: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        if part.encoding == Encoding::Base64
            && let Ok(octets) = base64::prelude::BASE64_STANDARD.decode(plain)
        {
            return Cow::Owned(octets);
        }
    }
    Cow::Borrowed(text.as_bytes())
}

/// Reads a message without previews.
pub fn read(raw: &[u8]) -> Contents {
    MessageParser::default().parse(raw).as_ref().map(of).unwrap_or_default()
}

fn of(message: &Message<'_>) -> Contents {
    let mut contents = Contents::default();
    let mut texts = Vec::new();
    for number in 0..message.text_body_count() {
        texts.extend(message.body_text(number));
    }
    let text = texts.join("\n\n");
    contents.text = text.chars().take(MOST_TEXT).collect();
    contents.text_goes_on = contents.text.len() < text.len();
    contents.html = message
        .html_bodies()
        .find_map(|part| match &part.body {
            PartType::Html(html) => Some(bounded(html)),
            _ => None,
        })
        .filter(|html| !html.trim().is_empty());
    contents.files = message
        .attachments()
        .take(MOST_FILES)
        .enumerate()
        .map(|(number, part)| {
            let (name, kind) = (part.attachment_name().unwrap_or_default().to_owned(), kind(part));
            File {
                number,
                sort: Sort::of(&name, &kind),
                name,
                kind,
                size: part.contents().len() as u64,
                inline: matches!(part.body, PartType::InlineBinary(_)) && part.content_id().is_some(),
                preview: None,
            }
        })
        .collect();
    contents
}

/// The decoded octets of one attachment.
pub fn file(raw: &[u8], number: usize) -> Option<(File, Vec<u8>)> {
    let message = MessageParser::default().parse(raw)?;
    let file = of(&message).files.into_iter().nth(number)?;
    let part = message.attachments().nth(number)?;
    Some((file, part.contents().to_vec()))
}

fn bounded(html: &str) -> String {
    let mut end = html.len().min(MOST_HTML);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    html[..end].to_owned()
}

fn kind(part: &mail_parser::MessagePart<'_>) -> String {
    let Some(kind) = part.content_type() else { return "application/octet-stream".to_owned() };
    let sub = kind.subtype().unwrap_or("octet-stream");
    let text = format!("{}/{sub}", kind.ctype()).to_ascii_lowercase();
    let plain = text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte));
    if plain { text } else { "application/octet-stream".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_html_and_attachments_are_told_apart() {
        let raw = concat!(
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
            "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n",
            "--c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGuten Tag\r\n",
            "--c\r\nContent-Type: text/html\r\n\r\n<p>Guten <b>Tag</b></p>\r\n--c--\r\n",
            "--b\r\nContent-Type: application/PDF; name=\"a.pdf\"\r\nContent-Disposition: attachment\r\n",
            "Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n"
        );
        let contents = read(raw.as_bytes());
        assert_eq!(contents.text.trim(), "Guten Tag");
        assert!(contents.html.unwrap().contains("<b>Tag</b>"));
        assert_eq!(contents.files.len(), 1);
        let (name, kind, size) = (&contents.files[0].name, &contents.files[0].kind, contents.files[0].size);
        assert_eq!((name.as_str(), kind.as_str(), size), ("a.pdf", "application/pdf", 4));
        assert_eq!(file(raw.as_bytes(), 0).unwrap().1, [0, 1, 2, 3]);
        assert!(file(raw.as_bytes(), 1).is_none());
    }

    #[test]
    fn html_alone_becomes_text() {
        let contents = read(b"Content-Type: text/html\r\n\r\n<p>One</p><p>Two &amp; three</p>");
        assert!(
            contents.text.contains("One") && contents.text.contains("Two & three"),
            "{:?}",
            contents.text
        );
        assert!(!contents.text.contains("<p>"));
    }

    #[test]
    fn tables_of_any_set_are_looked_into() {
        for (kind, encoding, body) in [
            ("text/csv", "base64", "joGWvCxh"),
            ("application/octet-stream", "base64", "joGWvCxh"),
            ("text/csv; charset=Shift_JIS", "base64", "joGWvCxh"),
            ("text/csv; charset=utf-8", "base64", "5rCP5ZCNLGE="),
            ("text/csv; charset=utf-8", "8bit", "氏名,a"),
        ] {
            let raw = format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n\
                 --b\r\nContent-Type: {kind}\r\nContent-Disposition: attachment; filename=a.csv\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--b--\r\n"
            );
            let contents = looked_into(raw.as_bytes());
            let Some(Preview::Rows(rows)) = &contents.files[0].preview else { panic!("{kind} {encoding}") };
            assert_eq!(rows.first, [vec!["氏名", "a"]], "{kind} {encoding}");
        }
    }

    #[test]
    fn nonsense_is_no_panic() {
        for raw in
            [&b""[..], b"\r\n", b"\xff\xfe\x00", b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n"]
        {
            let _ = looked_into(raw);
        }
    }
}
