//! Tokens and objects of PDF (ISO 32000-1 7.2, 7.3), read leniently.

/// Maximum nesting depth of arrays and dictionaries.
const DEPTH: usize = 32;

/// Maximum number of numbers and nulls kept of one array: each takes some thirty octets of memory, and two in
/// the file.
const MOST: usize = 100_000;

/// An object; types that are not needed are left out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Null,
    Number(f64),
    Name(String),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    Reference(u32),
    /// An operator, or `true` and the like.
    Word(Vec<u8>),
    /// There is no more.
    End,
}

/// A dictionary, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Dict(Vec<(String, Object)>);

impl Dict {
    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(super) fn name(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Object::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<usize> {
        match self.get(key)? {
            Object::Number(number) => Some(whole(*number)),
            _ => None,
        }
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &Object)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Object {
    /// The number of objects in it, itself included.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Array(list) => list.iter().map(Self::size).sum::<u64>() + 1,
            Self::Dict(dict) => dict.0.iter().map(|(_, object)| object.size()).sum::<u64>() + 1,
            _ => 1,
        }
    }

    /// Calls `take` for every string inside.
    pub(super) fn each_string(&self, take: &mut impl FnMut(&[u8])) {
        match self {
            Self::Text(text) => take(text),
            Self::Array(list) => list.iter().for_each(|object| object.each_string(take)),
            Self::Dict(dict) => dict.0.iter().for_each(|(_, object)| object.each_string(take)),
            _ => {}
        }
    }
}

/// A number as a length; negative ones and NaN become 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn whole(number: f64) -> usize {
    number as usize
}

/// The tokenizer.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: u64,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_blank(byte) && !b"()<>[]{}/%".contains(&byte)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()), tokens: 0 }
    }

    /// The position of the next token, or of white space before it.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The number of tokens read since the last call.
    pub(super) fn tokens(&mut self) -> u64 {
        std::mem::take(&mut self.tokens)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                let rest = &self.bytes[self.at..];
                self.at += rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            } else if is_blank(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// Where the octets of a stream begin, if one follows.
    pub(super) fn stream(&mut self) -> Option<usize> {
        self.skip_blanks();
        let rest = self.bytes[self.at..].strip_prefix(b"stream")?;
        let skip = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        Some(self.at + 6 + skip)
    }

    /// Skips to the position after the next such keyword.
    pub(super) fn skip_to(&mut self, mark: &[u8]) {
        let rest = &self.bytes[self.at..];
        self.at += memchr::memmem::find(rest, mark).map_or(rest.len(), |at| at + mark.len());
    }

    /// The next object.
    pub(super) fn object(&mut self) -> Object {
        self.within(0)
    }

    fn within(&mut self, depth: usize) -> Object {
        self.skip_blanks();
        self.tokens += 1;
        let Some(byte) = self.peek() else { return Object::End };
        match byte {
            b'/' => {
                self.at += 1;
                Object::Name(self.name())
            }
            b'(' => Object::Text(self.literal()),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                self.dict(depth)
            }
            b'<' => Object::Text(self.hex()),
            b'[' => {
                self.at += 1;
                self.array(depth)
            }
            b'>' if self.bytes.get(self.at + 1) == Some(&b'>') => {
                self.at += 2;
                Object::Word(b">>".to_vec())
            }
            _ if !is_regular(byte) => {
                self.at += 1;
                Object::Word(vec![byte])
            }
            _ => self.word(),
        }
    }

    fn regular(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| !is_regular(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn name(&mut self) -> String {
        let text = self.regular();
        let mut plain = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let code = (text[at] == b'#').then(|| text.get(at + 1..at + 3)).flatten();
            let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
            plain.push(code.unwrap_or(text[at]));
            at += if code.is_some() { 3 } else { 1 };
        }
        String::from_utf8_lossy(&plain).into_owned()
    }

    fn word(&mut self) -> Object {
        let text = self.regular();
        let number = number(text);
        if let Some(number) = number {
            if let Some(reference) = self.reference(number) {
                return reference;
            }
            return Object::Number(number);
        }
        if text == b"null" { Object::Null } else { Object::Word(text.to_vec()) }
    }

    /// A reference such as `7 0 R`, after its first number was read.
    fn reference(&mut self, number: f64) -> Option<Object> {
        let rest = self.bytes.get(self.at..)?;
        let rest = &rest[..rest.len().min(16)];
        let text = rest.trim_ascii_start();
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let after = text[digits..].trim_ascii_start();
        let is_one = digits > 0 && rest.len() > text.len() && after.len() < text.len() - digits;
        if !is_one || after.first() != Some(&b'R') || after.get(1).is_some_and(|&byte| is_regular(byte)) {
            return None;
        }
        self.at += rest.len() - after.len() + 1;
        Some(Object::Reference(u32::try_from(whole(number)).ok()?))
    }

    fn array(&mut self, depth: usize) -> Object {
        let mut list = Vec::new();
        if depth >= DEPTH {
            return Object::Null;
        }
        loop {
            match self.within(depth + 1) {
                Object::Word(word) if word == b"]" => break,
                Object::Word(word) if matches!(word.as_slice(), b"endobj" | b">>") => break,
                Object::End => break,
                // All strings are kept.
                Object::Null | Object::Number(_) if list.len() >= MOST => {}
                object => list.push(object),
            }
        }
        Object::Array(list)
    }

    fn dict(&mut self, depth: usize) -> Object {
        let mut dict = Dict::default();
        if depth >= DEPTH {
            return Object::Null;
        }
        loop {
            let key = match self.within(depth + 1) {
                Object::Name(key) => key,
                Object::Word(word) if matches!(word.as_slice(), b"endobj" | b">>" | b"stream") => break,
                Object::End => break,
                _ => continue,
            };
            match self.within(depth + 1) {
                Object::Word(word) if word == b">>" => break,
                Object::End => break,
                value => dict.0.push((key, value)),
            }
        }
        Object::Dict(dict)
    }

    /// A literal string `(text)`: balanced parentheses, with escapes (7.3.4.2).
    fn literal(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut open = 1;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                b'\\' => {
                    self.escape(&mut text);
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' | b'f' => text.push(b' '),
            b'\n' => {}
            b'\r' => self.at += usize::from(self.peek() == Some(b'\n')),
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit) = self.peek().filter(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                text.push(u8::try_from(code & 0xff).unwrap_or(0));
            }
            _ => text.push(byte),
        }
    }

    fn hex(&mut self) -> Vec<u8> {
        let rest = &self.bytes[self.at + 1..];
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at += 1 + (end + 1).min(rest.len());
        let digits: Vec<u8> = rest[..end].iter().copied().filter(u8::is_ascii_hexdigit).collect();
        let value = |digit: &u8| crate::message::walk::hex_digit(*digit);
        digits.chunks(2).map(|pair| value(&pair[0]) << 4 | pair.get(1).map_or(0, value)).collect()
    }
}

