//! `[store] keep`, `[knowledge]`

use crate::config::units::Span;
use serde::Deserialize;

/// `[store] keep`: retention times.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Keep {
    pub(in crate::config) contents: Option<Span>,
    pub(in crate::config) messages: Option<Span>,
    pub(in crate::config) ledger: Option<Span>,
}

/// `[knowledge]`: who visibly wrote with whom.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Knowledge {
    pub(in crate::config) keep: Option<Span>,
}
