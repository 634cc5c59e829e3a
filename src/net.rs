//! The network layer, as a crate of its own: names, certificates, credentials, and the way to upstreams.
//!
//! It carries messages and knows who may connect; it decides nothing about a message and stores none.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub use sekisho_mail::{clock, diagnostic, dkim, id, marks, message, smtp, token};

pub mod accounts;
pub mod connections;
pub mod dns;
pub mod spf;
pub mod tls;
pub mod upstream;
