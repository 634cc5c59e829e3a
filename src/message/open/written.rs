//! Addresses written in a text: found around each `@`, each listed once, bounded.

use crate::message::Address;
use indexmap::IndexSet;
use memchr::{memchr, memchr_iter};

/// Maximum number of addresses kept of one leaf.
const MOST: usize = 10_000;
/// Octets searched on each side of an `@`.
const REACH: usize = 320;
/// Octets gathered before they are searched.
const WINDOW: usize = 16 * 1_024;
/// For how many spellings it is noted where their address stands.
const NOTED: usize = 256;

/// The addresses found so far in one text.
#[derive(Debug, Default)]
pub(in crate::message) struct WrittenScan {
    window: Vec<u8>,
    searched: usize,
    /// In their order.
    found: IndexSet<Address>,
    /// Where the address of a spelling stands, plus one, by a hash of the spelling: a thread repeats the same few.
    noted: Vec<usize>,
}

impl WrittenScan {
    /// Takes the next bytes of the text.
    pub(in crate::message) fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(WINDOW) {
            if let Some(last) = piece.last_chunk::<REACH>()
                && memchr(b'@', piece).is_none()
                && memchr(b'@', &self.window[self.searched..]).is_none()
            {
                self.window.clear();
                self.window.extend_from_slice(last);
                self.searched = REACH;
                continue;
            }
            self.window.extend_from_slice(piece);
            if self.window.len() >= WINDOW {
                let until = self.window.len() - REACH;
                self.search(until);
                let keep = until.saturating_sub(REACH);
                self.window.drain(..keep);
                self.searched = until - keep;
            }
        }
    }

    /// Ends the text; returns its addresses in order, at most `most`.
    pub(in crate::message) fn finish(mut self, most: usize) -> Vec<Address> {
        self.search(self.window.len());
        self.found.truncate(most);
        self.found.into_iter().collect()
    }

    fn search(&mut self, until: usize) {
        let start = self.searched.min(until);
        for at in memchr_iter(b'@', &self.window[start..until]) {
            if self.found.len() >= MOST {
                break;
            }
            let Some(text) = around(&self.window, start + at) else { continue };
            let place = place(text);
            let known = self.noted.get(place).and_then(|place| self.found.get_index(place.checked_sub(1)?));
            if known.is_some_and(|known| known.as_str() == text) {
                continue;
            }
            if let Ok(address) = Address::parse(text) {
                let (index, _) = self.found.insert_full(address);
                self.noted.resize(NOTED, 0);
                self.noted[place] = index + 1;
            }
        }
        self.searched = until;
    }
}

/// The place of a spelling among those noted (FNV-1a).
fn place(text: &str) -> usize {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 16) as usize % NOTED
}

/// What looks like an address around this `@`: only plain characters, and a top-level domain of letters, so
/// that `image001.png@01DA3F.7C` in a `cid:` link does not count.
fn around(text: &[u8], at: usize) -> Option<&str> {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-'*!#$".contains(byte);
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let before = text[..at].iter().rev().take(64).take_while(|byte| is_local(byte)).count();
    let mut local = &text[at - before..at];
    while let [b'\'' | b'.' | b'*' | b'-' | b'!' | b'#' | b'$', rest @ ..] = local {
        local = rest;
    }
    let after = text[at + 1..].iter().take(REACH - 65).take_while(|byte| is_domain(byte)).count();
    let mut domain = &text[at + 1..at + 1 + after];
    while let [rest @ .., b'.' | b'-'] = domain {
        domain = rest;
    }
    let last = domain.rsplit(|&byte| byte == b'.').next()?;
    let real = last.len() > 1 && (last.iter().all(u8::is_ascii_alphabetic) || last.starts_with(b"xn--"));
    if local.is_empty() || !real || !domain.contains(&b'.') {
        return None;
    }
    std::str::from_utf8(&text[at - local.len()..=at + domain.len()]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_running_text() {
        let text = "From: 山田 <a@x.jp>, a@X.JP; b@y.example.\r\n<mailto:c@z.co.jp?x> 'd@w.jp' \
                    cid:image001.png@01DA3F.7C1 no@where @twitter e@v.jpさん";
        let mut scan = WrittenScan::default();
        text.as_bytes().chunks(3).for_each(|chunk| scan.feed(chunk));
        let found: Vec<String> = scan.finish(10).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a@x.jp", "b@y.example", "c@z.co.jp", "d@w.jp", "e@v.jp"]);
    }

    /// Addresses anywhere in long stretches without any, a thousand of them again and again: each is found once, in
    /// the order in which they come, whatever the pieces.
    #[test]
    fn addresses_far_apart_and_again_and_again() {
        let address = |number: usize| format!("person{}@host{}.example", number % 997, number % 7);
        let mut text = String::new();
        let mut expected = IndexSet::new();
        for number in 0..2_000 {
            let far = if number % 50 == 0 { 20_000 } else { number % 400 };
            text.push_str(&"no ".repeat(far / 3));
            text.push_str(&address(number));
            text.push(' ');
            expected.insert(address(number));
        }
        for size in [100, 319, 320, 321, 8_192, 50_000] {
            let mut scan = WrittenScan::default();
            text.as_bytes().chunks(size).for_each(|chunk| scan.feed(chunk));
            let found: IndexSet<String> = scan.finish(MOST).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
