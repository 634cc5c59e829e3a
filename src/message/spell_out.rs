//! Converts a header with raw UTF-8 (RFC 6532) to ASCII: encoded-words (RFC 2047) mean the same to every mail
//! program. This is for a next hop without SMTPUTF8, if no address needs it.
//!
//! Parameters of Content-Type and Content-Disposition have a form of their own (RFC 2231). What has no ASCII
//! form fails with the reason: addresses, and fields whose syntax does not allow encoded-words. Those include
//! Message-ID, In-Reply-To and References: an id with other octets is another id, and replies and threads
//! could no longer be matched. Address fields are parsed before and after, and must give the same people and
//! names; parameters must be the same too.

use super::Header;
use super::address::parse_list;
use super::encoded_word::decode_words;
use super::header::decode_text;
use super::walk::params;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Octets of text per encoded-word, so that the whole word fits into 75 (RFC 2047 §2).
const PAYLOAD: usize = 45;
/// Longest line, if it can be folded.
const LINE: usize = 76;

/// Fields with lists of addresses.
const ADDRESSES: [&str; 14] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "resent-from",
    "resent-sender",
    "resent-reply-to",
    "resent-to",
    "resent-cc",
    "resent-bcc",
    "disposition-notification-to",
    "mail-followup-to",
];
/// Fields with parameters.
const PARAMETERS: [&str; 2] = ["content-type", "content-disposition"];
/// Fields whose syntax does not allow encoded-words.
const FIXED: [&str; 9] = [
    "content-transfer-encoding",
    "content-id",
    "mime-version",
    "message-id",
    "in-reply-to",
    "references",
    "date",
    "return-path",
    "list-id",
];

/// Why a header cannot be converted to ASCII.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not valid UTF-8, so its meaning is unknown.
    #[error("the field {0} has octets that are not UTF-8")]
    NotUtf8(String),
    /// An address, or a field without encoded-words.
    #[error("the field {0} has no form in ASCII")]
    NoForm(String),
}

/// The header block in ASCII; `None` if it is ASCII already.
///
/// # Errors
/// A field is not valid UTF-8, or has no ASCII form with the same meaning.
pub fn spell_out(header: &Header) -> Result<Option<Vec<u8>>, Refused> {
    if header.bytes().is_ascii() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(header.bytes().len() * 2);
    for field in header.fields() {
        let whole = &header.bytes()[field.whole.clone()];
        if whole.is_ascii() {
            out.extend_from_slice(whole);
            continue;
        }
        let name = String::from_utf8_lossy(header.name(field)).into_owned();
        let Ok(body) = std::str::from_utf8(header.body(field)) else { return Err(Refused::NotUtf8(name)) };
        let text = body.replace("\r\n", "").replace('\t', " ");
        let key = name.to_ascii_lowercase();
        let value = match key.as_str() {
            _ if !name.is_ascii() || FIXED.contains(&key.as_str()) => None,
            key if ADDRESSES.contains(&key) => addresses(&text),
            key if PARAMETERS.contains(&key) => parameters(&text),
            // trace fields are for people: characters that have no ASCII form may be lost
            "received" | "authentication-results" | "dkim-signature" => {
                Some(text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect())
            }
            _ => Some(words(text.trim()))
                .filter(|value| decode_text(value.as_bytes()) == decode_text(body.as_bytes())),
        };
        let Some(value) = value else { return Err(Refused::NoForm(name)) };
        fold(&name, &value, &mut out);
    }
    Ok(Some(out))
}

/// Unstructured text: everything from the first to the last word that needs it is encoded; the rest stays.
fn words(text: &str) -> String {
    let Some(first) = text.find(|letter: char| !letter.is_ascii()) else { return text.to_owned() };
    let start = text[..first].rfind(' ').map_or(0, |at| at + 1);
    let last = text.rfind(|letter: char| !letter.is_ascii()).unwrap_or(first);
    let end = text[last..].find(' ').map_or(text.len(), |at| last + at);
    let is_encoded =
        |word: Option<&str>| word.is_some_and(|word| word.starts_with("=?") && word.ends_with("?="));
    let before = &text[..start];
    let after = &text[end..];
    // white space between two encoded-words is not shown, so it goes inside them
    let mut inside = decode_words(&text.as_bytes()[start..end]);
    if is_encoded(before.split_ascii_whitespace().next_back()) {
        inside.insert(0, ' ');
    }
    if is_encoded(after.split_ascii_whitespace().next()) {
        inside.push(' ');
    }
    format!("{before}{}{after}", encoded(&inside))
}

