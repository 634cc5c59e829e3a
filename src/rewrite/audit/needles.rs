//! The addresses that are searched for, indexed so that each `@` in a text costs one or two lookups.
//!
//! Every written form of an address has a separator between local part and domain. The search jumps
//! from separator to separator, asks whether what follows is a domain that matters, and only then
//! looks at what stands before. Its cost does not depend on how many addresses are searched for.

use super::escapes::octet;
use crate::message::Address;
use std::collections::HashMap;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// Blanks tolerated around an `@` (RFC 5322 §4.4 allows them, people fold there).
const BLANKS: usize = 8;
/// Longest domain looked at, in octets of text; a U-label in UTF-8 is longer than its A-label.
const DOMAIN: usize = 512;
/// Octets before an `@` that are looked at, at least.
const LOCAL: usize = 64;
/// Longest local part for which views may sleep.
const PLAIN_LOCAL: usize = 256;

/// Endings of file names that are top-level domains too. Others are known by not being any, so that
/// `a@example.jp.pdf` is found while `a@example.com.br` is another address.
const FILE_ENDINGS: [&str; 2] = ["zip", "mov"];

/// The addresses to search for: built once a message, shared by body scan and header audits.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    addresses: Vec<Address>,
    /// Comparison key to position.
    keys: HashMap<Box<str>, u32>,
    /// A-label domains, and their Unicode forms, to the A-label.
    domains: HashMap<Box<str>, Box<str>>,
    /// Some local part is not ASCII.
    wide_locals: bool,
    /// Some domain has a Unicode form.
    wide_domains: bool,
    longest_local: usize,
    /// Some local part must be quoted, or is very long.
    odd_locals: bool,
    /// The octets with which a domain that matters may begin.
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

/// One candidate around a separator.
pub(super) struct Spot<'a> {
    /// The text.
    pub(super) text: &'a [u8],
    /// Where the separator is.
    pub(super) at: usize,
    /// Octets as they came, of whatever encoding: a soft line break of quoted-printable ends no word, for the
    /// words stand in the decoded text, too.
    pub(super) is_raw: bool,
}

impl Needles {
    /// Builds the search for these addresses (up to tens of thousands).
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
            // Forms of a letter that fold to another.
            (0x80..=0xff).for_each(|octet| needles.starts.add(octet));
        }
        needles.addresses = addresses;
        needles
    }

    /// What is searched for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Octets around a separator that decide whether it is a hit.
    pub(super) fn reach(&self) -> usize {
        self.longest_local.max(DOMAIN) + 2 * BLANKS + 16
    }

    /// The address written around this separator, if it is one of ours.
    pub(super) fn at(&self, spot: &Spot<'_>) -> Option<u32> {
        let blanks = spot.text[spot.at] == b'@';
        let start = if blanks { skip_blanks(spot.text, spot.at + 1) } else { spot.at + 1 };
        if !self.starts.0[usize::from(*spot.text.get(start)?)] {
            return None;
        }
        if spot.is_raw && goes_on(&spot.text[start..]) {
            return None;
        }
        self.domains_at(&spot.text[start..])
            .into_iter()
            .flatten()
            .find_map(|domain| self.local_before(spot, domain))
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

    /// Whether the beginning of a domain that matters may stand here, or is too far to be seen. UTF-16 has a
    /// zero before each letter or behind it.
    pub(super) fn may_follow(&self, text: &[u8]) -> bool {
        let start = skip_blanks(text, 0);
        text.get(start).is_none_or(|&first| first == 0 || self.starts.0[usize::from(first)])
    }

    /// Whether a domain that matters stands here; `goes_on` says that the text is cut off at its end.
    pub(super) fn may_be_followed(&self, text: &[u8], goes_on: bool) -> bool {
        let domain = &text[skip_blanks(text, 0)..];
        // What is cut off, or UTF-16, cannot be told.
        let whole = domain.iter().any(|&octet| octet < 0x80 && !is_domain(octet) && octet != b'[');
        domain.first().is_none_or(|&first| first == 0)
            || (goes_on && !whole)
            || self.domains_at(domain).iter().any(Option::is_some)
    }

    /// The domains (in comparison form) that the text may begin with, longest first.
    fn domains_at(&self, text: &[u8]) -> [Option<&str>; 3] {
        let text = &text[..text.len().min(DOMAIN)];
        if text.first() == Some(&b'[') {
            let literal = text.split_inclusive(|&byte| byte == b']').next().unwrap_or(text);
            return [self.domain(&String::from_utf8_lossy(literal).to_lowercase()), None, None];
        }
        let end = text.iter().position(|&byte| !is_domain(byte)).unwrap_or(text.len());
        // In a zip file, the next entry begins right behind a name.
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

    /// The whole run, or what is left of it without endings that cannot belong to a domain. `written` is
    /// the run as it stands in the text.
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
            // `x.jp-` or `x.jp_` and more: the label up to there may be the real end.
            run = match last.split_once(['-', '_']) {
                Some((label, _)) if !label.is_empty() => &run[..before.len() + 1 + label.len()],
                _ => before,
            };
        }
    }

    /// A domain with letters beyond ASCII: the longest beginning that is known.
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

    /// Whether one of our local parts of this domain stands before the separator.
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
        self.longest_of(text, start..end, domain, (wide, is_verp, spot.is_raw))
    }

    /// The longest ending of the run that is a known local part and begins at an edge.
    ///
    /// A known address always wins over a shorter one at its end: `info-sales@` is not `sales@`.
    fn longest_of(
        &self,
        text: &[u8],
        run: Range<usize>,
        domain: &str,
        (wide, is_verp, is_raw): (bool, bool, bool),
    ) -> Option<u32> {
        let mut key = String::with_capacity(run.len() + 1 + domain.len());
        let is_edge = |start| is_edge(text, start, is_verp) && !(is_raw && goes_before(&text[..start]));
        run.clone().filter(|&start| is_edge(start)).find_map(|start| {
            key.clear();
            let local = &text[start..run.end];
            if wide {
                key.push_str(&fold(&String::from_utf8_lossy(local)));
            } else {
                // An octet beyond ASCII becomes a letter that no key has here.
                key.extend(local.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            }
            key.push('@');
            key.push_str(domain);
            self.keys.get(key.as_str()).copied()
        })
    }

    /// `"local part"@domain`: `before` ends where the closing quote was.
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

/// Unicode in comparison form: NFKC, lower case.
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

/// Whether a label ends domains: a top-level domain that the list of public suffixes knows, or what
/// may be one in the form of an A-label.
fn is_top_level(label: &str) -> bool {
    label.starts_with("xn--")
        || (psl::suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known())
            && !FILE_ENDINGS.contains(&label))
}

