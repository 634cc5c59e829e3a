//! Secrets that are handed out (sessions, links, codes, tokens of the API): 256 random bits. What is
//! kept of one is its hash, so that whoever reads the database can use none.

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Octets of a secret.
const OCTETS: usize = 32;
/// Characters of a secret as text.
const LENGTH: usize = 43;

/// A secret, as text of 43 characters that may stand in a URL.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

/// The system gives no random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bits")]
pub struct NoRandomness;

impl Token {
    /// A fresh one.
    pub fn new() -> Result<Self, NoRandomness> {
        let mut octets = [0; OCTETS];
        rand::fill(&mut octets).map_err(|_| NoRandomness)?;
        Ok(Self(SecretString::from(URL_SAFE_NO_PAD.encode(octets))))
    }

    /// What somebody shows; `None` where it has not the form of one.
    pub fn read(text: &str) -> Option<Self> {
        let sound = text.len() == LENGTH
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        sound.then(|| Self(SecretString::from(text.to_owned())))
    }

    /// The text to hand out.
    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.text().as_bytes()])
    }

    /// A second secret that follows from this one, and tells nothing of it.
    pub fn derived(&self, purpose: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.text().as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, purpose.as_bytes()).as_ref())
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; OCTETS]);

impl Digest {
    /// Of these pieces: where one ends and the next begins counts.
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

    /// As text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// Whether two texts are the same, without telling by the time where they part.
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