/// The text as encoded-words, separated by spaces.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(PAYLOAD);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str("=?UTF-8?B?");
        out.push_str(&STANDARD.encode(piece));
        out.push_str("?=");
        rest = after;
    }
    out
}

/// A list of addresses with its names encoded. `None` if an address itself needs UTF-8, or if the list would
/// not parse to the same people.
fn addresses(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (piece, kind) = match letter {
            '"' => (quoted(rest)?, Piece::Quoted),
            '(' => (comment(rest)?, Piece::Comment),
            '<' => (&rest[..=rest.find('>')?], Piece::Fixed),
            ',' | ':' | ';' | ' ' => (&rest[..1], Piece::Fixed),
            _ => (phrase(rest), Piece::Phrase),
        };
        rest = &rest[piece.len()..];
        if piece.is_ascii() {
            out.push_str(piece);
            continue;
        }
        match kind {
            Piece::Fixed => return None,
            Piece::Quoted => out.push_str(&encoded(&unquoted(&piece[1..piece.len() - 1]))),
            Piece::Comment => {
                out.push('(');
                out.push_str(&words(&unquoted(&piece[1..piece.len() - 1])));
                out.push(')');
            }
            Piece::Phrase if piece.contains('@') => return None,
            Piece::Phrase => {
                let bare = piece.trim_end();
                out.push_str(&encoded(&decode_words(bare.as_bytes())));
                out.push_str(&piece[bare.len()..]);
            }
        }
    }
    let people = |text: &str| {
        let list = parse_list(text.as_bytes());
        let named = list.mailboxes.into_iter().map(|one| (one.address, one.name));
        (named.collect::<Vec<_>>(), list.problems.is_empty())
    };
    let (before, after) = (people(text), people(&out));
    (before.1 && before == after && out.is_ascii()).then_some(out)
}

/// A value and its parameters; those that need it are encoded by RFC 2231 §4, long ones in pieces (§3).
/// `None` if they would not parse to the same values, or if a boundary is among them, which must be ASCII.
fn parameters(text: &str) -> Option<String> {
    let mut pieces = split(text)?.into_iter();
    let mut out = pieces.next()?.trim().to_owned();
    for piece in pieces {
        let piece = piece.trim();
        if piece.is_ascii() {
            out.push_str("; ");
            out.push_str(piece);
            continue;
        }
        let (name, value) = piece.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.bytes().all(token) || name.eq_ignore_ascii_case("boundary") {
            return None;
        }
        let value = match value.strip_prefix('"') {
            Some(_) => unquoted(quoted(value).filter(|all| all.len() == value.len())?.trim_matches('"')),
            None => value.to_owned(),
        };
        extended(name, &value, &mut out);
    }
    let read = |text: &str| {
        let mut read = params::read(text.as_bytes());
        read.parameters.sort();
        (read.value, read.parameters)
    };
    (out.is_ascii() && read(text) == read(&out)).then_some(out)
}

/// The pieces between semicolons that are not in a quoted string. `None` if there is a comment.
fn split(text: &str) -> Option<Vec<&str>> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(letter) = text[at..].chars().next() {
        at += match letter {
            '"' => quoted(&text[at..])?.len(),
            // A comment would be in the middle of a value, where readers differ about its meaning.
            '(' => return None,
            ';' => {
                pieces.push(&text[start..at]);
                start = at + 1;
                1
            }
            other => other.len_utf8(),
        };
    }
    pieces.push(&text[start..]);
    pieces.retain(|piece| !piece.trim().is_empty());
    Some(pieces)
}

