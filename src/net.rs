//! The network layer, a crate of its own: DNS, certificates, accounts, and connections to upstreams.
//!
//! It transfers messages and knows who may connect; it neither decides on a message nor stores one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub use sekisho_mail::{clock, diagnostic, dkim, id, marks, message, smtp, token};

pub mod accounts;
pub mod connections;
pub mod dns;
pub mod spf;
pub mod tls;
pub mod upstream;
