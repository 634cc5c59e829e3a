//! Private keys, RSA (RFC 6376 §3.3) and Ed25519 (RFC 8463): generates, parses and uses them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `rsa-sha256`
    Rsa,
    /// `ed25519-sha256`
    Ed25519,
}

impl Algorithm {
    /// The `a=` tag of a signature.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// The `k=` tag of a record.
    pub fn key_type(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "RSA",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A private key with its domain and selector.
pub struct SigningKey {
    domain: String,
    selector: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text contains no private key.
    #[error("it contains no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    /// The kind of key is not supported by DKIM, or the key is damaged or too small.
    #[error("its key is neither Ed25519 nor RSA of 2048 to 8192 bits")]
    Unfit,
    /// The cryptographic library failed, for example for lack of random numbers.
    #[error("the cryptographic library failed")]
    Failed,
}

impl SigningKey {
    /// Parses a private key in PEM: PKCS#8, or PKCS#1 as older tools write RSA keys. `domain` is an A-label.
    ///
    /// # Errors
    /// There is no private key in the text, or it cannot be used for DKIM.
    pub fn from_pem(domain: &str, selector: &str, pem: &str) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NoKey)?;
        let rsa = |pair| Pair::Rsa(Box::new(pair));
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .map(|pair| Pair::Ed25519(Box::new(pair)))
                    .or_else(|_| rsa::KeyPair::from_pkcs8(der).map(rsa))
            }
            PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()).map(rsa),
            _ => return Err(KeyError::Unfit),
        };
        let pair = pair.map_err(|_| KeyError::Unfit)?;
        Ok(Self { domain: domain.to_owned(), selector: selector.to_owned(), pair })
    }

    /// The domain it signs for (`d=`), as an A-label.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The selector (`s=`).
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public key for the DNS record (`p=`) in base64: the `SubjectPublicKeyInfo` for RSA, the bare key
    /// for Ed25519 (RFC 8463 §4).
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn public(&self) -> Result<String, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Failed)?;
                Ok(STANDARD.encode(der.as_ref()))
            }
            Pair::Ed25519(pair) => Ok(STANDARD.encode(pair.public_key().as_ref())),
        }
    }

    /// Signs canonicalised text. Ed25519 signs the SHA-256 of it (RFC 8463 §3).
    pub(super) fn sign(&self, canonical: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), canonical, &mut signature)
                    .map_err(|_| KeyError::Failed)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => {
                let hash = digest(&SHA256, canonical);
                Ok(pair.try_sign(hash.as_ref()).map_err(|_| KeyError::Failed)?.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// Generates a private key in PEM (PKCS#8). RSA keys have 2048 bits: longer ones may not fit into a UDP
/// answer, and verifiers need not support more (RFC 8301 §3.2).
///
/// # Errors
/// The cryptographic library failed.
pub fn generate(algorithm: Algorithm) -> Result<String, KeyError> {
    let failed = |_| KeyError::Failed;
    match algorithm {
        Algorithm::Rsa => {
            let pair = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
            Ok(pem(der.as_ref()))
        }
        Algorithm::Ed25519 => {
            let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?;
            Ok(pem(document.as_ref()))
        }
    }
}

/// Encodes a PKCS#8 key as PEM, in lines of 64 characters (RFC 7468 §10).
fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_and_read_back() {
        for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
            let pem = generate(algorithm).unwrap();
            assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
            let key = SigningKey::from_pem("a.example", "s", &pem).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let public = STANDARD.decode(key.public().unwrap()).unwrap();
            assert_eq!(public.len(), if algorithm == Algorithm::Rsa { 294 } else { 32 });
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn what_is_no_key_says_so() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (pem, error) in
            [("", KeyError::NoKey), (certificate, KeyError::NoKey), (damaged, KeyError::Unfit)]
        {
            assert_eq!(SigningKey::from_pem("a.example", "s", pem).unwrap_err(), error, "{pem}");
        }
    }
}
