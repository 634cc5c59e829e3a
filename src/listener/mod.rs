//! The SMTP listeners: sockets, sessions and limits. Received messages go to [`intake`](crate::intake).
//!
//! * [`Listener`] one bound address: accepts connections, starts sessions, drains
//! * [`settings`] its settings and limits
//! * `visit` a new connection until the greeting: limits, PROXY header, implicit TLS
//! * `gate` the limits on concurrent sessions; `proxy` the PROXY protocol
//! * `conversation` one client's session: drives the [`Session`](crate::smtp::Session) over a stream
//! * [`access`] who may relay, and from which addresses; `authentication` AUTH; `header_check` checks of
//!   the message header
//! * `journal` what differs on a listener for journal copies
//! * `wire` reads and writes with deadlines; `stream` a socket, or TLS over one
//! * `transaction` the envelope
//! * `answers` the answers of intake as SMTP replies; [`tally`] metrics
//!
//! **Who may relay.** A client is known by its network, by a name in its certificate, or by AUTH. Every
//! client is greeted and may open a transaction, so that a misconfigured one gets a reply that explains
//! the problem. But every RCPT from an unknown client gets 550 5.7.1, even for an address in our own
//! domains: the relay takes outgoing mail only.

pub mod access;
mod answers;
mod authentication;
mod conversation;
mod gate;
mod header_check;
mod journal;
mod proxy;
pub mod settings;
mod stream;
pub mod tally;
mod transaction;
mod visit;
mod wire;

use crate::intake::ClientIntake;
use crate::smtp::{Options, StartTls};
use gate::Gate;
pub use settings::{Limits, Role, Settings, Tls, TlsMode};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
pub use tally::Tally;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use visit::Visit;

/// Becomes true when the relay is to drain. If the sender is dropped, that means the same.
pub type Shutdown = watch::Receiver<bool>;

/// Length of the kernel's queue of connections not accepted yet.
const BACKLOG: u32 = 4_096;
/// How long to wait after `accept` has failed, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long storing a message may take whose final dot arrived before the drain ended.
const COMMIT: Duration = Duration::from_mins(1);

/// What all sessions of a listener share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    options: Arc<Options>,
}

impl Shared {
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

/// A bound address that accepts SMTP connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    shared: Arc<RwLock<Arc<Shared>>>,
    asks: mpsc::Receiver<Ask>,
    asked: mpsc::Sender<Ask>,
}

/// A question to the accept loop: does it accept connections?
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

    /// Asks the accept loop. False if the loop has ended or cannot accept, for example because no file
    /// descriptor is free.
    pub async fn accepts(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.asks.send(answer).await.is_ok() && answered.await.unwrap_or(false)
    }
}

/// Changes a running listener's settings, for a reload.
#[derive(Clone, Debug)]
pub struct Reload(Arc<RwLock<Arc<Shared>>>);

impl Reload {
    /// Applies these settings to sessions that start from now on. The bound address does not change.
    pub fn settings(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Shared::new(settings);
    }
}

impl Listener {
    /// Binds and listens: clients can connect from now on. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The address is in use or not local, or binding it needs a privilege.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let socket = if settings.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(settings.address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        let (asked, asks) = mpsc::channel(8);
        Ok(Self { socket, address, shared: Arc::new(RwLock::new(Shared::new(settings))), asks, asked })
    }

    /// The bound address, with the actual port if the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to change the settings while it runs.
    pub fn reload(&self) -> Reload {
        Reload(Arc::clone(&self.shared))
    }

    /// A handle to ask whether it accepts connections.
    pub fn alive(&self) -> Alive {
        Alive { address: self.address, asks: self.asked.clone() }
    }

    /// Serves until `shutdown`, then drains: it accepts no new connections, sends 421 4.3.2 to sessions that
    /// wait for a command, and gives messages being received `limits.drain` to end. Returns when all
    /// sessions have ended.
    pub async fn run(mut self, intake: Arc<dyn ClientIntake>, mut shutdown: Shutdown) {
        let sessions_open = {
            let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            shared.settings.tally.sessions.clone()
        };
        let gate = Arc::new(Gate::new(sessions_open));
        let mut sessions = JoinSet::new();
        let visit = {
            let (shared, shutdown) = (Arc::clone(&self.shared), shutdown.clone());
            move |(stream, peer)| {
                let shared = Arc::clone(&shared.read().unwrap_or_else(PoisonError::into_inner));
                Visit { stream, peer, shared, shutdown: shutdown.clone() }.admit(&gate, &intake)
            }
        };
        let mut accepts = true;
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => break,
                Some(ended) = sessions.join_next() => report(ended),
                // The receiver may be gone already.
                Some(answer) = self.asks.recv() => drop(answer.send(accepts)),
                accepted = self.socket.accept() => match accepted {
                    Ok(connection) => {
                        accepts = true;
                        if let Some(session) = visit(connection) {
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
        // Whoever has connected is told 421, not reset.
        for session in connected(self.socket).into_iter().filter_map(&visit) {
            sessions.spawn(session);
        }
        drop(self.asks);
        let limit = self.shared.read().unwrap_or_else(PoisonError::into_inner).settings.limits.drain + COMMIT;
        let all = async {
            while let Some(ended) = sessions.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(address = %self.address, left = sessions.len(), "sessions aborted at the end of the drain");
            sessions.shutdown().await;
        }
    }
}

/// The connections that wait to be accepted, as many as can: whoever goes on connecting must not keep a drain from
/// beginning.
fn connected(socket: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(socket) = socket.into_std() else { return Vec::new() };
    let accepted = (0..BACKLOG).map_while(|_| socket.accept().ok());
    let usable = accepted.filter_map(|(stream, peer)| {
        stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream))
            .ok()
            .map(|stream| (stream, peer))
    });
    usable.collect()
}

/// Waits until the relay is to drain.
async fn stopped(shutdown: &mut Shutdown) {
    drop(shutdown.wait_for(|stop| *stop).await);
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a session panicked");
    }
}
