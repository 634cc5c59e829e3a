//! The TLS handshake with clients. Certificates and settings can be replaced as a whole at any time.

use super::choice::Choice;
use super::clients::{Asking, Authorities};
use super::facts::Validity;
use super::{Pair, PairFiles, Trouble, watch};
use crate::clock::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Most octets of unsent replies buffered in a connection.
const BUFFER: usize = 16 * 1024;

/// The files a server is loaded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Certificates. The first is the default, for clients that ask for no name or for an unknown one.
    pub pairs: Vec<PairFiles>,
    /// Authorities for client certificates.
    pub clients: ClientCas,
}

/// Authorities for client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCas {
    /// No client certificate is requested.
    NotAsked,
    /// The system's authorities.
    System,
    /// The authorities in this PEM file.
    File(PathBuf),
}

/// The certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Names in the certificate, in lower case, if it verified.
    pub names: Vec<String>,
    /// Why the certificate did not verify, if it did not.
    pub unverified: Option<String>,
}

/// Does handshakes with clients. Cheap to clone; a replacement applies to all clones.
#[derive(Clone, Debug)]
pub struct Server(Arc<RwLock<Arc<Loaded>>>);

/// The loaded certificates and settings.
#[derive(Debug)]
struct Loaded {
    source: Source,
    pairs: Vec<Pair>,
    /// Configuration that does not request a client certificate, and one that does.
    silent: Arc<ServerConfig>,
    asking: Arc<ServerConfig>,
    authorities: Option<Authorities>,
    stamps: watch::Stamps,
}

impl Server {
    /// Reads all files. Expired certificates are accepted; the caller decides what to do about them.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn load(source: Source) -> Result<Self, Trouble> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Loaded::read(source)?)))))
    }

    /// Reads the files of `source` and uses them from now on.
    ///
    /// # Errors
    /// A file cannot be used, or a new certificate is not valid now while all current ones are. The current
    /// certificates then stay in use.
    pub fn replace(&self, source: Source, now: Timestamp) -> Result<(), Trouble> {
        let new = Loaded::read(source)?;
        if self.current().stale(now).is_none()
            && let Some((pair, why)) = new.stale(now)
        {
            return Err(Trouble::new(&pair.files.chain, why));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    /// The files it was loaded from.
    pub fn source(&self) -> Source {
        self.current().source.clone()
    }

    /// The certificates in use.
    pub fn pairs(&self) -> Vec<Pair> {
        self.current().pairs.clone()
    }

    /// The versions of the files when they were loaded.
    pub(super) fn stamps(&self) -> watch::Stamps {
        self.current().stamps.clone()
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does the handshake. If `ask`, requests a client certificate. The caller sets the timeout.
    ///
    /// # Errors
    /// The handshake fails or the connection is lost.
    pub async fn accept(
        &self,
        stream: TcpStream,
        ask: bool,
    ) -> io::Result<(Box<TlsStream<TcpStream>>, Peer)> {
        let loaded = self.current();
        let config = if ask { &loaded.asking } else { &loaded.silent };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let stream = acceptor.accept_with(stream, |session| session.set_buffer_limit(Some(BUFFER))).await?;
        let chain = stream.get_ref().1.peer_certificates().filter(|chain| !chain.is_empty());
        let peer = match (chain, &loaded.authorities) {
            (Some(chain), Some(authorities)) => match authorities.names(chain) {
                Ok(names) => Peer { names, unverified: None },
                Err(why) => Peer { names: Vec::new(), unverified: Some(why) },
            },
            _ => Peer::default(),
        };
        Ok((Box::new(stream), peer))
    }
}

impl Loaded {
    fn read(source: Source) -> Result<Self, Trouble> {
        // Taken before reading, so that a change during reading is noticed later.
        let stamps = watch::Stamps::of(&source);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let read = source.pairs.iter().map(|files| Pair::read(files, &provider));
        let pairs = read.collect::<Result<Vec<_>, _>>()?;
        let authorities = match &source.clients {
            ClientCas::NotAsked => None,
            ClientCas::System => Some(Authorities::of_system(&provider)?),
            ClientCas::File(file) => Some(Authorities::of_file(file, &provider)?),
        };
        let silent = config(&pairs, &provider, false)?;
        let asking =
            if authorities.is_some() { config(&pairs, &provider, true)? } else { Arc::clone(&silent) };
        Ok(Self { source, pairs, silent, asking, authorities, stamps })
    }

    /// The first certificate that is not valid now.
    fn stale(&self, now: Timestamp) -> Option<(&Pair, String)> {
        self.pairs.iter().find_map(|pair| Some((pair, stale(pair, now)?)))
    }
}

/// Why a certificate is not valid now; `None` if it is valid.
pub fn stale(pair: &Pair, now: Timestamp) -> Option<String> {
    match pair.facts.validity(now) {
        Validity::Expired => Some(format!("its certificate expired on {}", pair.facts.until)),
        Validity::NotYet => Some(format!("its certificate is not valid before {}", pair.facts.from)),
        Validity::Days(_) => None,
    }
}

fn config(pairs: &[Pair], provider: &Arc<CryptoProvider>, ask: bool) -> Result<Arc<ServerConfig>, Trouble> {
    let file = pairs.first().map_or(Path::new("[tls]"), |pair| pair.files.chain.as_path());
    let wrong = |error: rustls::Error| Trouble::new(file, format!("TLS cannot be set up: {error}"));
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let builder = if ask {
        builder.with_client_cert_verifier(Arc::new(Asking(Arc::clone(provider))))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_cert_resolver(Arc::new(Choice(pairs.to_vec())));
    // Prefer our order of cipher suites: strongest first.
    config.ignore_client_order = true;
    // Sessions are resumed by tickets that clients store, so the server stores nothing.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(wrong)?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
