//! Random tokens of 256 bits for sessions, links, sign-in codes and the API. Only their hashes are stored, so
//! that reading the database does not reveal a usable token.

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Length of a token in octets.
const OCTETS: usize = 32;
/// Length of a token as text, in characters.
const LENGTH: usize = 43;

/// A token, as 43 characters that are safe in a URL.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

/// The operating system provides no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system provides no random numbers")]
pub struct NoRandomness;

impl Token {
    /// Generates a token.
    ///
    /// # Errors
    /// The operating system provides no random numbers.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut octets = [0; OCTETS];
        rand::fill(&mut octets).map_err(|_| NoRandomness)?;
        Ok(Self(SecretString::from(URL_SAFE_NO_PAD.encode(octets))))
    }

    /// Parses a token; `None` if the text does not have the form of one.
    pub fn read(text: &str) -> Option<Self> {
        let sound = text.len() == LENGTH
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        sound.then(|| Self(SecretString::from(text.to_owned())))
    }

    /// The token as text.
    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// The hash to store.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.text().as_bytes()])
    }

    /// Derives another secret from this one, which does not reveal it. Each `purpose` gives another secret.
    pub fn derived(&self, purpose: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.text().as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes()).as_ref())
    }
}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; OCTETS]);

impl Digest {
    /// Hashes these pieces with their lengths, so that the boundaries between them matter.
    pub fn of(pieces: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for piece in pieces {
            context.update(&(piece.len() as u64).to_be_bytes());
            context.update(piece);
        }
        let mut octets = [0; OCTETS];
        octets.copy_from_slice(context.finish().as_ref());
        Self(octets)
    }

    /// The hash as text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// Compares two texts in constant time.
pub fn same(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_no_two_are_alike() {
        let (one, two) = (Token::new().unwrap(), Token::new().unwrap());
        assert_ne!(one.text(), two.text());
        assert_eq!(Token::read(one.text()).unwrap().digest(), one.digest());
        assert_ne!(one.derived("csrf"), two.derived("csrf"));
        assert_ne!(one.derived("csrf"), one.derived("other"));
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
        let long = "a".repeat(44);
        for text in ["", "abc", "../../etc/passwd", long.as_str(), &"\u{e9}".repeat(43)] {
            assert!(Token::read(text).is_none(), "{text}");
        }
        assert!(!format!("{one:?}").contains(one.text()));
    }

    #[test]
    fn pieces_do_not_run_together() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
    }
}
