//! Builds TLS settings from the configuration.

use super::StartError;
use crate::clock::Timestamp;
use crate::config::{Config, Listener};
use crate::listener::{Tally, Tls};
use crate::tls::{ClientCas, Identities, Identity, Pair, Server, Source, acme, stale};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// TLS settings and metrics of listeners.
pub(super) struct Secured {
    pub(super) server: Server,
    pub(super) tally: Tally,
}

impl Secured {
    /// Reads all certificates. One that is not valid now is reported and used: most SMTP clients do not
    /// verify it, and a relay that does not start accepts no mail at all.
    pub(super) fn load(config: &Config, now: Timestamp) -> Result<Self, StartError> {
        prepare(config, now)?;
        let server = Server::load(source(config))
            .map_err(|trouble| StartError::Configuration(format!("[tls] {trouble}")))?;
        let secured = Self { server, tally: Tally::default() };
        secured.tell(now);
        Ok(secured)
    }

    /// Reads them again; on an error nothing changes.
    pub(super) fn reload(&self, config: &Config, now: Timestamp) -> Result<(), StartError> {
        prepare(config, now)?;
        self.server
            .replace(source(config), now)
            .map_err(|trouble| StartError::Configuration(format!("[tls] {trouble}")))?;
        self.tell(now);
        Ok(())
    }

    fn tell(&self, now: Timestamp) {
        for pair in self.server.pairs() {
            if let Some(why) = stale(&pair, now) {
                let file = pair.files.chain.display();
                tracing::warn!("{file}: {why}: clients that verify it will refuse to send");
            }
        }
    }

    /// Registers the metrics: handshakes, and expiry of certificates.
    pub(super) fn register(&self, registry: &mut Registry) {
        self.tally.register(registry);
        registry.register_collector(Box::new(Expiries(self.server.clone())));
    }

    /// The TLS settings of one listener.
    pub(super) fn of(&self, listener: &Listener) -> Option<Tls> {
        listener.tls.map(|mode| Tls {
            mode,
            server: self.server.clone(),
            client_names: listener.client_certificates.clone(),
        })
    }
}

/// Registers the metric of when our client certificates expire.
pub(super) fn register_own(identities: &Identities, registry: &mut Registry) {
    registry.register_collector(Box::new(OwnExpiries(identities.clone())));
}

/// The expiry of each certificate in use, read at every scrape.
#[derive(Debug)]
struct Expiries(Server);

impl Collector for Expiries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "When a certificate of ours for clients expires, in seconds since the epoch";
        let metric = encoder.encode_descriptor(
            "certificate_expires",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        expiries(metric, self.0.pairs())
    }
}

#[derive(Debug)]
struct OwnExpiries(Identities);

impl Collector for OwnExpiries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut pairs: Vec<Pair> = self.0.all().iter().map(Identity::pair).collect();
        // one for each file, even if several upstreams use it
        pairs.sort_by(|one, other| one.files.chain.cmp(&other.files.chain));
        pairs.dedup_by(|one, other| one.files.chain == other.files.chain);
        if pairs.is_empty() {
            return Ok(());
        }
        let help = "When a client certificate for an upstream expires, in seconds since the epoch";
        let metric = encoder.encode_descriptor(
            "upstream_certificate_expires",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        expiries(metric, pairs)
    }
}

fn expiries(mut metric: MetricEncoder<'_>, pairs: Vec<Pair>) -> fmt::Result {
    for pair in pairs {
        let labels = [("file", pair.files.chain.display().to_string())];
        ConstGauge::new(pair.facts.until.0 / 1_000).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Creates a placeholder for a certificate that ACME has not issued yet.
fn prepare(config: &Config, now: Timestamp) -> Result<(), StartError> {
    match &config.tls.acme {
        Some(wanted) => acme::prepare(wanted, now)
            .map_err(|trouble| StartError::Configuration(format!("[tls.acme] {trouble}"))),
        None => Ok(()),
    }
}

/// The files of certificates and keys.
pub(super) fn source(config: &Config) -> Source {
    let asks = config.listeners.iter().any(|listener| !listener.client_certificates.is_empty());
    Source {
        pairs: config.tls.pairs(),
        clients: match (&config.tls.client_ca_file, asks) {
            (_, false) => ClientCas::NotAsked,
            (Some(file), true) => ClientCas::File(file.clone()),
            (None, true) => ClientCas::System,
        },
    }
}
