//! A certificate chain and its key, read from two files.

use super::facts::Facts;
use super::pem::certificates_in;
use super::{Trouble, read};
use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest chain accepted; real ones have three or four certificates.
const LONGEST_CHAIN: usize = 16;

/// The files of a chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PairFiles {
    /// The certificate, followed by its intermediate certificates (PEM).
    pub chain: PathBuf,
    /// The private key (PEM).
    pub key: PathBuf,
}

/// A chain and its key that fit together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The files they were read from.
    pub files: PairFiles,
    /// The contents of the certificate.
    pub facts: Facts,
    /// Number of certificates in the chain.
    pub length: usize,
    pub(super) key: Arc<CertifiedKey>,
}

impl Pair {
    /// Reads both files and checks that they belong together. It does not check whether the certificate
    /// has expired.
    ///
    /// # Errors
    /// A file cannot be read or parsed, the kind of key is not supported, or the key is for another
    /// certificate.
    pub fn read(files: &PairFiles, provider: &CryptoProvider) -> Result<Self, Trouble> {
        Self::of(files, &read(&files.chain)?, &read(&files.key)?, provider)
    }

    /// Does the same with contents in memory; `files` are for errors.
    pub(super) fn of(
        files: &PairFiles,
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, Trouble> {
        let chain = certificates_in(&files.chain, chain, LONGEST_CHAIN)?;
        let key = key_in(&files.key, key)?;
        let wrong_key = |why: &str| Trouble::new(&files.key, why);
        let key = provider.key_provider.load_private_key(key).map_err(|_| {
            wrong_key("its key is not of a supported kind: RSA from 2048 bits, ECDSA P-256 or P-384, Ed25519")
        })?;
        let facts = Facts::of(&chain[0]).map_err(|why| Trouble::new(&files.chain, why))?;
        let length = chain.len();
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(mismatch(files, &certified)),
            Err(error) => return Err(Trouble::new(&files.chain, format!("its certificate: {error}"))),
        }
        Ok(Self { files: files.clone(), facts, length, key: Arc::new(certified) })
    }
}

/// The error for a key that belongs to another certificate, perhaps to a later one in the chain.
fn mismatch(files: &PairFiles, certified: &CertifiedKey) -> Trouble {
    let key = files.key.display();
    let later = certified.cert.iter().skip(1).any(|other| {
        let alone = CertifiedKey::new(vec![other.clone()], Arc::clone(&certified.key));
        alone.keys_match().is_ok()
    });
    let why = if later {
        format!(
            "the certificate that belongs to {key} is not the first in it: put the host's own certificate first, then its issuer's"
        )
    } else {
        format!("its certificate does not belong to the key in {key}: take the two from the same issue")
    };
    Trouble::new(&files.chain, why)
}

fn key_in(file: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Trouble> {
    if memchr::memmem::find(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some()
        || memchr::memmem::find(text, b"Proc-Type: 4,ENCRYPTED").is_some()
    {
        return Err(Trouble::new(
            file,
            "its key is encrypted, which is not supported: decrypt it with `openssl pkey`, mode 0600",
        ));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => Trouble::new(
            file,
            "there is no private key in it: it must be PEM, with -----BEGIN PRIVATE KEY-----",
        ),
        error => Trouble::new(file, format!("it is not valid PEM: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::tls::selfsigned;
    use rustls::crypto::aws_lc_rs;

    #[test]
    fn what_is_wrong_with_the_files_is_said_with_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        let one = selfsigned::make(&["one.example".into()], 30, Timestamp(0)).unwrap();
        let two = selfsigned::make(&["two.example".into()], 30, Timestamp(0)).unwrap();
        write("one.pem", &one.chain);
        write("one.key", &one.key);
        write("both.pem", &format!("{}{}", one.key, one.chain));
        write("two.key", &two.key);
        write("two-one.pem", &format!("{}{}", two.chain, one.chain));
        write("empty", "");
        write("cut.pem", &one.chain[..one.chain.len() - 30]);
        write(
            "locked.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        write("odd.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let cases = [
            ("one.pem", "one.key", ""),
            ("both.pem", "both.pem", ""),
            ("one.pem", "two.key", "one.pem: its certificate does not belong to the key"),
            ("two-one.pem", "one.key", "two-one.pem: the certificate that belongs to"),
            ("empty", "one.key", "empty: there is no certificate in it"),
            ("one.key", "one.key", "one.key: there is no certificate in it"),
            ("cut.pem", "one.key", "cut.pem: it is not valid PEM"),
            ("none.pem", "one.key", "none.pem: it cannot be read: No such file or directory"),
            ("one.pem", "none.key", "none.key: it cannot be read"),
            ("one.pem", "one.pem", "one.pem: there is no private key in it"),
            ("one.pem", "locked.key", "locked.key: its key is encrypted"),
            ("one.pem", "odd.key", "odd.key: its key is not of a supported kind"),
        ];
        let provider = aws_lc_rs::default_provider();
        for (chain, key, expected) in cases {
            let files = PairFiles { chain: path(chain), key: path(key) };
            match Pair::read(&files, &provider) {
                Ok(pair) => {
                    assert_eq!(expected, "", "{chain} {key}");
                    assert_eq!(pair.facts.names, ["one.example"]);
                }
                Err(trouble) => {
                    let said = trouble.to_string();
                    assert!(!expected.is_empty() && said.contains(expected), "{chain} {key}: {said}");
                }
            }
        }
    }
}
