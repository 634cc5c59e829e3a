//! The listener as clients see it: over loopback sockets, with a doorway that records.
//!
//! * `script` runs the dialogues in the `.txt` files of this folder
//! * `journal` journal copies: which clients may send them, malformed ones
//! * `limits` slow clients, floods, large messages, drains
//! * `relay` who may relay, in every form of an address
//! * `tls` handshakes, client certificates, and load balancers

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test: a panic is its way to fail

mod doorway;
mod journal;
mod limits;
mod relay;
mod script;
mod tls;
