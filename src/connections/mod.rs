//! Limits for HTTP connections: how many, and how long. The desk must be reachable for everybody who follows
//! a link, the ACME responder for the whole Internet, and both share file descriptors and memory with the
//! mail.
//!
//! [`Bounds::header`] limits the time for each request header and for idling, [`Bounds::life`] the time of
//! the whole connection. Handlers limit request bodies themselves. The number of connections is limited in
//! total and per address. When a limit is reached, the connection that has waited longest for its client
//! is closed to make room, so that an active client is served even while thousands of silent ones connect.
//! A connection whose request is being processed is never closed for another.

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

/// Most connections still being closed while others have already taken their slots.
const CLOSING: usize = 16;
/// How long to wait after `accept` has failed, most likely because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection may take to finish its request after [`Bounds::life`].
const FAREWELL: Duration = Duration::from_secs(30);

/// The limits.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most connections at once.
    pub all: usize,
    /// Most connections at once from one IPv4 address or one IPv6 /64.
    pub per_address: usize,
    /// Networks of reverse proxies. For them, only `all` applies.
    pub proxies: Vec<IpNet>,
    /// Timeout for a request header, and for the next request on an idle connection.
    pub header: Duration,
    /// Longest duration of a connection.
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

/// Metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    open: Gauge,
    dropped: Counter,
}

impl Tally {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("desk_connections", "Connections to the desk open now", self.open.clone());
        registry.register(
            "desk_connections_dropped",
            "Connections to the desk that were closed or refused to make room",
            self.dropped.clone(),
        );
    }
}

/// The open connections and their limits.
#[derive(Debug)]
struct Slots {
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
    /// Since when it has been waiting for its client, or processing a request.
    since: Instant,
    /// Whether a request is being processed.
    working: bool,
    /// Tells the connection to close.
    leave: Arc<Notify>,
}

/// The slot of one open connection, available to its requests as an extension.
#[derive(Clone, Debug)]
pub struct Slot {
    number: u64,
    slots: Arc<Slots>,
}

impl Slot {
    /// Call this when a request has been received completely. The connection is then not closed to make
    /// room.
    pub fn working(&self) {
        self.set(true);
    }

    /// The connection waits for its client again.
    fn waiting(&self) {
        self.set(false);
    }

    fn set(&self, working: bool) {
        if let Some(entry) = self.slots.lock().by_number.get_mut(&self.number) {
            entry.working = working;
            entry.since = Instant::now();
        }
    }
}

/// Frees a connection's slot when dropped.
struct Taken {
    slot: Slot,
    leave: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // One that made room for another was counted out then.
        if self.slot.slots.lock().by_number.remove(&self.slot.number).is_some() {
            self.slot.slots.tally.open.dec();
        }
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // No code that can panic runs while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a connection from `peer`. `None` if the limit is reached and all connections are
    /// processing requests.
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
        Some(Taken { slot: Slot { number, slots: Arc::clone(self) }, leave, _permit: permit })
    }
}

impl Open {
    /// Closes the connection that has waited longest for its client, among those of this address or all.
    /// Returns false if none is waiting.
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
            tally.open.dec();
            tally.dropped.inc();
        }
        true
    }
}

/// The address to count a client by: for IPv6 its /64, which is what a single host usually gets.
fn host(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Accepts and serves connections until the task is stopped.
///
/// # Errors
/// Never in practice: errors of single connections are logged.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, tally: Tally) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(bounds.all + CLOSING));
    let slots = Arc::new(Slots { bounds, tally, open: Mutex::default() });
    // When this task is dropped, so are these, and the connections end.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(taken) = slots.take(peer.ip(), permit) {
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

/// Serves one connection to its end.
async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, taken: Taken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(client = %peer, %error, "cannot set TCP_NODELAY");
    }
    let bounds = taken.slot.slots.bounds.clone();
    let service = service_fn(|request| answer(router.clone(), request, peer, taken.slot.clone()));
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
        tracing::debug!(client = %peer, %error, "an HTTP connection ended with an error");
    }
}

async fn answer(
    mut router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    slot: Slot,
) -> Result<axum::response::Response, std::convert::Infallible> {
    let mut request: Request = request.map(Body::new);
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        slot.working();
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(slot.clone());
    let response = router.call(request).await;
    slot.waiting();
    response
}

#[cfg(test)]
mod tests;
