//! The lowest layer, a crate of its own: messages and SMTP.
//!
//! It knows nothing of what Sekisho decides, stores or sends. It has messages ([`message`]), SMTP without I/O
//! ([`smtp`]), signatures ([`dkim`]), loop marks ([`marks`]), and the small values that every layer shares.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub mod clock;
pub mod diagnostic;
pub mod dkim;
pub mod id;
pub mod marks;
pub mod message;
pub mod smtp;
pub mod token;
