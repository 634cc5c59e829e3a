//! The way in: sockets, sessions, limits; a [`Submission`](crate::intake::Submission) out.
//!
//! * [`Listener`] one address: accepts, counts, hands out sessions, drains
//! * [`settings`] what it is told
//! * `visit` a connection before its first word: who it is, whether there is room, TLS from the first byte
//! * `gate` how many sessions at once, in all and from one address; `proxy` who a balancer speaks for
//! * `conversation` one client: drives the [`Session`](crate::smtp::Session) over a stream
//! * [`access`] who may send here, and as whom; `authentication` AUTH; `guard` looks at the header first
//! * `journal` what is otherwise where copies for the journal come in
//! * `wire` reading and writing within deadlines; `stream` a socket, or TLS over one
//! * `share` memory for headers, shared by all; `transaction` the envelope while it grows
//! * `answers` what the doorway answers, as SMTP replies; [`tally`] what is counted
//!
//! **Who may relay.** A client is known by the network it comes from, or by the names in a certificate of
//! its own. Anyone is greeted and may open a transaction, so that a wrong set-up shows itself with a
//! reply that says so; but every RCPT from somebody unknown gets 550 5.7.1, whatever the address looks like, ours included: this
//! relay is the way out, not the way in.

pub mod access;
mod answers;
mod authentication;
mod conversation;
mod gate;
mod guard;
mod journal;
mod proxy;
pub mod settings;
mod share;
mod stream;
pub mod tally;
mod transaction;
mod visit;
mod wire;

use crate::intake::Doorway;
use crate::smtp::{Options, StartTls};
use gate::Gate;
pub use settings::{Limits, Role, Settings, Tls, TlsMode};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
pub use tally::Tally;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use visit::Visit;

/// Becomes true when the relay is to drain. A dropped sender counts as true.
pub type Shutdown = watch::Receiver<bool>;

/// Connections the kernel may keep waiting for us.
const BACKLOG: u32 = 4_096;
/// How long to wait after `accept` failed (out of file descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a message whose final dot came before the drain's end may take to be stored.
const COMMIT: Duration = Duration::from_mins(1);

/// What the sessions of a listener share.
#[derive(Debug)]
struct Place {
    settings: Settings,
    options: Arc<Options>,
}

impl Place {
    fn new(settings: Settings) -> Arc<Self> {
        let options = Arc::new(Options {
            hostname: settings.hostname.clone(),
            max_size: settings.limits.size,
            max_discard: settings.limits.discard,
            max_errors: settings.limits.errors,
            auth: settings.access.offer(),
            starttls: match settings.tls.as_ref().map(|tls| tls.mode) {
                Some(TlsMode::Offered) => StartTls::Offered,
                Some(TlsMode::Required) => StartTls::Required,
                Some(TlsMode::Implicit) | None => StartTls::Off,
            },
        });
        Arc::new(Self { settings, options })
    }
}

/// One bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    place: Arc<RwLock<Arc<Place>>>,
    asks: mpsc::Receiver<Ask>,
    asked: mpsc::Sender<Ask>,
}

/// Whether connections are being accepted: answered by the loop that accepts them.
type Ask = oneshot::Sender<bool>;

/// Asks a running listener whether it accepts connections. Clones ask the same listener.
#[derive(Clone, Debug)]
pub struct Alive {
    address: SocketAddr,
    asks: mpsc::Sender<Ask>,
}

impl Alive {
    /// The address asked about.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// True once the listener itself says so; one that ended says nothing, one that is out of file
    /// descriptors says no.
    pub async fn accepts(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.asks.send(answer).await.is_ok() && answered.await.unwrap_or(false)
    }
}

/// Changes a running listener's settings, for a reload.
#[derive(Clone, Debug)]
pub struct Reload(Arc<RwLock<Arc<Place>>>);

impl Reload {
    /// Sessions that begin from now on go by these settings. The address stays as it was bound.
    pub fn settings(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Place::new(settings);
    }
}

impl Listener {
    /// Binds and listens, so that clients may connect from now on. Must be called within a runtime.
    ///
    /// # Errors
    /// The address is in use, not ours, or needs a privilege.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let socket = if settings.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(settings.address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        let (asked, asks) = mpsc::channel(8);
        Ok(Self { socket, address, place: Arc::new(RwLock::new(Place::new(settings))), asks, asked })
    }

    /// What was bound; with the real port where the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to change the settings while it runs.
    pub fn reload(&self) -> Reload {
        Reload(Arc::clone(&self.place))
    }

    /// A handle to ask whether it accepts connections.
    pub fn alive(&self) -> Alive {
        Alive { address: self.address, asks: self.asked.clone() }
    }

    /// Serves until `shutdown`, then drains: no new connections, 421 4.3.2 to sessions that wait for a
    /// command, content under way may end within `limits.drain`. Returns when all sessions are over.
    pub async fn run(mut self, doorway: Arc<dyn Doorway>, mut shutdown: Shutdown) {
        let sessions_open = {
            let place = self.place.read().unwrap_or_else(PoisonError::into_inner);
            place.settings.tally.sessions.clone()
        };
        let gate = Arc::new(Gate::new(sessions_open));
        let mut sessions = JoinSet::new();
        let sessions_shutdown = shutdown.clone();
        let mut accepts = true;
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => break,
                Some(ended) = sessions.join_next() => report(ended),
                // Whoever asked may have stopped waiting.
                Some(answer) = self.asks.recv() => drop(answer.send(accepts)),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        accepts = true;
                        let place = Arc::clone(&self.place.read().unwrap_or_else(PoisonError::into_inner));
                        let visit = Visit { stream, peer, place, shutdown: sessions_shutdown.clone() };
                        if let Some(session) = visit.admit(&gate, &doorway) {
                            sessions.spawn(session);
                        }
                    }
                    Err(error) => {
                        accepts = false;
                        tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop((self.socket, self.asks));
        let limit = self.place.read().unwrap_or_else(PoisonError::into_inner).settings.limits.drain + COMMIT;
        let all = async {
            while let Some(ended) = sessions.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(address = %self.address, left = sessions.len(), "sessions broken off at the drain's end");
            sessions.shutdown().await;
        }
    }
}

/// Waits until the relay is to drain, or nobody is left to say so.
async fn stopped(shutdown: &mut Shutdown) {
    drop(shutdown.wait_for(|stop| *stop).await);
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a session ended in a panic");
    }
}
