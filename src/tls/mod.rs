//! TLS towards clients: certificates from files, the handshake, and what a client's own certificate says;
//! and who we are to servers that ask.
//!
//! * [`Server`] shakes hands; what it goes by is exchanged while it runs ([`Server::replace`])
//! * [`pair`] a certificate chain and its key, read and checked; [`facts`] what a certificate says
//! * `choice` which of several certificates a client gets (SNI)
//! * [`clients`] certificates of clients: verified after the handshake, matched by name
//! * [`identity`] our certificate towards upstreams
//! * [`watch`] files that change are loaded anew
//! * [`selfsigned`] a certificate of one's own making; [`acme`] one of an authority that is asked for it
//!
//! What is spoken is Mozilla's "intermediate" profile: TLS 1.2 with ECDHE and AEAD suites, and TLS 1.3;
//! rustls knows nothing weaker.

pub mod acme;
mod choice;
pub mod clients;
pub mod facts;
pub mod identity;
pub mod pair;
pub mod selfsigned;
mod server;
pub mod watch;

pub use clients::NamePattern;
pub use facts::Facts;
pub use identity::{Identities, Identity};
pub use pair::{Pair, PairFiles};
pub use server::{ClientCas, Peer, Server, Source, stale};

use std::path::{Path, PathBuf};

/// Most octets of a file with certificates or a key.
const LARGEST_FILE: u64 = 4 << 20;

/// A file that is of no use, and why.
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

/// A file of bounded size.
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
