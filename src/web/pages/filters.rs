//! The filters of the list, which pages carry from one to the next.

use super::answer::encoded;
use crate::desk::principal::Principal;
use crate::store::{HeldQuery, HeldState, Order};
use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use std::fmt::Write as _;

/// Messages on one page.
const ON_A_PAGE: usize = 50;
/// Longest text searched for, in characters.
pub(super) const LONGEST_SEARCH: usize = 200;

/// The filters of the list, as its query has them.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListFilters {
    /// `held` (the default), `released`, `returned`, `expired`, `all`.
    #[serde(default)]
    pub(super) state: String,
    /// `mine`: only the visitor's own mail.
    #[serde(default)]
    pub(super) whose: String,
    /// Name of a rule.
    #[serde(default)]
    pub(super) rule: String,
    /// `yes`: only mail that its sender asks to send as it is.
    #[serde(default)]
    pub(super) asked: String,
    /// Text to search for.
    #[serde(default)]
    pub(super) q: String,
    /// The message after which the page begins.
    #[serde(default)]
    pub(super) after: String,
}

impl ListFilters {
    /// The filters in the query of a URL; none if it is malformed.
    pub(super) fn of(uri: &Uri) -> Self {
        Query::try_from_uri(uri).map(|Query(asked)| asked).unwrap_or_default()
    }

    pub(super) fn state(&self) -> Option<HeldState> {
        match self.state.as_str() {
            "all" => None,
            "released" => Some(HeldState::Released),
            "returned" => Some(HeldState::Returned),
            "expired" => Some(HeldState::Expired),
            _ => Some(HeldState::Held),
        }
    }

    pub(super) fn is(&self, state: &str) -> bool {
        self.state == state
    }

    pub(super) fn by(&self, rule: &str) -> bool {
        self.rule == rule
    }

    pub(super) fn filtered(&self) -> bool {
        let usual = matches!(self.state.as_str(), "" | "held");
        !(usual
            && self.q.is_empty()
            && self.rule.is_empty()
            && self.whose.is_empty()
            && self.asked.is_empty())
    }

    /// Whether any filter besides the text is set.
    pub(super) fn narrowed(&self) -> bool {
        Self { q: String::new(), ..self.clone() }.filtered()
    }

    /// The filters as a query string, to keep them from page to page: empty, or with its question mark.
    pub(super) fn carried(&self) -> String {
        let mut query = String::new();
        for (name, value) in self.parts() {
            let mark = if query.is_empty() { '?' } else { '&' };
            // writing to a string cannot fail
            let _ = write!(query, "{mark}{name}={}", encoded(value));
        }
        query
    }

    /// The filters that are set, as names and values.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("state", &self.state),
            ("whose", &self.whose),
            ("rule", &self.rule),
            ("asked", &self.asked),
            ("q", &self.q),
        ];
        all.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty())
    }

    /// The filters with an additional parameter.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let query = self.carried();
        format!("{query}{}{name}={}", if query.is_empty() { '?' } else { '&' }, encoded(value))
    }

    /// The query to the store for these filters and this visitor.
    pub(super) fn query(&self, who: &Principal) -> HeldQuery {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let state = self.state();
        // held messages are sorted by deadline
        let order = if state == Some(HeldState::Held) { Order::Deadline } else { Order::Newest };
        HeldQuery {
            state,
            order,
            rule: filled(&self.rule),
            as_is: self.asked == "yes",
            text: filled(self.q.trim()).map(|text| text.chars().take(LONGEST_SEARCH).collect()),
            after: self.after.parse().ok(),
            limit: ON_A_PAGE,
            ..HeldQuery::new(who.scope(self.whose == "mine"))
        }
    }
}
