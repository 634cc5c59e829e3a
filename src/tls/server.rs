//! The handshake, and what it goes by: exchanged as a whole while connections come in.

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

/// Octets of replies that may wait in a connection for the client to take them.
const BUFFER: usize = 16 * 1024;

/// Where everything comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Certificates; the first is for clients that ask for no name, or for one that none bears.
    pub pairs: Vec<PairFiles>,
    /// What clients' own certificates are verified with.
    pub clients: ClientCas,
}

/// Authorities for clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCas {
    /// Nobody is asked for one.
    NotAsked,
    /// The system's.
    System,
    /// Those in this file (PEM).
    File(PathBuf),
}

/// What a client showed of itself in the handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Names of its certificate, in lower case, if that verified.
    pub names: Vec<String>,
    /// It presented one that did not verify: why.
    pub unverified: Option<String>,
}

/// Shakes hands with clients. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct Server(Arc<RwLock<Arc<Loaded>>>);

/// Everything read and ready.
#[derive(Debug)]
struct Loaded {
    source: Source,
    pairs: Vec<Pair>,
    /// Without and with a request for the client's certificate.
    silent: Arc<ServerConfig>,
    asking: Arc<ServerConfig>,
    authorities: Option<Authorities>,
    stamps: watch::Stamps,
}

impl Server {
    /// Reads all files. Expired certificates are taken: what that means is for whoever starts to say.
    pub fn load(source: Source) -> Result<Self, Trouble> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Loaded::read(source)?)))))
    }

    /// Reads all files anew, these from now on. An error changes nothing: it is one too when a
    /// certificate came that is not valid now, while all that are in use are.
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

    /// What it was loaded from.
    pub fn source(&self) -> Source {
        self.current().source.clone()
    }

    /// The certificates in use.
    pub fn pairs(&self) -> Vec<Pair> {
        self.current().pairs.clone()
    }

    /// The state of its files when they were read.
    pub(super) fn stamps(&self) -> watch::Stamps {
        self.current().stamps.clone()
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Secures a connection; with `ask` the client may show a certificate. The caller sets the deadline.
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
        // Before the files: what changes while they are read is read again.
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

/// Why a certificate is of no use now, if so.
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
    // All suites are good ones; the strongest wins, whatever the client would rather have.
    config.ignore_client_order = true;
    // Sessions are resumed by tickets that clients keep, so that we keep nothing.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(wrong)?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
