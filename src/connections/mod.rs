//! HTTP connections: how many, and how long each may take. The desk's are reached by everybody who is to
//! follow a link, those for certificates' challenges by the whole world, and they share file descriptors and
//! memory with the mail.
//!
//! A connection has [`Bounds::header`] for each header, which also ends a connection that idles, and
//! [`Bounds::life`] in all; whoever reads bodies bounds them. There is room for so many at once, and for so many from
//! one address. Where there is none, the connection that has waited longest for its client makes room: a
//! client that sends what it wants is answered even while thousands of silent ones come in. A request that
//! is being worked on is never dropped for another.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::Method;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_service::Service as _;

/// Connections that are being closed while others are already open in their place, at most.
const CLOSING: usize = 16;
/// How long to wait after `accept` failed (out of file descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection whose life is over may take to end its request.
const FAREWELL: Duration = Duration::from_secs(30);

/// How many, and how long.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most connections at once.
    pub all: usize,
    /// Most from one address (of IPv6: one /64).
    pub per_address: usize,
    /// Networks that speak for many: only `all` bounds them.
    pub proxies: Vec<IpNet>,
    /// How long a header may take; also how long a connection may wait for its next request.
    pub header: Duration,
    /// How long a connection may last.
    pub life: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            all: 512,
            per_address: 64,
            proxies: Vec::new(),
            header: Duration::from_secs(15),
            life: Duration::from_mins(10),
        }
    }
}

/// What is counted. Clones count into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    open: Gauge,
    dropped: Counter,
}

impl Tally {
    /// Has the numbers shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("desk_connections", "Connections to the desk open now", self.open.clone());
        registry.register(
            "desk_connections_dropped",
            "Connections to the desk that were closed or refused to make room",
            self.dropped.clone(),
        );
    }
}

/// The connections that are open.
#[derive(Debug)]
struct Seats {
    bounds: Bounds,
    tally: Tally,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_number: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// When it began to wait for its client.
    since: Instant,
    working: bool,
    leave: Arc<Notify>,
}

/// One open connection, as its requests know it.
#[derive(Clone, Debug)]
pub struct Seat {
    number: u64,
    seats: Arc<Seats>,
}

impl Seat {
    /// All of a request is there: from now on the time is ours, not the client's.
    pub fn working(&self) {
        self.set(true);
    }

    /// The client's turn.
    fn waiting(&self) {
        self.set(false);
    }

    fn set(&self, working: bool) {
        if let Some(entry) = self.seats.lock().by_number.get_mut(&self.number) {
            entry.working = working;
            entry.since = Instant::now();
        }
    }
}

/// Gives a connection's place back.
struct Taken {
    seat: Seat,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.seat.seats.lock().by_number.remove(&self.seat.number);
        self.seat.seats.tally.open.dec();
    }
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing can panic while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `peer`; `None` where all are at work.
    fn take(self: &Arc<Self>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Option<Taken> {
        let address = host(peer);
        let counted = !self.bounds.proxies.iter().any(|net| net.contains(&peer.to_canonical()));
        let mut open = self.lock();
        let here = open.by_number.values().filter(|entry| entry.address == address).count();
        let room = if counted && here >= self.bounds.per_address {
            open.make_room(Some(address), &self.tally)
        } else if open.by_number.len() >= self.bounds.all {
            open.make_room(None, &self.tally)
        } else {
            true
        };
        if !room {
            self.tally.dropped.inc();
            return None;
        }
        let number = open.next;
        open.next += 1;
        let leave = Arc::new(Notify::new());
        let entry = Entry { address, since: Instant::now(), working: false, leave: Arc::clone(&leave) };
        open.by_number.insert(number, entry);
        self.tally.open.inc();
        Some(Taken { seat: Seat { number, seats: Arc::clone(self) }, leave, _permit: permit })
    }
}

impl Open {
    /// Has the connection leave that has waited longest for its client, of this address or of all.
    fn make_room(&mut self, of: Option<IpAddr>, tally: &Tally) -> bool {
        let waiting = self
            .by_number
            .iter()
            .filter(|(_, entry)| !entry.working && of.is_none_or(|address| address == entry.address));
        let Some(number) = waiting.min_by_key(|(number, entry)| (entry.since, **number)).map(|(n, _)| *n)
        else {
            return false;
        };
        if let Some(entry) = self.by_number.remove(&number) {
            entry.leave.notify_one();
            tally.dropped.inc();
        }
        true
    }
}

/// Who counts as one: an address; of IPv6 the /64 that a single host is given.
fn host(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Accepts connections and serves them, until the task is stopped.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, tally: Tally) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(bounds.all + CLOSING));
    let seats = Arc::new(Seats { bounds, tally, open: Mutex::default() });
    // Dropped with this task: then the connections end as well.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(taken) = seats.take(peer.ip(), permit) {
                    connections.spawn(connection(stream, peer, router.clone(), taken));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, to its end.
async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, taken: Taken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(client = %peer, %error, "cannot set TCP_NODELAY");
    }
    let bounds = taken.seat.seats.bounds.clone();
    let service = service_fn(|request| answer(router.clone(), request, peer, taken.seat.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = taken.leave.notified() => return,
        () = tokio::time::sleep(bounds.life) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "an HTTP connection did not end well");
    }
}

async fn answer(
    mut router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    seat: Seat,
) -> Result<axum::response::Response, std::convert::Infallible> {
    let mut request: Request = request.map(Body::new);
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        seat.working();
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(seat.clone());
    let response = router.call(request).await;
    seat.waiting();
    response
}

#[cfg(test)]
mod tests;