/// One parameter; each piece is short enough for one line.
fn extended(name: &str, value: &str, out: &mut String) {
    let mut encoded = vec![String::new()];
    for letter in value.chars() {
        let mut octets = [0; 4];
        let letter: String = letter
            .encode_utf8(&mut octets)
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        if encoded.last().is_some_and(|piece| piece.len() + letter.len() > PAYLOAD) {
            encoded.push(String::new());
        }
        if let Some(last) = encoded.last_mut() {
            last.push_str(&letter);
        }
    }
    let several = encoded.len() > 1;
    for (number, piece) in encoded.iter().enumerate() {
        let part = if several { format!("*{number}") } else { String::new() };
        let charset = if number == 0 { "UTF-8''" } else { "" };
        for text in ["; ", name, &part, "*=", charset, piece] {
            out.push_str(text);
        }
    }
}

#[derive(Clone, Copy)]
enum Piece {
    Quoted,
    Comment,
    Phrase,
    Fixed,
}

/// The quoted string at the start, quotes included.
fn quoted(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[..=at]),
            _ => {}
        }
    }
    None
}

/// The comment at the start, parentheses included; `None` if it is nested or has escapes.
fn comment(text: &str) -> Option<&str> {
    let end = text.find(')')?;
    (!text[1..end].contains(['(', '\\'])).then_some(&text[..=end])
}

fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for letter in text.chars() {
        if letter == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(letter);
        }
    }
    out
}

/// Words up to a character that ends a phrase.
fn phrase(text: &str) -> &str {
    let end = text.find([',', ':', ';', '<', '"', '(']).unwrap_or(text.len());
    &text[..end]
}

