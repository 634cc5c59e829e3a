//! The lowest layer, as a crate of its own: what mail is made of, and the protocol it travels by.
//!
//! It knows nothing of what Sekisho decides, stores or sends: messages ([`message`]), SMTP without I/O
//! ([`smtp`]), signatures ([`dkim`]), loop marks ([`marks`]), and the small values that every layer shares.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod clock;
pub mod diagnostic;
pub mod dkim;
pub mod id;
pub mod marks;
pub mod message;
pub mod smtp;
pub mod token;
