//! Where the header of a message ends: found here and nowhere else, in a whole message or while it arrives.

use bytes::{Bytes, BytesMut};

/// Largest header block in octets (`docs/PROMISES.md` promise 4).
pub const MAX_HEADER: usize = 1024 * 1024;

/// The header block is larger than [`MAX_HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header is larger than {MAX_HEADER} octets")]
pub struct HeaderTooLarge;

/// The length of the header block of a whole message: it ends before the first empty line (RFC 5322 §2.1), with
/// which the body begins. Without such a line, all of it is header.
pub fn header_length(message: &[u8]) -> usize {
    end(message, 0).unwrap_or(message.len())
}

/// Header and body of a whole message.
///
/// # Errors
/// The header is larger than [`MAX_HEADER`].
pub fn split(message: &Bytes) -> Result<(Bytes, Bytes), HeaderTooLarge> {
    let at = header_length(message);
    if at > MAX_HEADER {
        return Err(HeaderTooLarge);
    }
    Ok((message.slice(..at), message.slice(at..)))
}

/// The header of a message that arrives: gathered until it is complete.
#[derive(Debug, Default)]
pub struct Gathering {
    gathered: BytesMut,
    /// Octets that were searched for the end.
    searched: usize,
}

impl Gathering {
    /// Takes the next octets. Once the header is complete, returns it, with the octets of the body that came
    /// with it; after that, and after an error, nothing more is fed.
    ///
    /// # Errors
    /// The header is larger than [`MAX_HEADER`].
    pub fn feed(&mut self, octets: &[u8]) -> Result<Option<(Bytes, Bytes)>, HeaderTooLarge> {
        self.gathered.extend_from_slice(octets);
        let found = end(&self.gathered, self.searched);
        self.searched = self.gathered.len();
        match found {
            Some(at) if at <= MAX_HEADER => {
                let header = self.gathered.split_to(at).freeze();
                Ok(Some((header, self.gathered.split().freeze())))
            }
            None if self.gathered.len() <= MAX_HEADER => Ok(None),
            _ => Err(HeaderTooLarge),
        }
    }

    /// The content has ended without an empty line: all of it is header.
    pub fn end(&mut self) -> Bytes {
        self.gathered.split().freeze()
    }

    /// Octets gathered so far.
    pub fn octets(&self) -> usize {
        self.gathered.len()
    }
}

/// The offset of the empty line after the header. The first `searched` octets are known to have none.
fn end(octets: &[u8], searched: usize) -> Option<usize> {
    if octets.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = searched.saturating_sub(3);
    memchr::memmem::find(&octets[from..], b"\r\n\r\n").map(|at| from + at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_ends_before_the_first_empty_line() {
        for (message, header) in [
            ("", ""),
            ("\r\nbody\r\n\r\n", ""),
            ("A: 1\r\n", "A: 1\r\n"),
            ("A: 1\r\n\r\n", "A: 1\r\n"),
            ("A: 1\r\nB: 2\r\n\r\nC: 3\r\n\r\n", "A: 1\r\nB: 2\r\n"),
            ("A: 1\n\nx\r\n\r\n", "A: 1\n\nx\r\n"),
        ] {
            assert_eq!(header_length(message.as_bytes()), header.len(), "{message:?}");
        }
    }

    #[test]
    fn a_header_may_be_as_large_as_the_limit() {
        for (octets, fits) in [(MAX_HEADER, true), (MAX_HEADER + 1, false)] {
            let mut message = vec![b'x'; octets - 2];
            message.extend_from_slice(b"\r\n\r\nbody");
            assert_eq!(split(&Bytes::from(message.clone())).is_ok(), fits);
            for size in [8 * 1_024, message.len()] {
                let mut gathering = Gathering::default();
                let taken = message.chunks(size).try_fold(None, |found, piece| match found {
                    Some(found) => Ok(Some(found)),
                    None => gathering.feed(piece),
                });
                assert_eq!(taken.is_ok(), fits, "{octets} in pieces of {size}");
            }
        }
        let mut endless = Gathering::default();
        assert_eq!(endless.feed(&vec![b'x'; MAX_HEADER]), Ok(None));
        assert_eq!(endless.feed(b"x"), Err(HeaderTooLarge));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_end_is_the_same(message in "([A-C]|\r\n|\r|\n){0,40}", size in 1_usize..7) {
            let message = message.as_bytes();
            let mut gathering = Gathering::default();
            let mut found = None;
            let mut rest = Vec::new();
            for piece in message.chunks(size) {
                match &found {
                    Some(_) => rest.extend_from_slice(piece),
                    None => if let Some((header, body)) = gathering.feed(piece).unwrap() {
                        rest.extend_from_slice(&body);
                        found = Some(header);
                    },
                }
            }
            let header = found.unwrap_or_else(|| gathering.end());
            let (whole, body) = split(&Bytes::copy_from_slice(message)).unwrap();
            prop_assert_eq!((&header[..], &rest[..]), (&whole[..], &body[..]));
        }
    }
}
