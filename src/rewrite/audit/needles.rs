//! The addresses to search for, with an index so that each `@` in a text costs only a few lookups.
//!
//! Every written form of an address has a separator between local part and domain. The search jumps from
//! separator to separator. It first checks whether the domain of one of the addresses follows, and examines
//! the text before the separator only if so. Its cost therefore does not depend on the number of addresses.

use super::escapes::octet;
use super::stream::Of;
use crate::message::Address;
use std::collections::HashMap;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// The maximum number of blanks accepted on each side of an `@`. RFC 5322 §4.4 allows blanks there, and lines
/// are folded there.
const BLANKS: usize = 8;
/// The maximum length of a domain in a text, in octets. A U-label in UTF-8 can be longer than its A-label.
const DOMAIN: usize = 512;
/// The minimum for the number of octets that are examined before a separator. Long local parts increase it.
const LOCAL: usize = 64;
/// Longest local part for which views may sleep.
const PLAIN_LOCAL: usize = 256;

/// File name extensions that are treated only as extensions although they are also top-level domains. An
/// extension that is not a top-level domain needs no entry here. A domain ends before an extension, so
/// `a@example.jp.pdf` contains `a@example.jp`, but `a@example.com.br` is a different address from
/// `a@example.com`.
const FILE_ENDINGS: [&str; 2] = ["zip", "mov"];

/// The addresses to search for. Built once for each message and shared by the scan of the body and the audits
/// of the headers.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    addresses: Vec<Address>,
    /// The index of each address, by its comparison key.
    keys: HashMap<Box<str>, u32>,
    /// The domains in the form of A-labels, by that form and by their Unicode form.
    domains: HashMap<Box<str>, Box<str>>,
    /// Whether any local part is not ASCII.
    wide_locals: bool,
    /// Whether any domain has a Unicode form.
    wide_domains: bool,
    longest_local: usize,
    /// Some local part must be quoted, or is very long.
    odd_locals: bool,
    /// The octets with which a written form of any of the domains may begin.
    starts: Starts,
    /// The first letters of all domains, as many as [`Self::START`] and fewer; whether they are all it has.
    beginnings: HashMap<[u8; Needles::START], bool>,
}

/// A set of octets.
#[derive(Clone, Debug)]
struct Starts([bool; 256]);

impl Default for Starts {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Starts {
    fn add(&mut self, octet: u8) {
        self.0[usize::from(octet.to_ascii_lowercase())] = true;
        self.0[usize::from(octet.to_ascii_uppercase())] = true;
    }
}

/// A separator in a text, where an address may be written.
pub(super) struct Spot<'a> {
    /// The text.
    pub(super) text: &'a [u8],
    /// The position of the separator.
    pub(super) at: usize,
    /// What the text is.
    pub(super) of: Of,
}

