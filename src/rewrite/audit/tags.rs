//! Removes tags and comments, as a reader that looks only at `<` and `>` would.

use memchr::memchr;

/// A filter that removes everything that looks like a tag or a comment: `a<wbr>@<b>x.jp` becomes `a@x.jp`. A tag that
/// begins a new line or cell becomes a space. The contents of `<!--[if mso]>`, CDATA sections, scripts and styles count
/// as text: Word shows the first and hides what is meant for other readers, and XML readers show the second.
#[derive(Debug, Default)]
pub(super) struct StripTags {
    state: Markup,
    name: Vec<u8>,
    /// The tag begins contents that Word hides.
    hides: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Markup {
    #[default]
    Text,
    /// After `<`.
    Open,
    Name,
    Inside,
    /// After `<!--`.
    Dashes,
    /// In a comment; how many characters of `-->` were seen.
    Comment(u8),
    /// After `<![if` or `<!--[if`.
    Condition,
    /// In contents that Word hides; how many characters of [`END`] were seen.
    Hidden(usize),
    /// In a CDATA section; how many characters of `]]>` were seen.
    Data(u8),
}

/// The end of a conditional section.
const END: &[u8] = b"<![endif]";

/// Whether this tag begins a line or a cell (HTML Living Standard, §15.3). A `/` before or after the name is ignored. This
/// runs for each tag of a page, so short names, the most frequent ones, are matched directly.
pub(super) fn begins_line(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"/").unwrap_or(name);
    match name.strip_suffix(b"/").unwrap_or(name) {
        [b'p']
        | [b'b', b'r']
        | [b'd', b'd' | b'l' | b't']
        | [b'h', b'1'..=b'6' | b'r']
        | [b'l', b'i']
        | [b'o' | b'u', b'l']
        | [b't', b'd' | b'h' | b'r'] => true,
        [] | [_] | [_, _] => false,
        long => is_block(long),
    }
}

/// Elements that begin a line or a cell, of three letters or more.
fn is_block(name: &[u8]) -> bool {
    match name.len() {
        3 => matches!(name, b"col" | b"dir" | b"div" | b"nav" | b"pre" | b"xmp"),
        4 => matches!(name, b"body" | b"form" | b"html" | b"main" | b"menu"),
        5 => matches!(name, b"aside" | b"frame" | b"table" | b"tbody" | b"tfoot" | b"thead"),
        6 => {
            matches!(name, b"center" | b"dialog" | b"figure" | b"footer" | b"header" | b"hgroup" | b"legend")
                || matches!(name, b"option" | b"search")
        }
        7 => {
            matches!(name, b"address" | b"article" | b"caption" | b"details" | b"listing" | b"marquee")
                || matches!(name, b"section" | b"summary")
        }
        8 => matches!(name, b"colgroup" | b"fieldset" | b"frameset" | b"optgroup"),
        _ => matches!(name, b"blockquote" | b"figcaption" | b"plaintext"),
    }
}

/// Whether something other than text stands in place of this element, such as a picture or a control (§15.4).
pub(super) fn is_replaced(name: &[u8]) -> bool {
    matches!(
        name,
        b"img"
            | b"svg"
            | b"audio"
            | b"embed"
            | b"image"
            | b"input"
            | b"meter"
            | b"video"
            | b"button"
            | b"canvas"
            | b"iframe"
            | b"object"
            | b"select"
            | b"progress"
            | b"textarea"
    )
}

