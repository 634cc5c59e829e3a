//! The rules: TOML sets of conditions, all read, each that matches demands.

use super::{Facts, Mode, Verdict};

/// A policy: every rule of its files.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    mode: Mode,
}

impl Policy {
    /// The same policy in this mode.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Reads every rule, joins the demands of those that match, adds what is built in.
    pub fn decide(&self, facts: &Facts) -> Verdict {
        let _ = facts;
        todo!()
    }
}