impl Needles {
    /// Builds the index of these addresses. There can be tens of thousands of them.
    pub fn new(addresses: Vec<Address>) -> Self {
        let mut needles = Self { longest_local: LOCAL, ..Self::default() };
        for (index, address) in addresses.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            needles.keys.entry(address.key().into()).or_insert(index);
            let domain = address.domain_key();
            needles.longest_local = needles.longest_local.max(address.local().len().min(4_096) * 2);
            needles.wide_locals |= !address.local_key().is_ascii();
            let is_plain = |local: &str| local.bytes().all(is_local) && local.len() <= PLAIN_LOCAL;
            needles.odd_locals |= !is_plain(address.local()) || !is_plain(address.local_key());
            if needles.domains.contains_key(domain) {
                continue;
            }
            needles.domains.insert(domain.into(), domain.into());
            if domain.contains("xn--") || !domain.is_ascii() {
                let (unicode, _) = idna::domain_to_unicode(domain);
                needles.domains.insert(fold(&unicode).into(), domain.into());
                needles.wide_domains = true;
            }
        }
        for domain in needles.domains.keys() {
            domain.bytes().take(1).for_each(|octet| needles.starts.add(octet));
        }
        for domain in needles.domains.keys() {
            let domain = domain.as_bytes();
            for length in 1..=domain.len().min(Self::START) {
                let mut start = [0; Self::START];
                start[..length].copy_from_slice(&domain[..length]);
                let is_whole = length == domain.len() || length == Self::START;
                *needles.beginnings.entry(start).or_default() |= is_whole;
            }
        }
        if needles.wide_domains {
            // The domain may begin with a compatibility form of its first character, such as a fullwidth
            // letter.
            (0x80..=0xff).for_each(|octet| needles.starts.add(octet));
        }
        needles.addresses = addresses;
        needles
    }

    /// The addresses to search for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// How many octets before and after a separator decide whether there is a hit.
    pub(super) fn reach(&self) -> usize {
        self.longest_local.max(DOMAIN) + 2 * BLANKS + 16
    }

    /// The index of the address that is written around this separator, if it is one of those searched for.
    pub(super) fn at(&self, spot: &Spot<'_>) -> Option<u32> {
        let blanks = spot.text[spot.at] == b'@';
        let start = if blanks { skip_blanks(spot.text, spot.at + 1) } else { spot.at + 1 };
        if !self.starts.0[usize::from(*spot.text.get(start)?)] {
            return None;
        }
        if spot.of == Of::Raw && goes_on(&spot.text[start..]) {
            return None;
        }
        self.domains_at(&spot.text[start..]).into_iter().flatten().find_map(|domain| {
            self.local_before(spot, domain).or_else(|| self.local_after(spot, start, domain))
        })
    }

    /// The index of the address whose local part follows its domain, as a forwarder writes it (SRS):
    /// `SRS0=x=y=domain=local@forwarder`.
    fn local_after(&self, spot: &Spot<'_>, start: usize, domain: &str) -> Option<u32> {
        let rest = spot.text.get(start + domain.len()..)?;
        let (b'=', b'=', local) = (spot.text[spot.at], *rest.first()?, &rest[1..]) else { return None };
        let end = local.iter().take(self.longest_local + 1).position(|octet| *octet == b'@')?;
        self.keys
            .get(format!("{}@{domain}", String::from_utf8_lossy(&local[..end]).to_lowercase()).as_str())
            .copied()
    }

    /// Letters of a domain by which most others are told from it.
    pub(super) const START: usize = 4;

    /// Whether a domain that matters may begin with these letters, at most [`Self::START`]: `None` if not, whether
    /// no more need be seen if so. A zero may be half of a letter of UTF-16.
    pub(super) fn may_start(&self, letters: &[u8]) -> Option<bool> {
        let first = *letters.first()?;
        if first == 0 || (self.wide_domains && self.starts.0[usize::from(first)]) {
            // Behind the first, letters may be composed of several.
            return Some(true);
        }
        if !self.starts.0[usize::from(first)] {
            return None;
        }
        let mut start = [0; Self::START];
        start[..letters.len()].copy_from_slice(letters);
        start.make_ascii_lowercase();
        self.beginnings.get(&start).copied()
    }

    /// Whether these octets may be the beginning of a domain that matters, behind blanks; `goes_on` says that more
    /// octets follow.
    pub(super) fn may_begin(&self, octets: &[u8], goes_on: bool) -> bool {
        let domain = &octets[skip_blanks(octets, 0)..];
        if let [0, rest @ ..] = domain {
            return rest.first().map_or(goes_on, |first| self.starts.0[usize::from(*first)]);
        }
        for length in 1..=domain.len().min(Self::START) {
            match self.may_start(&domain[..length]) {
                None => return false,
                Some(true) => return true,
                Some(false) => {}
            }
        }
        goes_on
    }

    /// Whether all addresses are written in ASCII, without quotes, and not very long. Only these have a gate.
    pub(super) fn are_plain(&self) -> bool {
        !(self.odd_locals || self.wide_locals || self.wide_domains)
    }

    /// Whether one of the domains may begin here, judged by the first octet after blanks. Also true if the
    /// text ends before that octet, and if the octet is zero: in UTF-16, there is a zero before or after each
    /// ASCII letter.
    pub(super) fn may_follow(&self, text: &[u8]) -> bool {
        let start = skip_blanks(text, 0);
        text.get(start).is_none_or(|&first| first == 0 || self.starts.0[usize::from(first)])
    }

    /// Whether one of the domains is written here, or may be. `goes_on` says whether more text may follow
    /// that is not in `text`.
    pub(super) fn may_be_followed(&self, text: &[u8], goes_on: bool) -> bool {
        let domain = &text[skip_blanks(text, 0)..];
        // If the domain may be incomplete, or may be UTF-16, the answer is yes, because it cannot be checked
        // here.
        let whole = domain.iter().any(|&octet| octet < 0x80 && !is_domain(octet) && octet != b'[');
        domain.first().is_none_or(|&first| first == 0)
            || (goes_on && !whole)
            || self.domains_at(domain).iter().any(Option::is_some)
    }

    /// The domains, in comparison form, with which the text may begin. The longest comes first.
    fn domains_at(&self, text: &[u8]) -> [Option<&str>; 3] {
        let text = &text[..text.len().min(DOMAIN)];
        if text.first() == Some(&b'[') {
            let literal = text.split_inclusive(|&byte| byte == b']').next().unwrap_or(text);
            return [self.domain(&String::from_utf8_lossy(literal).to_lowercase()), None, None];
        }
        let end = text.iter().position(|&byte| !is_domain(byte)).unwrap_or(text.len());
        // In a ZIP file, the signature of the next entry may follow directly after a file name. It is `PK`
        // and an octet from 1 to 8.
        let ascii = match text.get(end) {
            Some(1..=8) => text[..end].strip_suffix(b"PK").unwrap_or(&text[..end]),
            _ => &text[..end],
        };
        let wide = text.get(end).is_some_and(|&byte| byte >= 0x80);
        let mut found = [None; 3];
        if wide && self.wide_domains {
            found[0] = self.wide_domain(text);
        }
        let mut lower = [0u8; DOMAIN];
        let lower = &mut lower[..ascii.len()];
        lower.copy_from_slice(ascii);
        lower.make_ascii_lowercase();
        let lower = std::str::from_utf8(lower).unwrap_or_default();
        found[1] = self.narrow_domain(lower, ascii);
        if let Some((before, _)) = lower.split_once('_') {
            found[2] = self.narrow_domain(before, ascii);
        }
        found
    }

    fn domain(&self, text: &str) -> Option<&str> {
        self.domains.get(text).map(AsRef::as_ref)
    }

    /// The domain that the run is, either as a whole or after the removal of endings that cannot belong to a
    /// domain. `run` is in lower case, and `written` is the text before it was put in lower case.
    fn narrow_domain(&self, run: &str, written: &[u8]) -> Option<&str> {
        let mut run = run.trim_end_matches(['.', '-', '_']);
        loop {
            if let Some(domain) = self.domain(run) {
                return Some(domain);
            }
            let (before, last) = run.rsplit_once('.')?;
            if let Some(end) = ends_before_capital(&written[..run.len()], before.len() + 1) {
                run = &run[..end];
                continue;
            }
            if is_top_level(last) && !begins_sentence(written, before.len()) {
                return None;
            }
            // In `x.jp-text` or `x.jp_text`, the domain may end before the hyphen or the underscore.
            run = match last.split_once(['-', '_']) {
                Some((label, _)) if !label.is_empty() => &run[..before.len() + 1 + label.len()],
                _ => before,
            };
        }
    }

    /// For text with characters beyond ASCII: the longest of the domains with which it begins.
    fn wide_domain(&self, text: &[u8]) -> Option<&str> {
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
        };
        let end = text
            .find(|letter: char| {
                !(letter.is_alphanumeric() || ".-。．｡・ー".contains(letter) || is_mark(letter))
            })
            .unwrap_or(text.len());
        let folded = fold(&text[..end].replace(['。', '．', '｡'], "."));
        let mut ends: Vec<usize> = folded.char_indices().map(|(at, _)| at).skip(1).collect();
        ends.push(folded.len());
        ends.into_iter().rev().find_map(|end| self.domain(&folded[..end]))
    }

    /// The index of the address at this domain whose local part is written before the separator, if any.
    fn local_before(&self, spot: &Spot<'_>, domain: &str) -> Option<u32> {
        let text = spot.text;
        let mut end = spot.at;
        if text[spot.at] == b'@' {
            let blanks = text[..end].iter().rev().take(BLANKS).take_while(|byte| is_blank(**byte)).count();
            end -= blanks;
        }
        if end > 0 && text[end - 1] == b'"' {
            return self.quoted_before(&text[..end - 1], domain);
        }
        let run =
            text[..end].iter().rev().take(self.longest_local).take_while(|byte| is_local(**byte)).count();
        let start = end - run;
        let is_verp = text[spot.at] != b'@';
        let wide = self.wide_locals && !text[start..end].is_ascii();
        self.longest_of(spot, start..end, domain, (wide, is_verp))
    }

    /// The index of the address whose local part is an ending of the run and begins where an address may
    /// begin (see [`is_edge`]).
    ///
    /// If several addresses match, the longest is chosen: `info-sales@` is not reported as `sales@` if both
    /// are searched for.
    fn longest_of(
        &self,
        spot: &Spot<'_>,
        run: Range<usize>,
        domain: &str,
        (wide, is_verp): (bool, bool),
    ) -> Option<u32> {
        let text = spot.text;
        let mut key = String::with_capacity(run.len() + 1 + domain.len());
        let is_part = |start: usize| spot.of == Of::Parts && start > 0 && b"._-+".contains(&text[start - 1]);
        let is_edge = |start| {
            (is_edge(text, start, is_verp) || is_part(start))
                && !((spot.of == Of::Raw) && goes_before(&text[..start]))
        };
        run.clone().filter(|&start| is_edge(start)).find_map(|start| {
            key.clear();
            let local = &text[start..run.end];
            if wide {
                key.push_str(&fold(&String::from_utf8_lossy(local)));
            } else {
                // An octet beyond ASCII becomes a character beyond ASCII. Then no key matches, which is
                // right: the text has such octets here only if all local parts searched for are ASCII.
                key.extend(local.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            }
            key.push('@');
            key.push_str(domain);
            self.keys.get(key.as_str()).copied()
        })
    }

    /// The index of the address with a quoted local part, as in `"local part"@domain`. `before` is the text
    /// before the closing quote.
    fn quoted_before(&self, before: &[u8], domain: &str) -> Option<u32> {
        let before = &before[before.len().saturating_sub(self.longest_local)..];
        let mut inner = Vec::new();
        for (at, &byte) in before.iter().enumerate().rev() {
            let escaped = at > 0 && before[at - 1] == b'\\';
            if byte == b'"' && !escaped {
                break;
            }
            inner.push(byte);
        }
        inner.reverse();
        let mut plain = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(&byte) = bytes.next() {
            plain.push(if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte });
        }
        let local = fold(&String::from_utf8_lossy(&plain));
        self.keys.get(format!("{local}@{domain}").as_str()).copied()
    }
}

