//! Requests about mail that came in several transactions.

pub use crate::records::{Again, HoldWaiting};
