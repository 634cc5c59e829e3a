//! What the ways out count, for the metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Clones count into the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    failures: Family<ByReason, Counter>,
    waiting: Family<ByName, Gauge>,
    wait: Family<ByName, Gauge>,
    closed: Family<ByName, Gauge>,
    sessions: Family<ByName, Gauge>,
    limits: Arc<Mutex<BTreeMap<String, Limit>>>,
}

/// How many sessions an upstream allows, and whether that was told on.
#[derive(Clone, Copy, Debug)]
struct Limit {
    most: usize,
    told: bool,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByName {
    upstream: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    upstream: String,
    reason: &'static str,
}

/// Why a connection was of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or it broke.
    Connection,
    /// It could not be secured as it has to be: no TLS, or a certificate that is not believed.
    Unverified,
    /// It refused our credentials, or there is no access token.
    Auth,
    /// It refused us before any mail.
    Refused,
}

impl Trouble {
    fn word(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Unverified => "unverified",
            Self::Auth => "auth",
            Self::Refused => "refused",
        }
    }
}

impl Tally {
    /// Has the numbers shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "upstream_failures",
            "Connections to an upstream that were of no use, by reason",
            self.failures.clone(),
        );
        registry.register(
            "upstream_paced",
            "Copies that wait for their turn under a rate",
            self.waiting.clone(),
        );
        registry.register(
            "upstream_paced_seconds",
            "How long the last copy that waits for its turn has to wait",
            self.wait.clone(),
        );
        registry.register(
            "upstream_left_alone",
            "1 while an upstream of several is left alone",
            self.closed.clone(),
        );
        registry.register(
            "upstream_sessions_limit",
            "Sessions at once that an upstream was found to allow, where it refused more",
            self.sessions.clone(),
        );
    }

    /// Counts a connection that was of no use.
    pub(super) fn failed(&self, upstream: &str, trouble: Trouble) {
        let labels = ByReason { upstream: upstream.to_owned(), reason: trouble.word() };
        self.failures.get_or_create(&labels).inc();
    }

    /// Notes how many wait under a rate, and for how long.
    pub(super) fn paced(&self, upstream: &str, waiting: usize, longest: Duration) {
        let labels = ByName { upstream: upstream.to_owned() };
        self.waiting.get_or_create(&labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.wait.get_or_create(&labels).set(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Notes how many sessions an upstream allows at once.
    pub(super) fn sessions_limit(&self, upstream: &str, most: usize) {
        self.show_limit(upstream, most);
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.get(upstream).map(|limit| limit.most);
        if known != Some(most) {
            limits.insert(upstream.to_owned(), Limit { most, told: false });
        }
    }

    /// Shows a limit that was found before the relay was started.
    pub(super) fn known_limit(&self, upstream: &str, most: usize) {
        self.show_limit(upstream, most);
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(upstream.to_owned()).or_insert(Limit { most, told: true });
    }

    fn show_limit(&self, upstream: &str, most: usize) {
        let labels = ByName { upstream: upstream.to_owned() };
        self.sessions.get_or_create(&labels).set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    /// How many sessions upstreams allow at once, where that was found since the last call.
    pub fn fresh_limits(&self) -> Vec<(String, usize)> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for (name, limit) in limits.iter_mut() {
            if !std::mem::replace(&mut limit.told, true) {
                fresh.push((name.clone(), limit.most));
            }
        }
        fresh
    }

    /// Notes whether an upstream is left alone.
    pub(super) fn left_alone(&self, upstream: &str, alone: bool) {
        self.closed.get_or_create(&ByName { upstream: upstream.to_owned() }).set(i64::from(alone));
    }
}