/// The comparison form of a Unicode text: NFKC and lower case, with the result composed again (NFC).
fn fold(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase().nfc().collect()
}

fn is_mark(letter: char) -> bool {
    unicode_normalization::char::is_combining_mark(letter)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_blanks(text: &[u8], start: usize) -> usize {
    start + text[start..].iter().take(BLANKS).take_while(|byte| is_blank(**byte)).count()
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Characters of an unquoted local part (RFC 5322 §3.2.3 atext and the dot; RFC 6531).
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte)
}

/// Whether a label can be the last one of a domain: a top-level domain on the Public Suffix List, or any
/// A-label, which may be one. [`FILE_ENDINGS`] are excluded.
fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--")
        || (psl::suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known())
            && !FILE_ENDINGS.contains(&label))
}

/// Whether the dot at `dot` ends a sentence and the next sentence follows without a blank, as in
/// `p@x.jp.It is`.
fn begins_sentence(written: &[u8], dot: usize) -> bool {
    let label = written[..dot].rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let small = label.first().is_some_and(u8::is_ascii_lowercase);
    small && written.get(dot + 1).is_some_and(u8::is_ascii_uppercase)
}

/// Where the last label ends if a capitalized word follows it without a blank, as in `p@x.jpTel`. The label
/// begins at `start`.
fn ends_before_capital(written: &[u8], start: usize) -> Option<usize> {
    let pairs = written.get(start..)?.windows(2);
    let end =
        pairs.take_while(|pair| pair[0].is_ascii_lowercase()).position(|pair| pair[1].is_ascii_uppercase());
    end.map(|at| start + at + 1)
}