/// One field, folded at its spaces.
fn fold(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    for (number, word) in value.trim().split(' ').enumerate() {
        if number > 0 && column + 1 + word.len() > LINE && !word.is_empty() {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn spelt(text: &str) -> Result<String, Refused> {
        let header = Header::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let out = spell_out(&header)?.unwrap_or_else(|| text.as_bytes().to_vec());
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn text_and_names_say_the_same_in_ascii() {
        for (field, decoded) in [
            ("Subject: Stra\u{df}e", "Stra\u{df}e"),
            ("Subject: Re: die Stra\u{df}e ist zu", "Re: die Stra\u{df}e ist zu"),
            ("Subject: =?UTF-8?B?44GC?= \u{3042} x", "\u{3042} \u{3042} x"),
            (
                "X-Note: \u{7d4c}\u{7406}\u{90e8} \u{4f50}\u{85e4}",
                "\u{7d4c}\u{7406}\u{90e8} \u{4f50}\u{85e4}",
            ),
        ] {
            let out = spelt(&format!("{field}\r\n")).unwrap();
            assert!(out.is_ascii(), "{out}");
            let (_, body) = out.split_once(':').unwrap();
            assert_eq!(decode_text(body.as_bytes()), decoded, "{out}");
        }
        for (list, count) in [
            ("From: \u{4f50}\u{85e4} <a@x.test>", 1),
            ("To: \"\u{4f50}\u{85e4}, \u{592a}\u{90ce}\" <a@x.test>, b@y.test (M\u{fc}ller)", 2),
            ("Cc: Gr\u{fc}ppe: J\u{f6}rg M\u{fc}ller <a@x.test>, b@y.test;", 2),
            ("Reply-To: Dr. M\u{fc}ller <a@x.test>", 1),
        ] {
            let out = spelt(&format!("{list}\r\n")).unwrap();
            let (_, before) = list.split_once(':').unwrap();
            let (_, after) = out.split_once(':').unwrap();
            let (before, after) = (parse_list(before.as_bytes()), parse_list(after.as_bytes()));
            assert_eq!(before.mailboxes.len(), count);
            let names = |list: &super::super::address::AddressList| {
                list.mailboxes.iter().map(|one| (one.address.clone(), one.name.clone())).collect::<Vec<_>>()
            };
            assert_eq!(names(&before), names(&after), "{out}");
            assert!(out.is_ascii(), "{out}");
        }
        let trace = spelt("Received: from \u{7d4c}\u{7406} by x\r\nSubject: a\r\n").unwrap();
        assert_eq!(trace, "Received: from ?? by x\r\nSubject: a\r\n");
    }

    #[test]
    fn what_has_no_form_gives_up() {
        for field in [
            "To: \u{4f50}@x.test",
            "To: a@\u{4f50}.test",
            "To: <a@\u{4f50}.test>",
            "To: \"\u{4f50}\"@x.test",
            "From: a@x.test <\u{4f50}@x.test>",
            "Content-Type: multipart/mixed; boundary=\"\u{4f50}\"",
            "Content-Type: text/\u{4f50}",
            "Content-Type: text/plain; \u{4f50}=x",
            "Content-Disposition: attachment; filename=\"\u{4f50}",
            "In-Reply-To: <\u{4f50}@x.test>",
            "References: <a@x.test> <\u{4f50}@x.test>",
            "Message-ID: <\u{4f50}@x.test>",
        ] {
            assert!(matches!(spelt(&format!("{field}\r\n")), Err(Refused::NoForm(_))), "{field}");
        }
        let octets = Header::parse(Bytes::from_static(b"Subject: \x8c\x6f\r\n")).unwrap();
        assert!(matches!(spell_out(&octets), Err(Refused::NotUtf8(_))));
    }

    #[test]
    fn parameters_are_the_same_in_ascii() {
        let long = "\u{4f50}\u{85e4}".repeat(40);
        for (body, name, value) in [
            ("text/plain; name=\"\u{4f50}.txt\"", "name", "\u{4f50}.txt"),
            ("text/plain; charset=utf-8; name=\u{4f50}.txt; x=y", "name", "\u{4f50}.txt"),
            (
                "attachment; filename=\"a \\\"\u{4f50}\\\"; b=c.txt\"; size=3",
                "filename",
                "a \"\u{4f50}\"; b=c.txt",
            ),
            ("attachment;filename=\"100% \u{e4}'s.txt\"", "filename", "100% \u{e4}'s.txt"),
            (&format!("attachment; filename=\"{long}.txt\""), "filename", &format!("{long}.txt")),
        ] {
            for field in ["Content-Type", "Content-Disposition"] {
                let out = spelt(&format!("{field}: {body}\r\n")).unwrap();
                assert!(out.is_ascii() && out.lines().all(|line| line.len() <= LINE + 2), "{out}");
                let (_, after) = out.split_once(':').unwrap();
                let (before, after) = (params::read(body.as_bytes()), params::read(after.as_bytes()));
                assert_eq!((after.get(name), before.get(name)), (Some(value), Some(value)), "{out}");
                assert_eq!((after.value, after.ambiguous), (before.value, None));
            }
        }
    }

    proptest! {
        /// Any text becomes ASCII, is folded, and keeps its meaning.
        #[test]
        fn any_text_says_the_same(text in "[ -~\u{e4}\u{df}\u{3042}\u{1f600}]{1,200}") {
            let text = text.trim();
            if let Ok(out) = spelt(&format!("Subject: {text}\r\n")) {
                prop_assert!(out.is_ascii());
                let (_, body) = out.split_once(':').unwrap();
                prop_assert_eq!(decode_text(body.as_bytes()), decode_text(text.as_bytes()));
            }
        }

        /// The same for parameters, or the conversion fails.
        #[test]
        fn any_parameters_are_the_same(body in "[a-z]{1,5}(; ?[a-z*0-9]{1,4}=(\"[ -~\u{e4}\u{3042}]{0,30}\"|[a-z%'\u{3042}]{1,9})){0,4}") {
            if let Ok(out) = spelt(&format!("Content-Disposition: {body}\r\n")) {
                prop_assert!(out.is_ascii());
                let (_, after) = out.split_once(':').unwrap();
                let (mut before, mut after) = (params::read(body.as_bytes()), params::read(after.as_bytes()));
                before.parameters.sort();
                after.parameters.sort();
                prop_assert_eq!((before.value, before.parameters), (after.value, after.parameters));
            }
        }

        /// The same for a list of addresses, or the conversion fails.
        #[test]
        fn any_list_names_the_same(text in "[a-z@.,:;<>()\" \u{e4}\u{3042}]{1,60}") {
            if let Ok(out) = spelt(&format!("To: {text}\r\n")) {
                prop_assert!(out.is_ascii() || text.is_ascii());
            }
        }
    }
}
