//! The desk's pages and the API, a crate of their own: HTTP in front of [`desk`] and [`people`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub use sekisho_relay::{
    accounts, clock, connections, desk, diagnostic, examine, id, intake, journal, message, notice, people,
    policy, rewrite, store, token,
};

pub mod web;
