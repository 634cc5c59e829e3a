//! Sekisho: an outgoing SMTP relay that makes it impossible to expose recipients to each other by a slip.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod clock;
pub mod config;
pub mod courier;
pub mod desk;
pub mod diagnostic;
pub mod examine;
pub mod id;
pub mod intake;
pub mod journal;
pub mod listener;
pub mod message;
pub mod policy;
pub mod rewrite;
pub mod smtp;
pub mod store;
pub mod upstream;
