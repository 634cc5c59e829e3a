//! Metrics of connections: sessions, handshakes, refused connections, ACME orders.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metric label: `ok` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    result: &'static str,
}

/// Metric label: why a connection was closed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    reason: &'static str,
}

/// Metrics shared by all listeners. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// TLS handshakes, `ok` or `failed`.
    pub handshakes: Family<ByResult, Counter>,
    /// Connections closed before a transaction: `proxy` (no valid PROXY header from a load balancer),
    /// `starttls` (input after STARTTLS without waiting for the reply), `early` (the client spoke before
    /// the greeting), `sessions` (connection limit reached).
    pub refused: Family<ByReason, Counter>,
    /// Sessions open now.
    pub sessions: Gauge,
    /// ACME certificate orders, `ok` or `failed`.
    pub orders: Family<ByResult, Counter>,
}

impl Tally {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("tls_handshakes", "TLS handshakes with clients", self.handshakes.clone());
        registry.register(
            "connections_refused",
            "Connections closed before a transaction",
            self.refused.clone(),
        );
        registry.register("sessions", "Sessions with clients open now", self.sessions.clone());
        registry.register("acme_orders", "ACME certificate orders", self.orders.clone());
    }

    /// Counts an ACME order.
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
