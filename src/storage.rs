//! The storage layer, a crate of its own: what is stored, and how it survives a crash.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub use sekisho_rules::{clock, id, journal, lifecycle, message, policy, records, rewrite, token};

pub mod store;
