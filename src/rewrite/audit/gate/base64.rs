//! Base64 that may contain a separator: its letters as any view may show them.

use super::super::tokens::{EARLIER, LATER, PLACES};
use super::escaped::Escape;
use super::signs::{Next, Signs};
use crate::message::walk::transfer::base64_value;

/// The number of letters of base64 that are decoded.
const LETTERS: usize = 9;

impl Signs<'_> {
    /// Whether base64 that begins at `at` may begin with an `@` and a domain that matters.
    pub(super) fn is_token(&self, mut at: usize) -> bool {
        // Most letters follow each other.
        if let Some(letters) = self.text.get(at..).and_then(|text| text.first_chunk::<LETTERS>())
            && letters.iter().all(|letter| base64_value(*letter).is_some())
        {
            return self.holds_domain(letters, true);
        }
        let mut letters = [0; LETTERS];
        for count in 0..LETTERS {
            let is_cut = match self.peek(at, 0) {
                Next::Plain(octet, end) if base64_value(octet).is_some() => {
                    letters[count] = octet;
                    at = end;
                    continue;
                }
                Next::Plain(..) | Next::Blank | Next::End => false,
                // Views that search base64 decode escapes only near escaped line ends, at which the gate opens.
                Next::Sign(at) => self.escape(self.text[at], at + 1, 0) == Escape::Unknown,
                Next::Unknown => true,
            };
            return self.holds_domain(&letters[..count], is_cut);
        }
        self.holds_domain(&letters, true)
    }

    /// Whether these letters may hold an `@` that begins with the first, and a domain that matters; `is_cut` says that
    /// others may follow.
    fn holds_domain(&self, letters: &[u8], is_cut: bool) -> bool {
        let [first, rest @ ..] = letters else { return is_cut };
        let places = EARLIER[usize::from(*first)]
            & rest.first().map_or(if is_cut { 7 } else { 0 }, |second| LATER[usize::from(*second)]);
        let bits =
            letters.iter().fold(0_u64, |bits, &letter| bits << 6 | base64_value(letter).map_or(0, u64::from));
        PLACES.into_iter().enumerate().filter(|(_, bit)| places & bit != 0).any(|(place, _)| {
            // The `@` begins two bits later for each octet before it.
            let used = (6 * letters.len()).saturating_sub(2 * place);
            let octets = (bits << (u64::BITS as usize - used.max(1))).to_be_bytes();
            match octets[..used / 8].split_first() {
                Some((b'@', domain)) => self.needles.may_begin(domain, is_cut),
                Some(_) => false,
                None => is_cut,
            }
        })
    }
}
