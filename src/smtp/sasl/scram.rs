//! The server side of SCRAM-SHA-256 (RFC 5802, RFC 7677). Client and server prove to each other that they
//! know the password; it is neither sent nor stored.

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::num::NonZeroU32;

/// Length of a SHA-256 hash in octets.
const HASH: usize = 32;
/// PBKDF2 iterations for new keys. RFC 7677 §4 asks for at least 4,096.
pub const ITERATIONS: u32 = 32_768;
/// Longest client nonce that is accepted, in octets.
const MAX_NONCE: usize = 512;

/// What is stored in place of a password (RFC 5802 §3). It can verify a client, but cannot be used to
/// authenticate as the user.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Random salt, different for each user.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations.
    pub iterations: u32,
    /// `StoredKey`: H(ClientKey).
    pub stored: [u8; HASH],
    /// `ServerKey`: HMAC(SaltedPassword, "Server Key").
    pub server: [u8; HASH],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Keys {
    /// Derives the keys from a prepared password (see [`prepared`](super::prepare::prepared)).
    pub fn derive(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let mut salted = [0; HASH];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
        let client = mac(&salted, b"Client Key");
        let stored = hash(&client);
        let server = mac(&salted, b"Server Key");
        Self { salt, iterations: iterations.get(), stored, server }
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; HASH] {
    octets(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref())
}

fn hash(text: &[u8]) -> [u8; HASH] {
    octets(digest::digest(&digest::SHA256, text).as_ref())
}

fn octets(from: &[u8]) -> [u8; HASH] {
    let mut all = [0; HASH];
    all.copy_from_slice(from);
    all
}

/// The client's first message, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFirst {
    /// User name as sent.
    pub user: String,
    /// The GS2 header, such as `n,,`. The final message repeats it.
    header: String,
    /// The message without the GS2 header.
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Parses `n,,n=USER,r=NONCE`.
    pub(super) fn read(message: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "SCRAM's first message is not UTF-8")?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(acting), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("SCRAM's first message is cut short");
        };
        if !matches!(flag, "n" | "y") {
            return Err("SCRAM's channel binding is not offered");
        }
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|part| part.strip_prefix("n=")).and_then(read_name);
        let user = user.ok_or("SCRAM's first message has no valid user name")?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_nonce(nonce)).ok_or("SCRAM's first message has no nonce")?;
        let acts_for_itself = acting.is_empty()
            || acting.strip_prefix("a=").and_then(read_name).is_some_and(|name| name == user);
        if !acts_for_itself {
            return Err("acting for another user is not allowed");
        }
        let header = format!("{flag},{acting},");
        Ok(Self { user, header, nonce: nonce.to_owned(), bare: bare.to_owned() })
    }
}

fn is_nonce(nonce: &str) -> bool {
    (1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Decodes a `saslname` (RFC 5802 §5.1): `=2C` is a comma and `=3D` an equals sign; any other `=` makes
/// it invalid.
pub(super) fn read_name(text: &str) -> Option<String> {
    let decoded = text.replace("=2C", ",").replace("=3D", "\0");
    (!decoded.contains('=') && !text.contains('\0')).then(|| decoded.replace('\0', "="))
}

/// The server's state after its first message.
pub struct Server {
    first: ClientFirst,
    user: String,
    keys: Keys,
    nonce: String,
    sent: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Creates the state from the user's keys and the server's part of the nonce; also returns the
    /// server's first message.
    pub(super) fn new(first: ClientFirst, user: String, keys: Keys, nonce: &str) -> (Self, Vec<u8>) {
        let nonce = format!("{}{nonce}", first.nonce);
        let sent = format!("r={nonce},s={},i={}", BASE64.encode(&keys.salt), keys.iterations);
        let challenge = sent.clone().into_bytes();
        (Self { first, user, keys, nonce, sent }, challenge)
    }

    /// The user name in prepared form.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Checks the client's final message. Returns the server's signature, or `None` if the proof is wrong.
    pub(super) fn verify(&self, message: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "SCRAM's final message is not UTF-8")?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("SCRAM's final message has no proof")?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let header = binding.and_then(|binding| BASE64.decode(binding).ok());
        if header.as_deref() != Some(self.first.header.as_bytes()) {
            return Err("SCRAM's final message does not match the first");
        }
        if attributes.next().and_then(|part| part.strip_prefix("r=")) != Some(self.nonce.as_str()) {
            return Err("SCRAM's final message has another nonce");
        }
        let proof = BASE64.decode(proof).ok().filter(|proof| proof.len() == HASH);
        let proof = proof.ok_or("SCRAM's proof is malformed")?;
        let all = format!("{},{},{without_proof}", self.first.bare, self.sent);
        let signature = mac(&self.keys.stored, all.as_bytes());
        let client: Vec<u8> = proof.iter().zip(signature).map(|(one, other)| one ^ other).collect();
        if constant_time::verify_slices_are_equal(&hash(&client), &self.keys.stored).is_err() {
            return Ok(None);
        }
        let signature = mac(&self.keys.server, all.as_bytes());
        Ok(Some(format!("v={}", BASE64.encode(signature)).into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3.
    fn example() -> (Server, String) {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::derive("pencil", salt, NonZeroU32::new(4_096).unwrap());
        let first = ClientFirst::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let user = first.user.clone();
        let (server, challenge) = Server::new(first, user, keys, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        (server, String::from_utf8(challenge).unwrap())
    }

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    #[test]
    fn the_example_of_rfc_7677() {
        let (server, challenge) = example();
        assert_eq!(challenge, format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last = format!("c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let signature = server.verify(last.as_bytes()).unwrap().unwrap();
        assert_eq!(String::from_utf8(signature).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_is_not_the_proof_is_none() {
        let (server, _) = example();
        let zero = BASE64.encode([0; HASH]);
        let cases = [
            (format!("c=biws,r={NONCE},p={zero}"), Ok(None)),
            (format!("c=eSws,r={NONCE},p={zero}"), Err("SCRAM's final message does not match the first")),
            (format!("c=biws,r={NONCE}x,p={zero}"), Err("SCRAM's final message has another nonce")),
            (format!("c=biws,r={NONCE},p=AAAA"), Err("SCRAM's proof is malformed")),
            (format!("c=biws,r={NONCE}"), Err("SCRAM's final message has no proof")),
        ];
        for (message, expected) in cases {
            assert_eq!(server.verify(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        let keys = Keys::derive("pencil", vec![7; 16], NonZeroU32::MIN);
        assert_eq!(format!("{keys:?}"), "Keys { iterations: 1, .. }");
    }
}
