//! The SMTP protocol, sans I/O: bytes in, commands and content out; replies out. Knows nothing of ours.
//!
//! * [`reply`] a server's replies, as the client side reads them
//! * [`stuff`] dot-stuffing on the way out

pub mod reply;
pub mod stuff;

pub use reply::{BadReply, Reply, ReplyReader};
pub use stuff::{BareLineEnd, Stuffer};