/// Whether the domain at the beginning of this text continues after a soft line break of quoted-printable.
fn goes_on(text: &[u8]) -> bool {
    let end = text.iter().take(DOMAIN).take_while(|byte| is_domain(**byte)).count();
    match &text[end..] {
        [b'=', b'\r', b'\n', next, ..] | [b'=', b'\n', next, ..] => is_domain(*next),
        _ => false,
    }
}

/// Whether the text ends in a soft line break of quoted-printable that divides a word. One of `._-+` may
/// follow the break, because it joins the parts of a word, too.
fn goes_before(text: &[u8]) -> bool {
    let joins = |byte: u8| b"._-+".contains(&byte);
    let text = text.split_last().filter(|(last, _)| joins(**last)).map_or(text, |(_, before)| before);
    let line = text.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let last = line.and_then(|line| line.strip_suffix(b"=")).and_then(<[u8]>::last);
    last.is_some_and(|byte| byte.is_ascii_alphanumeric() || joins(*byte))
}

/// Whether an address may begin at `start`. It may not if a letter or digit comes directly before, or a
/// letter or digit followed by a dot, hyphen, plus or underscore, because these belong to a different, longer
/// address, unless they end an escape. After any other character, it may: in doubt, the audit reports a hit.
/// In a bounce address (`is_verp`), an address may also begin after a hyphen or a plus, because they separate
/// the sender's own name from `local=domain`.
fn is_edge(text: &[u8], start: usize, is_verp: bool) -> bool {
    let before = |back: usize| start.checked_sub(back).map(|at| text[at]);
    match before(1) {
        // The last octet of an escape sequence of ISO-2022-JP, such as `ESC ( B` for the return to ASCII, is
        // not a letter of the text.
        Some(b'B' | b'J' | b'I') if before(2) == Some(b'(') && before(3) == Some(0x1b) => true,
        Some(byte) if byte.is_ascii_alphanumeric() => ends_escape(&text[..start]),
        Some(b'-' | b'+') if is_verp => true,
        Some(b'-') if text[..start - 1].ends_with(b"IMCEASMTP") => true,
        Some(b'.') if is_number(&text[..start - 1]) => true,
        Some(b'.' | b'_' | b'-' | b'+') => {
            !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric()) || ends_escape(&text[..start - 1])
        }
        // An address may not begin in the middle of a UTF-8 character.
        Some(byte) if byte >= 0x80 => text.get(start).is_none_or(|next| !(0x80..0xc0).contains(next)),
        _ => true,
    }
}

