//! The networks that an SPF record names (RFC 7208), used to learn the addresses of a mail host.
//!
//! * [`record`] parses a record
//! * [`set`] resolves a record with its includes and host names
//! * [`ranges`] the networks of several names, refreshed while the relay runs
//!
//! This does not verify senders by SPF. It looks up the addresses that mail providers send from.

pub mod ranges;
pub mod record;
pub mod set;

pub use ranges::{Membership, Ranges};
