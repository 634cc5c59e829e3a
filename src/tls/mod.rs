//! TLS towards clients, and our client certificate towards upstreams.
//!
//! * [`Server`] the handshake with clients; its certificates can be replaced while it runs
//!   ([`Server::replace`])
//! * [`pair`] a certificate chain and its key; [`facts`] the contents of a certificate
//! * `choice` which of several certificates a client gets (SNI)
//! * [`clients`] client certificates: verified after the handshake, matched by name
//! * [`identity`] our client certificate towards upstreams
//! * [`watch`] reloads certificates when their files change
//! * [`selfsigned`] self-signed certificates; [`acme`] certificates by ACME
//!
//! Protocols and ciphers follow Mozilla's "intermediate" profile: TLS 1.2 with ECDHE and AEAD suites, and
//! TLS 1.3. Rustls supports nothing weaker.

pub mod acme;
mod choice;
pub mod clients;
pub mod facts;
pub mod identity;
pub mod pair;
mod pem;
pub mod selfsigned;
mod server;
pub mod watch;

pub use clients::NamePattern;
pub use facts::Facts;
pub use identity::{Identities, Identity};
pub use pair::{Pair, PairFiles};
pub use server::{ClientCas, Peer, Server, Source, stale};

use std::path::{Path, PathBuf};

/// Largest file of certificates or a key, in octets.
const LARGEST_FILE: u64 = 4 << 20;

/// A file that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct Trouble {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl Trouble {
    fn new(file: &Path, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into() }
    }
}

/// Reads a file of limited size.
fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    let words = |error: &std::io::Error| {
        let text = error.to_string();
        let words = text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words);
        Trouble::new(file, format!("it cannot be read: {words}"))
    };
    let meta = std::fs::metadata(file).map_err(|error| words(&error))?;
    if meta.len() > LARGEST_FILE {
        return Err(Trouble::new(file, format!("it is larger than {LARGEST_FILE} octets")));
    }
    std::fs::read(file).map_err(|error| words(&error))
}
