//! The settings of a listener and the limits of its sessions.

use super::access::Access;
use super::tally::Tally;
use crate::tls::{NamePattern, Server};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the received mail is for.
    pub role: Role,
    /// The address to bind; port 0 means any free port.
    pub address: SocketAddr,
    /// Our host name, used in the greeting and the reply to EHLO.
    pub hostname: String,
    /// The domain added to `<postmaster>`: our first domain, or our host name if there is none.
    pub postmaster_domain: String,
    /// Networks that may relay.
    pub allow: Vec<IpNet>,
    /// Networks whose bare LFs in content become CRLF. Content from other clients with a bare LF gets
    /// 550 5.5.2.
    pub allow_bare_lf: Vec<IpNet>,
    /// Networks of load balancers. Every connection from them must begin with a PROXY header.
    pub proxies: Vec<IpNet>,
    /// TLS; `None` offers none.
    pub tls: Option<Tls>,
    /// Access rules beyond the allowed networks.
    pub access: Access,
    /// Limits.
    pub limits: Limits,
    /// Metrics.
    pub tally: Tally,
}

/// What a listener's mail is for.
#[derive(Clone, Debug, Default)]
pub enum Role {
    /// It is relayed.
    #[default]
    Relay,
    /// It consists of copies for the journal, from which the relay learns who wrote with whom. Nothing is
    /// relayed.
    Journal {
        /// Accounts that may send copies. Copies are trusted, so not every account may.
        users: Arc<[String]>,
    },
}

/// TLS on a listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// When TLS begins.
    pub mode: TlsMode,
    /// Does the handshake.
    pub server: Server,
    /// A client with a verified certificate for one of these names may relay. If the list is empty, no
    /// client certificate is requested.
    pub client_names: Vec<NamePattern>,
}

/// When TLS begins in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// When the client sends STARTTLS.
    Offered,
    /// When the client sends STARTTLS; MAIL is refused before.
    Required,
    /// From the first byte.
    Implicit,
}

/// The limits of sessions. Sizes are in octets.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest message in octets; above, 552 5.3.4.
    pub size: u64,
    /// How many octets beyond `size` are read and discarded before the connection is closed.
    pub discard: u64,
    /// Most recipients of one transaction; above, 452 4.5.3.
    pub recipients: usize,
    /// Most sessions at once; above, 421 4.7.0.
    pub sessions: usize,
    /// Most sessions at once from one client address; above, 421 4.7.0.
    pub sessions_per_client: usize,
    /// Most refused commands since the last accepted message; above, 421 4.7.0.
    pub errors: u32,
    /// Timeout for one complete command (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// Timeout for the next block of content (RFC 5321 §4.5.3.2.5).
    pub block: Duration,
    /// Timeout for the whole content of a message, extended according to `least_rate`.
    pub content: Duration,
    /// Every `least_rate` octets of content received extend the `content` timeout by one second.
    pub least_rate: u64,
    /// Timeout for a load balancer's PROXY header.
    pub proxy: Duration,
    /// Timeout for a TLS handshake.
    pub handshake: Duration,
    /// Timeout for writing replies.
    pub reply: Duration,
    /// Longest duration of a session.
    pub session: Duration,
    /// Timeout for content being received when a drain begins.
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
            proxy: Duration::from_secs(10),
            handshake: Duration::from_secs(30),
            reply: Duration::from_mins(1),
            session: Duration::from_hours(2),
            drain: Duration::from_secs(30),
        }
    }
}
