//! Structured field bodies with parameters: Content-Type, Content-Disposition (RFC 2045 §5.1, RFC 2231).
//! Parsed leniently, within limits.

use super::digits::hex_digit;
use crate::message::charset::{Charset, readings};
use crate::message::encoded_word::decode_raw;
use crate::message::header::decode_text;
use std::collections::BTreeMap;

/// Maximum number of parameters taken from one field, and of sections of one value.
const MOST: usize = 256;

/// A field body such as `multipart/mixed; boundary="x"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structured {
    /// The text before the first semicolon, in lower case, without white space.
    pub value: String,
    /// Names in lower case, values decoded (RFC 2231, and RFC 2047 because people write it); the first of a
    /// name counts.
    pub parameters: Vec<(String, String)>,
    /// Set if a parameter is given twice with different values, or an unquoted value contains white space:
    /// readers differ.
    pub ambiguous: Option<String>,
}

impl Structured {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The body without comments, as unfolded text.
pub fn strip_comments(body: &[u8]) -> String {
    let mut out = Vec::with_capacity(body.len());
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for &byte in body {
        if escaped {
            escaped = false;
            if depth == 0 {
                out.extend_from_slice(&[b'\\', byte]);
            }
            continue;
        }
        match byte {
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => {
                quoted = !quoted;
                out.push(byte);
            }
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => depth -= 1,
            b'\r' | b'\n' => {}
            _ if depth == 0 => out.push(byte),
            _ => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Parses the value and the parameters.
pub fn read(body: &[u8]) -> Structured {
    let text = strip_comments(body);
    let mut pieces = split_quoted(&text);
    let mut read = Structured {
        value: pieces.next().unwrap_or("").to_ascii_lowercase().split_whitespace().collect(),
        ..Structured::default()
    };
    let mut plain: Vec<(String, String)> = Vec::new();
    let mut sections: BTreeMap<String, BTreeMap<usize, (bool, String)>> = BTreeMap::new();
    for piece in pieces.take(MOST) {
        let Some((name, raw)) = piece.split_once('=') else { continue };
        let name = name.trim().to_ascii_lowercase();
        let raw = raw.trim();
        let value = unquote(raw);
        // Only parameters that decide how the content is read matter; careless file names are frequent.
        let decides = matches!(name.as_str(), "boundary" | "charset");
        if decides && !raw.starts_with('"') && value.contains(char::is_whitespace) {
            read.ambiguous = Some(format!("the parameter {name} has blanks outside quotes"));
        }
        match section_of(&name) {
            Some((base, index, extended)) if index < MOST => {
                sections.entry(base.to_owned()).or_default().entry(index).or_insert((extended, value));
            }
            Some(_) => read.ambiguous = Some(format!("the parameter {name} has too many pieces")),
            None => match plain.iter().find(|(known, _)| *known == name) {
                Some((_, first)) if decides && *first != value => {
                    read.ambiguous = Some(format!("the parameter {name} is given twice"));
                }
                Some(_) => {}
                None => plain.push((name, value)),
            },
        }
    }
    for (name, sections) in sections {
        // If the set is not declared, every decoding is listed; the first is the main one.
        read.parameters.extend(join(&sections).into_iter().map(|value| (name.clone(), value)));
    }
    for (name, value) in plain {
        let value = if value.contains("=?") { decode_text(value.as_bytes()) } else { value };
        if !read.parameters.iter().any(|(known, _)| *known == name) {
            read.parameters.push((name, value));
        }
    }
    read
}

/// `name*`, `name*0`, `name*0*`: the base name, the section, and whether it is percent-encoded.
fn section_of(name: &str) -> Option<(&str, usize, bool)> {
    let (base, rest) = name.split_once('*')?;
    let (index, extended) = match rest.strip_suffix('*') {
        Some(index) => (index, true),
        None => (rest, rest.is_empty()),
    };
    if index.is_empty() {
        return Some((base, 0, extended));
    }
    Some((base, index.parse().ok()?, extended))
}

/// Joins the sections of a value. The charset of the first applies to all (RFC 2231 §4.1). Returns several
/// decodings if the charset is missing or unknown.
fn join(sections: &BTreeMap<usize, (bool, String)>) -> Vec<String> {
    // An escape may be split between two sections, so adjacent sections are joined before they are decoded.
    let (mut bytes, mut coded) = (Vec::new(), Vec::new());
    let mut charset = String::new();
    for (index, (extended, value)) in sections {
        let mut value = value.as_str();
        if *extended {
            if let (0, Some((name, rest))) = (*index, value.split_once('\'')) {
                name.clone_into(&mut charset);
                value = rest.split_once('\'').map_or(rest, |(_, text)| text);
            }
            coded.extend_from_slice(value.as_bytes());
        } else {
            bytes.append(&mut percent_decode(&coded));
            coded.clear();
            bytes.extend_from_slice(value.as_bytes());
        }
    }
    bytes.append(&mut percent_decode(&coded));
    let known =
        Charset::named(charset.as_bytes()).filter(|known| !known.is_utf8_or_ascii() || bytes.is_ascii());
    match known {
        Some(known) => {
            let other = known.other_order().map(|other| other.decode(&bytes));
            std::iter::once(known.decode(&bytes)).chain(other).collect()
        }
        None if std::str::from_utf8(&bytes).is_ok() && !bytes.contains(&0x1b) => {
            vec![String::from_utf8_lossy(&bytes).into_owned()]
        }
        None => std::iter::once(decode_raw(&bytes)).chain(readings(&bytes)).collect(),
    }
}

/// Decodes `%41` to `A`; everything else stays.
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut index = 0;
    while index < text.len() {
        if let [b'%', high, low, ..] = text[index..]
            && high.is_ascii_hexdigit()
            && low.is_ascii_hexdigit()
        {
            out.push(hex_digit(high) << 4 | hex_digit(low));
            index += 3;
        } else {
            out.push(text[index]);
            index += 1;
        }
    }
    out
}

/// Splits at semicolons outside quotes.
fn split_quoted(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |letter: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match letter {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            ';' if !quoted => return true,
            _ => {}
        }
        false
    })
}

fn unquote(raw: &str) -> String {
    let Some(inner) = raw.strip_prefix('"') else { return raw.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_every_shape() {
        for (body, name, value) in [
            ("text/plain; charset=utf-8", "charset", "utf-8"),
            ("multipart/mixed;\r\n boundary=\"a b;c\\\"d\"", "boundary", "a b;c\"d"),
            ("a/b; name*=UTF-8'ja'%E3%81%82.txt", "name", "あ.txt"),
            ("a/b; name*0*=iso-2022-jp'ja'%1B$B; name*1*=%24%22%1B%28B; name*2=.txt", "name", "あ.txt"),
            ("a/b; name*1=b; name*0=a", "name", "ab"),
            ("a/b; name*0*=cp932''%8; name*1*=2%A; name*2*=0.txt", "name", "あ.txt"),
            ("a/b; name*=cp037''%81%7C%A7", "name", "a@x"),
            ("a/b; name*=''%82%A0.txt", "name", "あ.txt"),
            ("a/b (c; x=1); NAME = v (comment)", "name", "v"),
            ("a/b; name=plain; name*=us-ascii''extended", "name", "extended"),
        ] {
            assert_eq!(read(body.as_bytes()).get(name), Some(value), "{body}");
        }
        assert!(read(b"a/b; boundary=a; boundary=b").ambiguous.is_some());
        assert!(read(b"a/b; boundary=a b").ambiguous.is_some());
        assert_eq!(read(b" Text / HTML ").value, "text/html");
    }

    #[test]
    fn thousands_of_sections_stay_small() {
        let mut body = b"a/b".to_vec();
        for index in 0..100_000 {
            body.extend_from_slice(format!("; name*{index}*=%41").as_bytes());
        }
        assert!(read(&body).get("name").unwrap().len() <= MOST);
    }
}
