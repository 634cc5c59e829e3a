//! The SMTP protocol, sans I/O: bytes in, commands and content out; replies out. Knows nothing of ours.
//!
//! The server side, from the outside in:
//! * [`session`] one client's conversation: the state machine
//! * `verbs` the commands, one function each
//! * [`line`] command lines; [`path`] addresses in them; [`params`] their ESMTP parameters
//! * [`sasl`] AUTH's exchanges; `auth` AUTH in the session
//! * [`content`] content: unstuffing, line ends, the true end
//!
//! And what the client side (`upstream`) needs:
//! * [`reply`] a server's replies, read
//! * [`stuff`] dot-stuffing on the way out

use std::net::SocketAddr;

mod auth;
pub mod content;
pub mod line;
pub mod params;
pub mod path;
pub mod reply;
pub mod sasl;
pub mod session;
pub mod stuff;
mod verbs;

pub use content::{BareLf, Fault};
pub use reply::{BadReply, Reply, ReplyReader};
pub use session::{Event, Mail, Offer, Options, Rcpt, Session, StartTls};
pub use stuff::{BareLineEnd, Stuffer};

/// A client in a trace field: the name it gave, and its address as a literal (RFC 5321 §4.1.3, §4.4).
/// `peer` is an address with its port.
pub fn trace_client(helo: &str, peer: &str) -> String {
    let address = match peer.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(peer)) => peer.ip().to_string(),
        Ok(SocketAddr::V6(peer)) => format!("IPv6:{}", peer.ip()),
        Err(_) => peer.to_owned(),
    };
    format!("{helo} ([{address}])")
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod tests;
