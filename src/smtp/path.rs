//! Parses the paths of MAIL and RCPT: a mailbox between angle brackets (RFC 5321 §4.1.2).
//!
//! The mailbox is kept as written. Nothing in a local part (`%`, `!`, a quoted `@`) is interpreted as
//! routing. Source routes are dropped (RFC 5321 §4.1.1.3).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest local part in octets. RFC 5321 §4.5.3.1.1 says 64; return paths of mailing lists are longer.
const MAX_LOCAL: usize = 256;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;

/// What stands between the angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `<>`
    Null,
    /// `<postmaster>`, case-insensitively: the only address allowed without a domain (RFC 5321 §4.1.1.3).
    Postmaster,
    /// `local@domain` as written, without the source route.
    Mailbox(String),
}

/// Parses a path at the start of `text`; returns it with the text that follows.
pub(super) fn parse(text: &str) -> Result<(Path, &str), &'static str> {
    let inner = text.strip_prefix('<').ok_or("the address belongs in angle brackets")?;
    if let Some(rest) = inner.strip_prefix('>') {
        return Ok((Path::Null, behind(rest)?));
    }
    let inner = drop_route(inner)?;
    let marks = Marks::find(inner)?;
    let rest = behind(&inner[marks.end + 1..])?;
    let mailbox = &inner[..marks.end];
    let Some(at) = marks.at else {
        let postmaster = mailbox.eq_ignore_ascii_case("postmaster");
        return if postmaster { Ok((Path::Postmaster, rest)) } else { Err("the address has no domain") };
    };
    check_local(&mailbox[..at])?;
    check_domain(&mailbox[at + 1..])?;
    Ok((Path::Mailbox(mailbox.to_owned()), rest))
}

fn behind(rest: &str) -> Result<&str, &'static str> {
    let clean = rest.is_empty() || rest.starts_with(' ');
    clean.then_some(rest).ok_or("something stands right behind the address")
}

/// Removes a source route, `@one,@two:`, before the mailbox.
fn drop_route(inner: &str) -> Result<&str, &'static str> {
    const WRONG: &str = "the source route is malformed";
    let mut rest = inner;
    while let Some(hop) = rest.strip_prefix('@') {
        let length = if hop.starts_with('[') {
            hop.find(']').map(|end| end + 1)
        } else {
            hop.find([',', ':', '>', '<', '"', '@', ' '])
        };
        let length = length.ok_or(WRONG)?;
        check_domain(&hop[..length]).map_err(|_| WRONG)?;
        match hop[length..].split_at_checked(1) {
            Some((":", mailbox)) => return Ok(mailbox),
            Some((",", next)) if next.starts_with('@') => rest = next,
            _ => return Err(WRONG),
        }
    }
    Ok(rest)
}

/// The positions of the `@` and the closing bracket outside quotes.
struct Marks {
    at: Option<usize>,
    end: usize,
}

impl Marks {
    fn find(inner: &str) -> Result<Self, &'static str> {
        let mut at = None;
        let mut quoted = false;
        let mut bytes = inner.bytes().enumerate();
        while let Some((index, byte)) = bytes.next() {
            match byte {
                0..=31 | 127 => return Err("the address has a control character"),
                b'\\' if quoted => match bytes.next() {
                    Some((_, 32..=126)) => {}
                    _ => return Err("the address has a stray backslash"),
                },
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'>' => return Ok(Self { at, end: index }),
                b'@' if at.is_some() => return Err("the address has two @"),
                b'@' => at = Some(index),
                _ => {}
            }
        }
        Err(if quoted { "the address has an open quote" } else { "the address lacks its closing bracket" })
    }
}

