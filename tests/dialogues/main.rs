//! The listener as clients see it: over loopback sockets, with an intake that records.
//!
//! * `script` runs the dialogues in the `.txt` files of this folder
//! * `journal` journal copies: which clients may send them, malformed ones
//! * `limits` slow clients, floods, large messages, drains
//! * `relay` who may relay, in every form of an address
//! * `tls` handshakes, client certificates, and load balancers

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)] // a test: a panic is its way to fail

mod fake_intake;
mod journal;
mod limits;
mod relay;
mod script;
mod tls;
