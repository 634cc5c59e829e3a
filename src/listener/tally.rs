//! Counts of what clients did before they said anything of interest.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    result: &'static str,
}

/// Why a connection was broken off.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    reason: &'static str,
}

/// Counters that all listeners share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// TLS handshakes, `ok` or `failed`.
    pub handshakes: Family<ByResult, Counter>,
    /// Connections broken off before a transaction: `proxy` (no sound PROXY header came from a
    /// balancer), `starttls` (commands came behind STARTTLS without waiting), `early` (the client spoke
    /// before the greeting), `sessions` (too many).
    pub refused: Family<ByReason, Counter>,
    /// Sessions open now.
    pub sessions: Gauge,
    /// Certificates asked for by ACME, `ok` or `failed`.
    pub orders: Family<ByResult, Counter>,
}

impl Tally {
    /// Names them to the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tls_handshakes", "TLS handshakes with clients", self.handshakes.clone());
        registry.register(
            "connections_refused",
            "Clients broken off before a transaction",
            self.refused.clone(),
        );
        registry.register("sessions", "Sessions with clients open now", self.sessions.clone());
        registry.register("acme_orders", "Certificates asked for by ACME", self.orders.clone());
    }

    /// Counts a certificate that came by ACME, or did not.
    pub fn order(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.orders.get_or_create(&ByResult { result }).inc();
    }

    pub(super) fn handshake(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.handshakes.get_or_create(&ByResult { result }).inc();
    }

    pub(super) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&ByReason { reason }).inc();
    }
}
