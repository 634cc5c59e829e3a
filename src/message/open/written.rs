//! Addresses written in a text: found around each `@`, each listed once, bounded.

use crate::message::Address;
use indexmap::IndexSet;
use memchr::memchr_iter;

/// Maximum number of addresses kept of one leaf.
const MOST: usize = 10_000;
/// Octets searched on each side of an `@`.
const REACH: usize = 320;
/// Octets gathered before they are searched.
const WINDOW: usize = 16 * 1_024;

/// The addresses found so far in one text.
#[derive(Debug, Default)]
pub(in crate::message) struct WrittenScan {
    window: Vec<u8>,
    searched: usize,
    /// In their order.
    found: IndexSet<Address>,
}

impl WrittenScan {
    /// Takes the next bytes of the text.
    pub(in crate::message) fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(WINDOW) {
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
            if let Some(text) = around(&self.window, start + at)
                && let Ok(address) = Address::parse(text)
            {
                self.found.insert(address);
            }
        }
        self.searched = until;
    }
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
}
