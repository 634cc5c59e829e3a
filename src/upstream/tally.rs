//! Metrics of the upstreams.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Metrics of all upstreams. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    failures: Family<ByReason, Counter>,
    waiting: Family<ByName, Gauge>,
    wait: Family<ByName, Gauge>,
    suspended: Family<ByName, Gauge>,
    sessions: Family<ByName, Gauge>,
    limits: Arc<Mutex<BTreeMap<String, Limit>>>,
}

/// How many concurrent sessions an upstream allows, and whether [`Tally::fresh_limits`] has returned it.
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

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or it was lost.
    Connection,
    /// The required TLS is missing: no TLS, or a certificate that does not verify.
    Unverified,
    /// The upstream refused our credentials, or no access token could be fetched.
    Auth,
    /// The upstream refused us before any mail.
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
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "upstream_failures",
            "Failed connections to an upstream, by reason",
            self.failures.clone(),
        );
        registry.register("upstream_paced", "Copies that wait because of a rate limit", self.waiting.clone());
        registry.register(
            "upstream_paced_seconds",
            "Seconds until the last copy that waits because of a rate limit is due",
            self.wait.clone(),
        );
        registry.register(
            "upstream_left_alone",
            "1 while an upstream of several is suspended by its circuit breaker",
            self.suspended.clone(),
        );
        registry.register(
            "upstream_sessions_limit",
            "Concurrent sessions that an upstream was found to allow",
            self.sessions.clone(),
        );
    }

    /// Counts a failed connection.
    pub(super) fn failed(&self, upstream: &str, trouble: Trouble) {
        let labels = ByReason { upstream: upstream.to_owned(), reason: trouble.word() };
        self.failures.get_or_create(&labels).inc();
    }

    /// Sets how many copies wait because of a rate, and how long until the last of them is due.
    pub(super) fn paced(&self, upstream: &str, waiting: usize, longest: Duration) {
        let labels = ByName { upstream: upstream.to_owned() };
        self.waiting.get_or_create(&labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.wait.get_or_create(&labels).set(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Sets how many concurrent sessions an upstream was found to allow.
    pub(super) fn sessions_limit(&self, upstream: &str, most: usize) {
        self.show_limit(upstream, most);
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.get(upstream).map(|limit| limit.most);
        if known != Some(most) {
            limits.insert(upstream.to_owned(), Limit { most, told: false });
        }
    }

    /// Sets a limit that was known before the start.
    pub(super) fn known_limit(&self, upstream: &str, most: usize) {
        self.show_limit(upstream, most);
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(upstream.to_owned()).or_insert(Limit { most, told: true });
    }

    fn show_limit(&self, upstream: &str, most: usize) {
        let labels = ByName { upstream: upstream.to_owned() };
        self.sessions.get_or_create(&labels).set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    /// The limits on concurrent sessions found since the last call: upstream and number.
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

    /// Sets whether an upstream is suspended by its circuit breaker.
    pub(super) fn suspended(&self, upstream: &str, suspended: bool) {
        self.suspended.get_or_create(&ByName { upstream: upstream.to_owned() }).set(i64::from(suspended));
    }
}
