//! What a listener is told, and everything that is bounded in a session.

use super::access::Access;
use super::tally::Tally;
use crate::tls::{NamePattern, Server};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a listener needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it takes mail for.
    pub role: Role,
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
    /// Balancers that say in a PROXY header who the client is. From these networks it must come.
    pub proxies: Vec<IpNet>,
    /// How sessions are secured; `None` leaves them in plain text.
    pub tls: Option<Tls>,
    /// Who may send, and as whom, beside the networks.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
    /// Where things are counted.
    pub tally: Tally,
}

/// What a listener takes mail for.
#[derive(Clone, Debug, Default)]
pub enum Role {
    /// To relay it.
    #[default]
    Relay,
    /// To learn who wrote with whom, from copies that mail hosts send; nothing is relayed.
    Journal {
        /// Accounts that may: a copy is believed, so that not everybody with a password may send one.
        users: Arc<[String]>,
    },
}

/// How sessions are secured.
#[derive(Clone, Debug)]
pub struct Tls {
    /// When.
    pub mode: TlsMode,
    /// Who shakes hands.
    pub server: Server,
    /// A client with a verified certificate that bears such a name may relay. Where there are none, no
    /// certificate is asked for.
    pub client_names: Vec<NamePattern>,
}

/// When a session is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// When the client says STARTTLS.
    Offered,
    /// When the client says STARTTLS, and nothing is taken before.
    Required,
    /// From the first byte.
    Implicit,
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
    /// For a balancer's PROXY header to come.
    pub proxy: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
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
            proxy: Duration::from_secs(10),
            handshake: Duration::from_secs(30),
            reply: Duration::from_mins(1),
            session: Duration::from_hours(2),
            drain: Duration::from_secs(30),
        }
    }
}
