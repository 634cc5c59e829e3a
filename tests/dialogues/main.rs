//! The listener as clients see it: over loopback sockets, with a doorway that records.
//!
//! * `script` runs the dialogues in the `.txt` files beside this one
//! * `journal` copies for the journal: from whom, and whatever is odd about them
//! * `limits` slow clients, floods, giants, drains
//! * `relay` who may relay, in every form an address can take
//! * `tls` handshakes, certificates of clients, and balancers in front

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test: a panic is its way to fail

mod doorway;
mod journal;
mod limits;
mod relay;
mod script;
mod tls;
