//! What becomes of a message once it is kept: pure functions from a state, an event and the time to a new
//! state and what follows from it. An engine of the store reads the state, asks here, and writes what it is
//! told: no engine decides anything, so that two of them cannot decide differently.

pub mod attempt;
pub mod delivery;

use std::time::Duration;

/// How long taking back can be undone: a mail scanner that follows a link destroys nothing.
pub const UNDO: Duration = Duration::from_hours(24);

/// Nobody is told of a mail before it was quiet for so long: more transactions of it may be on their way.
pub const QUIET: Duration = Duration::from_secs(30);
