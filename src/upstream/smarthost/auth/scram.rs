//! The client side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding and without I/O.

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};
use std::num::NonZeroU32;
use unicode_normalization::UnicodeNormalization;

/// PBKDF2 iterations that we accept from a server. Fewer are insecure (RFC 7677 §4), and more would cost
/// too much time.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=2_000_000;
/// `n,,` in base64: no channel binding, no separate authorisation identity.
const NO_BINDING: &str = "biws";

/// Our first message. [`Self::prove`] turns it and the server's answer into [`Proven`].
pub(super) struct First {
    bare: String,
    nonce: String,
}

/// Our final message, and the signature expected from the server.
#[derive(Debug)]
pub(super) struct Proven {
    /// Our final message.
    pub(super) message: SecretString,
    signature: [u8; 32],
}

impl First {
    /// The first message for this user. The nonce must be printable ASCII without a comma.
    pub(super) fn new(username: &str, nonce: String) -> Self {
        let name = username.nfkc().collect::<String>().replace('=', "=3D").replace(',', "=2C");
        Self { bare: format!("n={name},r={nonce}"), nonce }
    }

    /// The text of the message.
    pub(super) fn message(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Proves that we know the password. Runs the number of PBKDF2 iterations that the server asks for.
    pub(super) fn prove(&self, server_first: &str, password: &SecretString) -> Result<Proven, &'static str> {
        let (nonce, salt, iterations) =
            challenge(server_first).ok_or("the server's challenge is malformed")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the server's nonce does not begin with ours");
        }
        if !ITERATIONS.contains(&iterations) {
            return Err("the server's iteration count is out of bounds");
        }
        let iterations = NonZeroU32::new(iterations).ok_or("the server's iteration count is zero")?;
        let prepared = SecretString::from(password.expose_secret().nfkc().collect::<String>());
        let mut salted = [0; 32];
        let secret = prepared.expose_secret().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, secret, &mut salted);

        let without_proof = format!("c={NO_BINDING},r={nonce}");
        let all = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let mut proof = client_key;
        for (octet, mask) in proof.iter_mut().zip(mac(stored_key.as_ref(), all.as_bytes())) {
            *octet ^= mask;
        }
        let signature = mac(&mac(&salted, b"Server Key"), all.as_bytes());
        let message = SecretString::from(format!("{without_proof},p={}", BASE64.encode(proof)));
        Ok(Proven { message, signature })
    }
}

impl Proven {
    /// Checks the server's proof that it knows the password.
    pub(super) fn verify(&self, server_final: &str) -> Result<(), &'static str> {
        let signature = server_final
            .split(',')
            .next()
            .and_then(|first| first.strip_prefix("v="))
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or("the server did not prove that it knows the password")?;
        constant_time::verify_slices_are_equal(&signature, &self.signature)
            .map_err(|_| "the server's proof that it knows the password is wrong")
    }
}

/// Parses nonce, salt and iterations. `None` for a mandatory extension (`m=`), which we do not support.
fn challenge(text: &str) -> Option<(&str, Vec<u8>, u32)> {
    let mut fields = text.split(',');
    let nonce = fields.next()?.strip_prefix("r=")?;
    let salt = BASE64.decode(fields.next()?.strip_prefix("s=")?).ok().filter(|salt| !salt.is_empty())?;
    let iterations = fields.next()?.strip_prefix("i=")?.parse().ok()?;
    Some((nonce, salt, iterations))
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn first() -> First {
        First::new("user", "rOprNGfwEbeRWgbNEkqO".to_owned())
    }

    fn pencil() -> SecretString {
        SecretString::from("pencil".to_owned())
    }

    #[test]
    fn the_example_of_rfc_7677() {
        assert_eq!(first().message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proven = first().prove(SERVER_FIRST, &pencil()).unwrap();
        assert_eq!(
            proven.message.expose_secret(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proven.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        for wrong in [
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95GQ==",
            "v=",
            "",
            "e=invalid-proof",
        ] {
            assert!(proven.verify(wrong).is_err(), "{wrong}");
        }
        let other = first().prove(SERVER_FIRST, &SecretString::from("pencils".to_owned())).unwrap();
        assert!(other.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_err());
    }

    #[test]
    fn a_challenge_that_makes_no_sense_is_refused() {
        for wrong in [
            "",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000001",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=x",
            "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
            "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ] {
            assert!(first().prove(wrong, &pencil()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signs_with_a_meaning_are_escaped() {
        assert_eq!(First::new("a=b,c", "x".to_owned()).message(), "n,,n=a=3Db=2Cc,r=x");
    }
}