impl StripTags {
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(&byte) = bytes.first() {
            let mut used = 1;
            match self.state {
                Markup::Text => {
                    used = memchr(b'<', bytes).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[..used]);
                    if used < bytes.len() {
                        self.state = Markup::Open;
                        used += 1;
                    }
                }
                Markup::Open => {
                    self.name.clear();
                    self.hides = false;
                    if byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?') {
                        self.state = Markup::Name;
                        used = 0;
                    } else {
                        out.push(b'<');
                        self.state = Markup::Text;
                        used = 0;
                    }
                }
                Markup::Name
                    if self.name.len() < 12 && (byte.is_ascii_alphanumeric() || b"/!?-[".contains(&byte)) =>
                {
                    self.name.push(byte.to_ascii_lowercase());
                    match self.name.as_slice() {
                        [b'a'..=b'z' | b'/', ..] => {}
                        b"!--" => self.state = Markup::Dashes,
                        b"![cdata[" => self.state = Markup::Data(0),
                        b"![if" => self.state = Markup::Condition,
                        _ => {}
                    }
                }
                Markup::Dashes | Markup::Condition | Markup::Hidden(_) => used = self.conditional(byte),
                Markup::Name => {
                    self.state = Markup::Inside;
                    used = 0;
                }
                Markup::Inside => {
                    used = memchr(b'>', bytes).map_or(bytes.len(), |at| at + 1);
                    if bytes[used - 1] == b'>' {
                        self.state = if self.hides { Markup::Hidden(0) } else { Markup::Text };
                        self.hides = false;
                        if begins_line(&self.name) {
                            out.push(b' ');
                        }
                    }
                }
                Markup::Comment(0) => {
                    used = memchr(b'-', bytes).unwrap_or(bytes.len());
                    if used < bytes.len() {
                        self.state = Markup::Comment(1);
                        used += 1;
                    }
                }
                Markup::Comment(seen) => {
                    self.state = match (byte, seen) {
                        (b'-', _) => Markup::Comment((seen + 1).min(2)),
                        (b'>', 2) => Markup::Text,
                        _ => Markup::Comment(0),
                    };
                }
                Markup::Data(seen) => self.data(byte, seen, out),
            }
            bytes = &bytes[used..];
        }
    }

    /// An octet of what Word reads in comments, and of what it leaves out; gives how many were used.
    fn conditional(&mut self, byte: u8) -> usize {
        match self.state {
            Markup::Dashes if byte == b'[' => {
                self.name.truncate(1);
                self.state = Markup::Name;
                0
            }
            Markup::Dashes => {
                self.state = Markup::Comment(2);
                0
            }
            Markup::Condition if matches!(byte, b' ' | b'(') => 1,
            Markup::Condition => {
                self.hides = byte == b'!';
                self.state = Markup::Inside;
                0
            }
            Markup::Hidden(seen) => {
                self.state = match byte.to_ascii_lowercase() {
                    byte if byte == END[seen] && seen + 1 == END.len() => Markup::Inside,
                    byte if byte == END[seen] => Markup::Hidden(seen + 1),
                    byte => Markup::Hidden(usize::from(byte == END[0])),
                };
                1
            }
            _ => 1,
        }
    }

    /// An octet of a CDATA section, of whose end `seen` octets came before.
    fn data(&mut self, byte: u8, seen: u8, out: &mut Vec<u8>) {
        match (byte, seen) {
            (b']', 0 | 1) => self.state = Markup::Data(seen + 1),
            (b'>', 2) => self.state = Markup::Text,
            (b']', _) => out.push(b']'),
            _ => {
                out.extend(std::iter::repeat_n(b']', usize::from(seen)));
                out.push(byte);
                self.state = Markup::Data(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lazy::tests::in_chunks;
    use super::*;

    #[test]
    fn tags() {
        for (text, plain) in [
            ("a<wbr>@<b class=\"x\">x</b>.jp", "a@x.jp"),
            ("a<!-- > - -- -->@x.jp", "a@x.jp"),
            ("foo<br/>a@x.jp<td>bar", "foo a@x.jp bar"),
            ("1 < 2 <3", "1 < 2 <3"),
            (
                "To<header>a<wbr>@x.jp</header><figure>b<figcaption>c</figcaption></figure>",
                "To a@x.jp  b c  ",
            ),
            ("To <img src=x>a<input/>@x.jp<nobr>d</nobr>", "To a@x.jpd"),
            ("<th><thead><theadx>a<wbr>@x.<span>jp</span>", "  a@x.jp"),
            ("<!--->a@x.jp", "a@x.jp"),
            ("a<!--[if mso]>@x<![endif]-->.jp", "a@x.jp"),
            ("a<!--[if mso]>@<![endif]--><!--[if !mso]><!-->x<!--<![endif]-->x.jp", "a@x.jp"),
            ("a<![if !vml]>x<![<![ENDIF]>@x.jp", "a@x.jp"),
            ("a<!--[if (gte mso 9)|(IE)]>@x.jp<![endif]-->", "a@x.jp"),
            ("<![CDATA[a@]]><![CDATA[x]].jp]]]>", "a@x]].jp]"),
            ("a<![if mso]>@x.jp<![endif]>", "a@x.jp"),
        ] {
            let found = in_chunks(text, |text, size| {
                let (mut strip, mut out) = (StripTags::default(), Vec::new());
                text.as_bytes().chunks(size).for_each(|chunk| strip.feed(chunk, &mut out));
                out
            });
            assert_eq!(found, plain);
        }
    }
}
