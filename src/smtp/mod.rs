//! The SMTP protocol without I/O: bytes in, commands, content and replies out. It knows nothing of what
//! this relay does with a message.
//!
//! The server side, top down:
//! * [`session`] the state machine of one client's session
//! * `verbs` the commands, one function each
//! * [`line`] command lines; [`path`] the addresses in them; [`params`] their ESMTP parameters
//! * `auth` AUTH in the session; [`sasl`] its exchanges
//! * [`content`] message content: dot unstuffing, line ends, the final dot; `ordinary` passes over most of it
//!
//! For the client side (`upstream`):
//! * [`reply`] parses a server's replies
//! * [`stuff`] stuffs dots in outgoing content

use std::net::SocketAddr;

mod auth;
pub mod content;
pub mod line;
mod ordinary;
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
pub use stuff::{AsIs, BareLineEnd, Stuffer};

/// A client as named in a `Received` field: the name it gave, and its address as a literal (RFC 5321
/// §4.1.3, §4.4). `peer` is an address with a port.
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
