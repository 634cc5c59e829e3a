//! Parses SPF records (RFC 7208 §4.6, §5, §6).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most terms in one record.
const MOST_TERMS: usize = 500;

/// The result if a mechanism matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`
    Pass,
    /// `-`, `~` or `?`. All of them count as "not in the networks".
    Other,
}

/// A mechanism of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `ip4:`, `ip6:`
    Net(IpNet),
    /// `include:`
    Include(String),
    /// `a`, with prefix lengths.
    A(Option<String>, Prefixes),
    /// `mx`, with prefix lengths.
    Mx(Option<String>, Prefixes),
    /// `all`
    All,
    /// `exists`, `ptr`, and any term with macros: they cannot be resolved to networks.
    Unusable(String),
}

/// Prefix lengths for IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes(pub u8, pub u8);

/// A parsed record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its mechanisms, in order.
    pub terms: Vec<(Qualifier, Mechanism)>,
    /// The domain whose record applies if no mechanism matches.
    pub redirect: Option<String>,
}

impl Record {
    /// Finds and parses the SPF record among the TXT records of a name.
    ///
    /// # Errors
    /// There is no SPF record, more than one, or it is malformed. The error is a text for the log.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let is_spf = |text: &&str| {
            text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("v=spf1"))
                && matches!(text.as_bytes().get(6), None | Some(b' '))
        };
        let mut found = texts.into_iter().filter(is_spf);
        match (found.next(), found.next()) {
            (Some(text), None) => Self::read(&text[6..]),
            (None, _) => Err("there is no SPF record".to_owned()),
            (Some(_), Some(_)) => Err("there is more than one SPF record".to_owned()),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for term in text.split(' ').filter(|term| !term.is_empty()) {
            if record.terms.len() == MOST_TERMS {
                return Err(format!("more than {MOST_TERMS} terms"));
            }
            match modifier(term) {
                Some(("redirect", domain)) => record.redirect = Some(domain.to_owned()),
                Some(_) => {}
                None => record.terms.push(directive(term)?),
            }
        }
        // With `all`, a redirect is ignored (RFC 7208 §6.1).
        if record.terms.iter().any(|(_, mechanism)| *mechanism == Mechanism::All) {
            record.redirect = None;
        }
        Ok(record)
    }
}

/// `name=value` (RFC 7208 §4.6.1).
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    sound.then_some((if name.eq_ignore_ascii_case("redirect") { "redirect" } else { name }, value))
}

fn directive(term: &str) -> Result<(Qualifier, Mechanism), String> {
    let wrong = || format!("`{term}` is not a valid SPF term");
    let (qualifier, rest) = match term.as_bytes().first() {
        Some(b'+') => (Qualifier::Pass, &term[1..]),
        Some(b'-' | b'~' | b'?') => (Qualifier::Other, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    if rest.contains('%') {
        return Ok((qualifier, Mechanism::Unusable(term.to_owned())));
    }
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, value) = rest.split_at(end);
    let argument = value.strip_prefix(':');
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if value.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(argument.filter(|to| !to.is_empty()).ok_or_else(wrong)?.to_owned()),
        "ip4" => Mechanism::Net(IpNet::V4(argument.and_then(v4).ok_or_else(wrong)?)),
        "ip6" => Mechanism::Net(IpNet::V6(argument.and_then(v6).ok_or_else(wrong)?)),
        "a" => host(value).map(|(name, prefixes)| Mechanism::A(name, prefixes)).ok_or_else(wrong)?,
        "mx" => host(value).map(|(name, prefixes)| Mechanism::Mx(name, prefixes)).ok_or_else(wrong)?,
        "exists" | "ptr" => Mechanism::Unusable(term.to_owned()),
        _ => return Err(wrong()),
    };
    Ok((qualifier, mechanism))
}

fn v4(text: &str) -> Option<Ipv4Net> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Some(Ipv4Net::from(address)),
        Err(_) => text.parse::<Ipv4Net>().ok(),
    }
}

fn v6(text: &str) -> Option<Ipv6Net> {
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Some(Ipv6Net::from(address)),
        Err(_) => text.parse::<Ipv6Net>().ok(),
    }
}

/// `[:domain][/4][//6]`
fn host(value: &str) -> Option<(Option<String>, Prefixes)> {
    let (name, lengths) = value.split_at(value.find('/').unwrap_or(value.len()));
    let name = match name.strip_prefix(':') {
        Some("") => return None,
        Some(name) => Some(name.to_owned()),
        None if name.is_empty() => None,
        None => return None,
    };
    let (four, six) = match lengths.split_once("//") {
        Some((four, six)) => (four, Some(six)),
        None => (lengths, None),
    };
    let length = |text: &str, most: u8| text.parse::<u8>().ok().filter(|length| *length <= most);
    let four = match four.strip_prefix('/') {
        Some(text) => length(text, 32)?,
        None => 32,
    };
    let six = six.map_or(Some(128), |text| length(text, 128))?;
    Some((name, Prefixes(four, six)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        use Mechanism::{A, All, Include, Mx, Net, Unusable};
        use Qualifier::{Other, Pass};
        let net = |text: &str| Net(text.parse().unwrap());
        let cases: &[(&str, (Qualifier, Mechanism))] = &[
            ("ip4:192.0.2.1", (Pass, net("192.0.2.1/32"))),
            ("+IP4:192.0.2.0/24", (Pass, net("192.0.2.0/24"))),
            ("-ip6:2001:db8::/32", (Other, net("2001:db8::/32"))),
            ("ip6:2001:db8::1", (Pass, net("2001:db8::1/128"))),
            ("include:_spf.google.com", (Pass, Include("_spf.google.com".into()))),
            ("a", (Pass, A(None, Prefixes(32, 128)))),
            ("a:mail.example.com/24//64", (Pass, A(Some("mail.example.com".into()), Prefixes(24, 64)))),
            ("mx//64", (Pass, Mx(None, Prefixes(32, 64)))),
            ("~all", (Other, All)),
            ("exists:%{i}._spf.example.com", (Pass, Unusable("exists:%{i}._spf.example.com".into()))),
            ("?ptr", (Other, Unusable("?ptr".into()))),
        ];
        for (term, expected) in cases {
            assert_eq!(directive(term).as_ref(), Ok(expected), "{term}");
        }
        for term in ["ip4:", "ip4:2001:db8::1", "ip4:192.0.2.0/33", "include:", "a:", "mx/33", "all:x", "x"] {
            assert!(directive(term).is_err(), "{term}");
        }
    }

    #[test]
    fn records() {
        let record =
            Record::of(["google-site-verification=x", "v=spf1  ip4:192.0.2.1 exp=x redirect=b.test"]);
        let record = record.unwrap();
        assert_eq!((record.terms.len(), record.redirect.as_deref()), (1, Some("b.test")));
        assert_eq!(Record::of(["V=SPF1 -all redirect=b.test"]).unwrap().redirect, None);
        assert_eq!(Record::of(["v=spf1"]), Ok(Record::default()));
        for texts in [&["v=spf10 all"][..], &[], &["v=spf1 -all", "v=spf1 -all"], &["v=spf1 foo"]] {
            assert!(Record::of(texts.iter().copied()).is_err(), "{texts:?}");
        }
    }
}
