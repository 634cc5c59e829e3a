//! Base64 that may contain a separator: its letters as any view may show them.

use super::super::tokens::{EARLIER, LATER, PLACES};
use super::signs::{Class, NO_LETTER, Next, Signs};
use crate::message::walk::transfer::base64_value;

/// The number of letters of base64 that are decoded.
const LETTERS: usize = 9;

/// Whether base64 may contain a separator with a domain that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    No,
    /// If an escape in it is decoded.
    Escaped,
    Plain,
}

/// Letters of base64 that were read.
struct Letters {
    count: usize,
    /// How many came before the first escape.
    plain: Option<usize>,
    /// Others may follow.
    is_cut: bool,
    /// Whether it matters how a plus is read.
    has_plus: bool,
}

impl Signs<'_> {
    /// Whether base64 that begins at `at` may begin with an `@` and a domain that matters.
    pub(super) fn token(&self, at: usize) -> Token {
        self.token_after([0; LETTERS + 4], 0, at)
    }

    /// Whether an escape that stands for this octet may belong to such base64.
    pub(super) fn is_in_token(&self, start: usize, end: usize, octet: u8) -> bool {
        if base64_value(octet).is_none() {
            return false;
        }
        let is_letter = |octet: &&u8| base64_value(**octet).is_some();
        let before = self.text[..start].iter().rev().take(3).take_while(is_letter).count();
        let mut all = [0; LETTERS + 4];
        all[..before].copy_from_slice(&self.text[start - before..start]);
        all[before] = octet;
        self.token_after(all, before + 1, end) != Token::No
    }

    /// The same of base64 of which so many letters were read. All of them can be the first one.
    fn token_after(&self, mut all: [u8; LETTERS + 4], known: usize, at: usize) -> Token {
        let mut token = Token::No;
        // A plus after an escaped line end is a letter or a blank.
        for skips_plus in [false, true] {
            let letters = self.letters(at, &mut all[known..], skips_plus);
            let all = &all[..known + letters.count];
            let holds =
                |all: &[u8], is_cut| (0..known.max(1)).any(|from| self.holds_domain(&all[from..], is_cut));
            // Where escapes are not decoded, the first one ends it.
            if letters
                .plain
                .map_or_else(|| holds(all, letters.is_cut), |plain| holds(&all[..known + plain], false))
            {
                return Token::Plain;
            }
            if letters.plain.is_some() && holds(all, letters.is_cut) {
                token = Token::Escaped;
            }
            if !letters.has_plus {
                break;
            }
        }
        token
    }

    /// Reads letters of base64.
    fn letters(&self, mut at: usize, letters: &mut [u8], skips_plus: bool) -> Letters {
        let mut read = Letters { count: 0, plain: None, is_cut: false, has_plus: false };
        let mut after_line = false;
        while read.count < letters.len() {
            let octet = match self.peek(at, 0) {
                Next::Plain(b'+', end) if after_line => {
                    read.has_plus = true;
                    at = end;
                    if skips_plus {
                        continue;
                    }
                    b'+'
                }
                Next::Plain(octet, end) => {
                    at = end;
                    octet
                }
                Next::Blank if after_line => {
                    at += 1;
                    continue;
                }
                Next::Blank | Next::End => return read,
                Next::Unknown => {
                    read.is_cut = true;
                    return read;
                }
                Next::Sign(sign) => match self.class(self.text[sign], sign + 1, 1) {
                    Class::Literal | Class::Wide(_) | Class::Narrow(_, NO_LETTER) => return read,
                    Class::Hot | Class::Narrow(_, 0) => {
                        read.plain = read.plain.or(Some(read.count));
                        read.is_cut = true;
                        return read;
                    }
                    Class::Narrow(end, octet) => {
                        read.plain = read.plain.or(Some(read.count));
                        at = end;
                        if matches!(octet, b'\r' | b'\n' | b' ' | b'\t') {
                            after_line = true;
                            continue;
                        }
                        octet
                    }
                },
            };
            if base64_value(octet).is_none() {
                return read;
            }
            after_line = false;
            letters[read.count] = octet;
            read.count += 1;
        }
        read.is_cut = true;
        read
    }

    fn holds_domain(&self, letters: &[u8], is_cut: bool) -> bool {
        let [first, rest @ ..] = letters else { return is_cut };
        let places = EARLIER[usize::from(*first)]
            & rest.first().map_or(if is_cut { 7 } else { 0 }, |second| LATER[usize::from(*second)]);
        let bits = letters
            .iter()
            .fold(0_u128, |bits, &letter| bits << 6 | base64_value(letter).map_or(0, u128::from));
        PLACES.into_iter().enumerate().filter(|(_, bit)| places & bit != 0).any(|(place, _)| {
            // The `@` begins two bits later for each octet before it.
            let used = (6 * letters.len()).saturating_sub(2 * place);
            #[allow(clippy::cast_possible_truncation)] // octets are cut out of the bits on purpose
            let octet = |index: usize| (bits >> (used - 8 * (index + 1))) as u8;
            let octets: Vec<u8> = (0..used / 8).map(octet).collect();
            match octets.split_first() {
                Some((b'@', domain)) => self.needles.may_begin(domain, is_cut),
                Some(_) => false,
                None => is_cut,
            }
        })
    }
}
