//! The way in: sockets, sessions, limits; a [`Submission`](crate::intake::Submission) out.
//!
//! * [`Listener`] one address: accepts, counts, hands out sessions, drains
//! * `gate` how many sessions at once, in all and from one address
//! * `conversation` one client: drives the [`Session`](crate::smtp::Session) over a stream
//! * `wire` reading and writing within deadlines
//! * `transaction` the envelope while it grows
//! * `answers` what the doorway answers, as SMTP replies
//!
//! **Who may relay.** A client is known by the network it comes from. Anyone is greeted and may open a
//! transaction, so that a wrong set-up shows itself with a reply that says so; but every RCPT from
//! outside the `allow` networks gets 550 5.7.1, whatever the address looks like, ours included: this
//! relay is the way out, not the way in.

mod answers;
mod conversation;
mod gate;
mod transaction;
mod wire;

use crate::intake::Doorway;
use crate::smtp::{BareLf, Options};
use conversation::{Client, Conversation};
use gate::Gate;
use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Becomes true when the relay is to drain. A dropped sender counts as true.
pub type Shutdown = watch::Receiver<bool>;

/// Connections the kernel may keep waiting for us.
const BACKLOG: u32 = 4_096;
/// How long to wait after `accept` failed (out of file descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a message whose final dot came before the drain's end may take to be stored.
const COMMIT: Duration = Duration::from_mins(1);

/// What a listener needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it binds; port 0 takes a free one.
    pub address: SocketAddr,
    /// Our name, in the greeting and the reply to EHLO.
    pub hostname: String,
    /// Where `<postmaster>` without a domain is delivered: our first domain, else our host's name.
    pub postmaster_domain: String,
    /// Networks that may relay.
    pub allow: Vec<IpNet>,
    /// Networks whose bare LF in content is made CRLF. From anywhere else it is 550 5.5.2.
    pub allow_bare_lf: Vec<IpNet>,
    /// Bounds.
    pub limits: Limits,
}

/// Everything that is bounded in a session, by name.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest message in octets: 552 5.3.4 above.
    pub size: u64,
    /// How much of a message over `size` is read and thrown away before the connection is closed.
    pub discard: u64,
    /// Most recipients of one transaction: 452 4.5.3 above.
    pub recipients: usize,
    /// Most sessions at once: 421 4.7.0 above.
    pub sessions: usize,
    /// Most sessions at once from one address: 421 4.7.0 above.
    pub sessions_per_client: usize,
    /// Refused commands since the last accepted message: 421 4.7.0 above.
    pub errors: u32,
    /// For one whole command to come (RFC 5321 §4.5.3.2.7), however slowly its octets drip in.
    pub command: Duration,
    /// For the next block of content to come (RFC 5321 §4.5.3.2.5).
    pub block: Duration,
    /// What a message's content may take in all, before `least_rate` counts.
    pub content: Duration,
    /// Octets a second of content that buy more time than `content`.
    pub least_rate: u64,
    /// For the client to take our replies.
    pub reply: Duration,
    /// For one session in all.
    pub session: Duration,
    /// For content that is under way when the relay drains.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 157_286_400,
            discard: 2 << 30,
            recipients: 5_000,
            sessions: 16_384,
            sessions_per_client: 2_000,
            errors: 100,
            command: Duration::from_mins(5),
            block: Duration::from_mins(3),
            content: Duration::from_mins(3),
            least_rate: 1_024,
            reply: Duration::from_mins(1),
            session: Duration::from_hours(2),
            drain: Duration::from_secs(30),
        }
    }
}

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
            auth: crate::smtp::Offer::default(),
        });
        Arc::new(Self { settings, options })
    }
}

fn among(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// One bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    place: Arc<RwLock<Arc<Place>>>,
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
        Ok(Self { socket, address, place: Arc::new(RwLock::new(Place::new(settings))) })
    }

    /// What was bound; with the real port where the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle to change the settings while it runs.
    pub fn reload(&self) -> Reload {
        Reload(Arc::clone(&self.place))
    }

    /// Serves until `shutdown`, then drains: no new connections, 421 4.3.2 to sessions that wait for a
    /// command, content under way may end within `limits.drain`. Returns when all sessions are over.
    pub async fn run(self, doorway: Arc<dyn Doorway>, mut shutdown: Shutdown) {
        let gate = Arc::new(Gate::default());
        let mut sessions = JoinSet::new();
        let sessions_shutdown = shutdown.clone();
        loop {
            tokio::select! {
                () = stopped(&mut shutdown) => break,
                Some(ended) = sessions.join_next() => report(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let place = Arc::clone(&self.place.read().unwrap_or_else(PoisonError::into_inner));
                        let visit = Visit { stream, peer, place, shutdown: sessions_shutdown.clone() };
                        if let Some(session) = visit.admit(&gate, &doorway) {
                            sessions.spawn(session);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.socket);
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

/// A connection that was just accepted.
struct Visit {
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    shutdown: Shutdown,
}

impl Visit {
    /// Lets the client in, if there is room and it waits its turn.
    fn admit(
        self,
        gate: &Arc<Gate>,
        doorway: &Arc<dyn Doorway>,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        let peer = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
        let settings = &self.place.settings;
        let limits = &settings.limits;
        let Some(pass) = gate.enter(peer.ip(), limits.sessions, limits.sessions_per_client) else {
            tracing::info!(client = %peer, "refused: too many sessions");
            self.turn_away(b"421 4.7.0 too many connections, try again later\r\n");
            return None;
        };
        if self.speaks_first() {
            tracing::info!(client = %peer, "refused: spoke before the greeting");
            self.turn_away(b"554 5.5.1 wait for the greeting\r\n");
            return None;
        }
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(client = %peer, %error, "cannot set TCP_NODELAY");
        }
        let normalise = among(&settings.allow_bare_lf, peer.ip());
        let client = Client {
            peer,
            allowed: among(&settings.allow, peer.ip()),
            bare_lf: if normalise { BareLf::Normalise } else { BareLf::Refuse },
        };
        let conversation =
            Conversation::new(self.stream, client, self.place, Arc::clone(doorway), self.shutdown);
        Some(async move {
            conversation.run().await;
            drop(pass);
        })
    }

    /// Whether octets came before we greeted (RFC 5321 §4.3.1): a bot, or a confused proxy.
    fn speaks_first(&self) -> bool {
        let mut octet = [std::mem::MaybeUninit::uninit()];
        matches!(socket2::SockRef::from(&self.stream).peek(&mut octet), Ok(1..))
    }

    /// One reply, if the socket takes it at once.
    fn turn_away(&self, reply: &[u8]) {
        if let Err(error) = socket2::SockRef::from(&self.stream).send(reply) {
            tracing::debug!(client = %self.peer, %error, "cannot say why it is refused");
        }
    }
}