fn number(text: &[u8]) -> Option<f64> {
    let plain = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'));
    if !plain || text.len() > 32 {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_numbers_without_end_is_not_kept_whole() {
        let text = [&b"["[..], &b"1 null [] ".repeat(MOST), b"(a@x.jp)]"].concat();
        let Object::Array(list) = Lexer::new(&text, 0).object() else { panic!("no array") };
        assert!(list.len() <= 2 * MOST, "{}", list.len());
        assert_eq!(list.last(), Some(&Object::Text(b"a@x.jp".to_vec())));
    }

    #[test]
    fn objects_of_every_kind() {
        let text = b"<</A 1 0 R/B[(x\\)\\101(y))<4142 4>]/C -1.5/D<</E/F#20G>>>> null 7 8";
        let mut lexer = Lexer::new(text, 0);
        let Object::Dict(dict) = lexer.object() else { panic!() };
        assert_eq!(dict.get("A"), Some(&Object::Reference(1)));
        let list = vec![Object::Text(b"x)A(y)".to_vec()), Object::Text(b"AB@".to_vec())];
        assert_eq!(dict.get("B"), Some(&Object::Array(list)));
        assert_eq!(dict.get("C"), Some(&Object::Number(-1.5)));
        let Some(Object::Dict(inner)) = dict.get("D") else { panic!() };
        assert_eq!(inner.name("E"), Some("F G"));
        assert_eq!(lexer.object(), Object::Null);
        assert_eq!(lexer.object(), Object::Number(7.0));
        assert_eq!(lexer.object(), Object::Number(8.0));
        assert_eq!(lexer.object(), Object::End);
        for broken in [&b"<</A"[..], b"[[[", b"(((", b"<", b"<<<<<<", b"/", b"\\", b"1 0"] {
            Lexer::new(broken, 0).object();
        }
        let deep = "[".repeat(100_000);
        Lexer::new(deep.as_bytes(), 0).object();
    }
}
