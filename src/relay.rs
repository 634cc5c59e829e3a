//! The relay's services, a crate of their own: accepting and sending mail, decisions, and notices to people.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub use sekisho_net::{accounts, connections, dns, spf, tls, upstream};
pub use sekisho_rules::{
    cases, clock, diagnostic, dkim, examine, id, journal, lifecycle, marks, message, policy, records,
    rewrite, smtp, token,
};
pub use sekisho_storage::store;

pub mod courier;
pub mod desk;
pub mod hook;
pub mod intake;
pub mod listener;
pub mod notice;
pub mod people;