/// Whether the text ends in the number of a list, as in `12.taro@x.jp`: few digits, at the beginning of a word.
fn is_number(text: &[u8]) -> bool {
    let digits = text.iter().rev().take(4).take_while(|octet| octet.is_ascii_digit()).count();
    let before = text[..text.len() - digits].last();
    matches!(digits, 1..=3) && before.is_none_or(|octet| !is_local(*octet) && *octet != b'@')
}

/// Whether the text ends in an escape for a character that separates words: `\n` in many formats, `\012` in
/// C, `=0A` in quoted-printable, `_x000D_` in spreadsheets, and what colours the text of a terminal. What looks like an escape may also be a backslash and the beginning of a
/// word, so the search tries both readings.
fn ends_escape(text: &[u8]) -> bool {
    let parts = |octet: u8| !(octet.is_ascii_alphanumeric() || b"._+-".contains(&octet));
    match text {
        [.., b'\\', b'a' | b'b' | b'e' | b'f' | b'n' | b'r' | b't' | b'v' | b'N' | b'L' | b'P' | b'0'] => {
            true
        }
        [.., b'\\', first @ b'0'..=b'3', second @ b'0'..=b'7', third @ b'0'..=b'7'] => {
            parts((first - b'0') << 6 | (second - b'0') << 3 | (third - b'0'))
        }
        [.., b'_', b'x', b'0', b'0', _, _] => {
            octet(text, text.len() - 2).is_some_and(|(_, octet)| parts(octet))
        }
        [colour @ .., b'm' | b'K'] => {
            let numbers =
                colour.iter().rev().take(16).take_while(|octet| octet.is_ascii_digit() || **octet == b';');
            colour[..colour.len() - numbers.count()].ends_with(b"\x1b[")
        }
        [.., b'=' | b'%', _, _] => octet(text, text.len() - 2).is_some_and(|(_, octet)| parts(octet)),
        _ => false,
    }
}