fn check_local(local: &str) -> Result<(), &'static str> {
    if local.is_empty() || local.len() > MAX_LOCAL {
        return Err("the local part is empty or too long");
    }
    if let Some(inside) = local.strip_prefix('"') {
        // `Marks::find` has checked that quotes are balanced, but the last quote may belong to a second
        // quoted string, which is not allowed.
        let text = inside.strip_suffix('"').ok_or("the quoted local part goes on behind its quote")?;
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => drop(bytes.next()),
                b'"' => return Err("the quoted local part goes on behind its quote"),
                _ => {}
            }
        }
        return Ok(());
    }
    // Dots are allowed anywhere, because Japanese carriers issued addresses such as `a..b.@`.
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || byte >= 128 || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
    if local.bytes().all(plain) { Ok(()) } else { Err("the local part has a character that needs quotes") }
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    const WRONG: &str = "the domain is malformed";
    if domain.len() > MAX_DOMAIN {
        return Err("the domain is too long");
    }
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let six = literal.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let valid =
            if six { literal[5..].parse::<Ipv6Addr>().is_ok() } else { literal.parse::<Ipv4Addr>().is_ok() };
        return if valid { Ok(()) } else { Err("the address literal is malformed") };
    }
    let label = |label: &str| {
        let short = !label.is_empty() && (label.len() <= 63 || !label.is_ascii());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 128 || byte == b'-' || byte == b'_';
        short && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    if domain.split('.').all(label) { Ok(()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_written() {
        let long = format!("{}@example.jp", "a".repeat(256));
        let cases = [
            ("<a@b>", "a@b"),
            ("<a@b> SIZE=5", "a@b"),
            ("<a..b.@docomo.ne.jp>", "a..b.@docomo.ne.jp"),
            ("<.a@b.jp>", ".a@b.jp"),
            ("<\"a b\"@c.jp>", "\"a b\"@c.jp"),
            ("<\"a@b\"@c.jp>", "\"a@b\"@c.jp"),
            ("<\"a>b\"@c.jp>", "\"a>b\"@c.jp"),
            ("<\"a\\\"b\"@c.jp>", "\"a\\\"b\"@c.jp"),
            ("<\"\"@c.jp>", "\"\"@c.jp"),
            ("<u@[192.0.2.1]>", "u@[192.0.2.1]"),
            ("<u@[IPv6:2001:db8::1]>", "u@[IPv6:2001:db8::1]"),
            ("<@one.jp,@two.jp:a@b.jp>", "a@b.jp"),
            ("<@[192.0.2.1]:a@b.jp>", "a@b.jp"),
            ("<a%b@c.jp>", "a%b@c.jp"),
            ("<c!b!a@d.jp>", "c!b!a@d.jp"),
            ("<a=b@c_d.jp>", "a=b@c_d.jp"),
            ("<山田@例え.jp>", "山田@例え.jp"),
            (&format!("<{long}>"), &long),
        ];
        for (text, expected) in cases {
            let (path, _) = parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(path, Path::Mailbox(expected.to_owned()));
        }
        assert_eq!(parse("<> BODY=7BIT"), Ok((Path::Null, " BODY=7BIT")));
        assert_eq!(parse("<PostMaster>"), Ok((Path::Postmaster, "")));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long_local = format!("<{}@b>", "a".repeat(257));
        let long_domain = format!("<a@{}>", "b.".repeat(150));
        for text in [
            "",
            "a@b",
            "<",
            "<a",
            "<a@b",
            "<a@b>x",
            "<a@b>>",
            "<<a@b>>",
            "< a@b>",
            "<a @b>",
            "<a@b >",
            "<@b>",
            "<a@>",
            "<a@b@c>",
            "<a>",
            "<a@b..c>",
            "<a@.b>",
            "<a@b.>",
            "<a@-b>",
            "<a@b-.c>",
            "<a,b@c>",
            "<a;b@c>",
            "<a:b@c>",
            "<(x)a@b>",
            "<a(x)@b>",
            "<a\\b@c>",
            "<\"a@b>",
            "<\"a\"b@c>",
            "<a\"b\"@c>",
            "<\"a\"\"b\"@c>",
            "<\"a\\>",
            "<a@[1.2.3]>",
            "<a@[::1]>",
            "<a@[IPv6:1]>",
            "<a@[x-tag:1]>",
            "<a@b[1.2.3.4]>",
            "<@a>",
            "<@a:>",
            "<@a,b:c@d>",
            "<@a,:c@d>",
            "<@:c@d>",
            "<@a;@b:c@d>",
            "<@a:@b:c@d>",
            "<\u{1}@b>",
            "<a@b\u{7f}>",
            "<\t>",
            "<a\t@b>",
            "< >",
            "<postmaster@>",
            "<a@b c>",
            "<a@b,c@d>",
            "<a@b> <c@d",
            "<\"a\" @b>",
            &long_local,
            &long_domain,
        ] {
            if text == "<a@b> <c@d" {
                assert_eq!(parse(text).unwrap().1, " <c@d", "the parameters refuse it");
            } else {
                assert!(parse(text).is_err(), "{text}");
            }
        }
    }
}