/// Whether the dot at `dot` ends a sentence and the next begins without a blank, `p@x.jp.It is`.
fn begins_sentence(written: &[u8], dot: usize) -> bool {
    let label = written[..dot].rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let small = label.first().is_some_and(u8::is_ascii_lowercase);
    small && written.get(dot + 1).is_some_and(u8::is_ascii_uppercase)
}

/// Where the last label, which begins at `start`, ends if the next word follows without a blank: `p@x.jpTel`.
fn ends_before_capital(written: &[u8], start: usize) -> Option<usize> {
    let pairs = written.get(start..)?.windows(2);
    let end =
        pairs.take_while(|pair| pair[0].is_ascii_lowercase()).position(|pair| pair[1].is_ascii_uppercase());
    end.map(|at| start + at + 1)
}

/// Whether the domain at the beginning of this text goes on behind a soft line break of quoted-printable.
fn goes_on(text: &[u8]) -> bool {
    let end = text.iter().take(DOMAIN).take_while(|byte| is_domain(**byte)).count();
    match &text[end..] {
        [b'=', b'\r', b'\n', next, ..] | [b'=', b'\n', next, ..] => is_domain(*next),
        _ => false,
    }
}

/// Whether a soft line break of quoted-printable ends here, within a word, or before what joins one.
fn goes_before(text: &[u8]) -> bool {
    let joins = |byte: u8| b"._-+".contains(&byte);
    let text = text.split_last().filter(|(last, _)| joins(**last)).map_or(text, |(_, before)| before);
    let line = text.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let last = line.and_then(|line| line.strip_suffix(b"=")).and_then(<[u8]>::last);
    last.is_some_and(|byte| byte.is_ascii_alphanumeric() || joins(*byte))
}

/// Whether an address may begin here. Letters and digits before it make it another address, and so
/// does a dot, hyphen, plus or underscore that joins it to some; any other character is in doubt, so
/// it may. Bounce addresses put a name of their own before `local=domain`, with a hyphen or a plus.
fn is_edge(text: &[u8], start: usize, is_verp: bool) -> bool {
    let before = |back: usize| start.checked_sub(back).map(|at| text[at]);
    match before(1) {
        // The shift back to ASCII in ISO-2022-JP, `ESC ( B`, is no letter.
        Some(b'B' | b'J' | b'I') if before(2) == Some(b'(') && before(3) == Some(0x1b) => true,
        Some(byte) if byte.is_ascii_alphanumeric() => ends_escape(&text[..start]),
        Some(b'-' | b'+') if is_verp => true,
        Some(b'.' | b'_' | b'-' | b'+') => {
            !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric()) || ends_escape(&text[..start - 1])
        }
        // Not in the middle of a character.
        Some(byte) if byte >= 0x80 => text.get(start).is_none_or(|next| !(0x80..0xc0).contains(next)),
        _ => true,
    }
}

/// Whether the text ends in an escape that stands for something that parts words: `\n` of many formats,
/// `\012` of C, `=0A` of quoted-printable. It may be a backslash and a word, too: both are searched.
fn ends_escape(text: &[u8]) -> bool {
    let parts = |octet: u8| !(octet.is_ascii_alphanumeric() || b"._+-".contains(&octet));
    match text {
        [.., b'\\', b'a' | b'b' | b'e' | b'f' | b'n' | b'r' | b't' | b'v' | b'N' | b'L' | b'P' | b'0'] => {
            true
        }
        [.., b'\\', first @ b'0'..=b'3', second @ b'0'..=b'7', third @ b'0'..=b'7'] => {
            parts((first - b'0') << 6 | (second - b'0') << 3 | (third - b'0'))
        }
        [.., b'=' | b'%', _, _] => octet(text, text.len() - 2).is_some_and(|(_, octet)| parts(octet)),
        _ => false,
    }
}
