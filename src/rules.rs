//! The policy layer, a crate of its own: from a message to a verdict, and from a verdict to copies.
//!
//! Everything here is a pure function of its inputs: no socket, no database, no clock.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub use sekisho_mail::{clock, diagnostic, dkim, id, marks, message, smtp, token};

pub mod cases;
pub mod examine;
pub mod journal;
pub mod lifecycle;
pub mod policy;
pub mod records;
pub mod rewrite;
