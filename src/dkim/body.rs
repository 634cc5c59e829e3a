//! The body hash (`bh=`): relaxed canonicalisation (RFC 6376 §3.4.4) and SHA-256 of a body that arrives in
//! chunks of any size.

use aws_lc_rs::digest::{Context, SHA256};
use memchr::memchr3;

/// The SHA-256 of a canonicalised body.
pub type BodyHash = [u8; 32];

/// Canonicalised octets are buffered up to this size, because hashing small pieces is slow.
const GATHER: usize = 16 * 1024;
/// The empty line that ends a header.
const SEPARATOR: &[u8] = b"\r\n";

/// Hashes a body as the store keeps it. It begins with the empty line that ends the header, which is not
/// part of the signed body.
#[derive(Clone)]
pub struct BodyHasher {
    digest: Context,
    gathered: Vec<u8>,
    /// Octets of [`SEPARATOR`] still to come.
    separator: usize,
    /// Line ends seen and not yet written, because those at the end of the body are dropped.
    ends: u64,
    /// Whether whitespace was seen and not yet written, because it is dropped before a line end.
    blank: bool,
    /// Whether the last chunk ended in a CR.
    cr: bool,
    /// Whether anything was written.
    begun: bool,
}

impl Default for BodyHasher {
    fn default() -> Self {
        Self {
            digest: Context::new(&SHA256),
            gathered: Vec::with_capacity(GATHER + 1024),
            separator: SEPARATOR.len(),
            ends: 0,
            blank: false,
            cr: false,
            begun: false,
        }
    }
}

impl BodyHasher {
    /// The hash of a body in memory.
    pub fn whole(body: &[u8]) -> BodyHash {
        let mut hasher = Self::default();
        hasher.feed(body);
        hasher.finish()
    }

    /// Adds the next octets.
    pub fn feed(&mut self, chunk: &[u8]) {
        let skipped = self.separator.min(chunk.len());
        self.separator -= skipped;
        let mut rest = &chunk[skipped..];
        if self.cr
            && let Some(&next) = rest.first()
        {
            self.cr = false;
            if next == b'\n' {
                self.line_ends();
                rest = &rest[1..];
            } else {
                self.text(b"\r");
            }
        }
        while !rest.is_empty() {
            let at = memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
            if at > 0 {
                self.text(&rest[..at]);
            }
            rest = match &rest[at..] {
                [] => return,
                [b'\r', b'\n', after @ ..] => {
                    self.line_ends();
                    after
                }
                [b'\r'] => {
                    self.cr = true;
                    return;
                }
                [b'\r', after @ ..] => {
                    self.text(b"\r");
                    after
                }
                [_, after @ ..] => {
                    self.blank = true;
                    after
                }
            };
        }
    }

    fn line_ends(&mut self) {
        self.blank = false;
        self.ends += 1;
    }

    fn text(&mut self, octets: &[u8]) {
        while self.ends > 0 {
            self.ends -= 1;
            self.gathered.extend_from_slice(b"\r\n");
            self.spill();
        }
        if std::mem::take(&mut self.blank) {
            self.gathered.push(b' ');
        }
        self.gathered.extend_from_slice(octets);
        self.begun = true;
        self.spill();
    }

    fn spill(&mut self) {
        if self.gathered.len() >= GATHER {
            self.digest.update(&self.gathered);
            self.gathered.clear();
        }
    }

    /// Ends the body and returns its hash. The last line gets a CRLF if it has none, empty lines at the end
    /// are dropped, and an empty body stays empty.
    pub fn finish(mut self) -> BodyHash {
        if std::mem::take(&mut self.cr) {
            self.text(b"\r");
        }
        if self.begun {
            self.gathered.extend_from_slice(b"\r\n");
        }
        self.digest.update(&self.gathered);
        let mut hash = BodyHash::default();
        let digest = self.digest.finish();
        hash.copy_from_slice(digest.as_ref());
        hash
    }
}

impl std::fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::digest;
    use proptest::prelude::*;

    fn sha(canonical: &[u8]) -> Vec<u8> {
        digest(&SHA256, canonical).as_ref().to_vec()
    }

    fn stored(body: &[u8]) -> Vec<u8> {
        [SEPARATOR, body].concat()
    }

    /// A simple implementation of the same rules, for comparison.
    fn by_the_book(body: &[u8]) -> Vec<u8> {
        let text: String = body.iter().map(|byte| char::from(*byte)).collect();
        let mut lines: Vec<String> = Vec::new();
        for line in text.split("\r\n") {
            let mut plain = String::new();
            for letter in line.chars() {
                match letter {
                    ' ' | '\t' if plain.ends_with(' ') => {}
                    ' ' | '\t' => plain.push(' '),
                    other => plain.push(other),
                }
            }
            lines.push(plain.trim_end_matches(' ').to_owned());
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let canonical = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect::<String>();
        canonical.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
    }

    #[test]
    fn bodies_become_canonical() {
        for (body, canonical) in [
            (&b""[..], &b""[..]),
            (b"\r\n\r\n", b""),
            (b" \t\r\n \r\n", b""),
            // RFC 6376 §3.4.5
            (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
            (b"no end", b"no end\r\n"),
            (b"\r\n\r\nx", b"\r\n\r\nx\r\n"),
            (b"a\r\n \r\nb\r\n", b"a\r\n\r\nb\r\n"),
            (b"a\rb\nc\r", b"a\rb\nc\r\r\n"),
        ] {
            assert_eq!(BodyHasher::whole(&stored(body)).to_vec(), sha(canonical), "{body:?}");
        }
        // A message that ends with its header has an empty body.
        assert_eq!(BodyHasher::whole(b"").to_vec(), sha(b""));
    }

    #[test]
    fn a_body_beyond_what_is_gathered_is_hashed_whole() {
        let line = b"0123456789  abcdefghij\t \r\n".repeat(4_000);
        assert_eq!(BodyHasher::whole(&stored(&line)).to_vec(), sha(&by_the_book(&line)));
    }

    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => Just(&b"\r\n"[..]),
            2 => Just(&b" "[..]),
            1 => Just(&b"\t"[..]),
            1 => Just(&b"\r"[..]),
            1 => Just(&b"\n"[..]),
            3 => Just(&b"x"[..]),
            1 => Just(&b"\xe3\x81\x82"[..]),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_hash_of_the_canonical_whole(body in bodies(), cuts in proptest::collection::vec(0usize..200, 0..8)) {
            let body = stored(&body);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < body.len()).collect();
            cuts.push(body.len());
            cuts.sort_unstable();
            let mut hasher = BodyHasher::default();
            let mut from = 0;
            for cut in cuts {
                hasher.feed(&body[from..cut]);
                from = cut;
            }
            prop_assert_eq!(hasher.finish().to_vec(), sha(&by_the_book(&body[2..])));
        }
    }
}
