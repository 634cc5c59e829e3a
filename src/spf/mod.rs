//! The networks that somebody's SPF record names (RFC 7208): where a mail host's machines are.
//!
//! * [`record`] a record's text, read
//! * [`set`] all that a record comes to, its includes followed
//! * [`ranges`] several of them, kept fresh while the relay runs
//!
//! This is no check of a sender: the records of providers are asked for the addresses they send from.

pub mod ranges;
pub mod record;
pub mod set;

pub use ranges::{Ranges, Standing};
