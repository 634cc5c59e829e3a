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

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod tests;
