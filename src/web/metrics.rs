//! Metrics for Prometheus.
//!
//! | name | meaning |
//! |---|---|
//! | `sekisho_build_info{version}` | 1 |
//! | `sekisho_answers_total{answer}` | final replies to clients: `queued`, `held`, `noted` (a journal copy), `rejected`, `loop`, `too-large`, `mime`, `full`, `unavailable` |
//! | `sekisho_accepted_total{action}` | messages accepted since the store was created, by action |
//! | `sekisho_exposures_prevented_total` | disclosures prevented since then: the sum of n×(n−1) |
//! | `sekisho_would_accepted_total{action}` | messages that passed in observe mode, by the action of enforce mode |
//! | `sekisho_would_exposures_prevented_total` | disclosures that enforce mode would have prevented |
//! | `sekisho_held{state}` | held messages of the last 31 days, by current state |
//! | `sekisho_deliveries{state}` | deliveries that are not final, by current state |
//! | `sekisho_deliveries_ended_total{state}` | deliveries that became final since the store was created, by state |
//! | `sekisho_deliveries_under_way` | open transactions with upstreams |
//! | `sekisho_breaker_open{upstream}` | 1 while the circuit breaker of the upstream is open |
//! | `sekisho_acme_orders_total{result}` | certificates ordered by ACME, `ok` or `failed` |
//! | `sekisho_certificate_expires_seconds{file}` | when a certificate of ours expires, in seconds since the epoch |
//! | `sekisho_tls_handshakes_total{result}` | TLS handshakes with clients, `ok` or `failed` |
//! | `sekisho_upstream_failures_total{upstream,reason}` | failed connections: `connection`, `unverified`, `auth`, `refused` |
//! | `sekisho_upstream_paced{upstream}` | copies that wait because of a rate |
//! | `sekisho_upstream_paced_seconds{upstream}` | how long the last of them has to wait |
//! | `sekisho_upstream_sessions_limit{upstream}` | the connection limit that was found when an upstream refused more |
//! | `sekisho_upstream_left_alone{upstream}` | 1 while one upstream of several is suspended |
//! | `sekisho_desk_connections` | open connections to the desk |
//! | `sekisho_desk_connections_dropped_total` | connections to the desk closed or refused because of a limit |
//! | `sekisho_log_lines_lost_total` | log lines that could not be written |
//! | `sekisho_sessions` | open sessions with clients |
//! | `sekisho_connections_refused_total{reason}` | clients disconnected before a transaction: `proxy` (no valid PROXY header from a load balancer), `starttls` (data sent after STARTTLS in plain text), `early` (data sent before the greeting), `sessions` (too many) |
//! | `sekisho_journal_copies_total{result}` | journal copies from mail hosts: `learned`, `known` (seen before), `nothing` (shows no two outsiders, is our own mail or a mailing), `unreadable` |
//! | `sekisho_auth_total{result}` | authentication attempts of clients: `right`, `wrong`, `too-many` (not checked), `down` (the source of accounts is unavailable) |
//! | `sekisho_refused_senders_total{why}` | transactions refused because of the sender: `mail-from`, `header` (From or Sender), `tenant`; and recipients refused because the client may not relay: `relay`, `journal` |
//!
//! The store's counts are read at a scrape, at most every five seconds. Totals are stored as events happen,
//! so they survive a restart and the purge of messages.

use crate::clock::{Clock, Timestamp};
use crate::intake::Answer;
use crate::store::Store;
use crate::store::known::{Counted, Totals};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The period of the gauge of held messages.
const WINDOW: Duration = Duration::from_hours(31 * 24);
/// How long values read from the store are reused.
const FRESH: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    action: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUpstream {
    upstream: String,
}

/// A value read at every scrape.
pub type Probe = Arc<dyn Fn() -> i64 + Send + Sync>;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    answers: Answers,
    done: Counts,
    would: Counts,
    held: Family<ByState, Gauge>,
    deliveries: Family<ByState, Gauge>,
    ended: Family<ByState, Counter>,
    under_way: Gauge,
    breaker: Family<ByUpstream, Gauge>,
    clock: Arc<dyn Clock>,
    read: Mutex<Option<Timestamp>>,
    probes: Probes,
}

/// Values that neither the intake nor the store counts.
#[derive(Clone)]
pub struct Probes {
    /// Open transactions with upstreams.
    pub busy: Probe,
    /// The upstream's name, and 1 while its circuit breaker is open.
    pub breaker: Arc<dyn Fn() -> (String, i64) + Send + Sync>,
}

/// Counts replies to clients. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Answers(Family<ByAnswer, Counter>);

impl Answers {
    /// Counts one reply.
    pub fn count(&self, answer: &Answer) {
        let answer = match answer {
            Answer::Queued(_) => "queued",
            Answer::Held(..) => "held",
            Answer::Noted(_) => "noted",
            Answer::Rejected(_) => "rejected",
            Answer::Loop(_) => "loop",
            Answer::TooLarge(_) => "too-large",
            Answer::Mime(_) => "mime",
            Answer::Full => "full",
            Answer::Unavailable => "unavailable",
        };
        self.0.get_or_create(&ByAnswer { answer }).inc();
    }
}

impl Metrics {
    /// Creates the metrics; `more` registers those of other modules.
    pub fn new(
        clock: Arc<dyn Clock>,
        answers: Answers,
        probes: Probes,
        more: impl FnOnce(&mut Registry),
    ) -> Self {
        let mut registry = Registry::with_prefix("sekisho");
        let build: Family<Version, Gauge> = Family::default();
        build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION") }).set(1);
        let metrics = Self {
            done: Counts::default(),
            would: Counts::default(),
            held: Family::default(),
            deliveries: Family::default(),
            ended: Family::default(),
            under_way: Gauge::default(),
            breaker: Family::default(),
            read: Mutex::new(None),
            registry: Registry::default(),
            answers,
            clock,
            probes,
        };
        registry.register("build_info", "The running version", build);
        registry.register("answers", "Final replies to clients", metrics.answers.0.clone());
        let Counts { accepted, exposures } = metrics.done.clone();
        registry.register("accepted", "Messages accepted, by action", accepted);
        let help = "Disclosures prevented: the sum of n*(n-1)";
        registry.register("exposures_prevented", help, exposures);
        let Counts { accepted, exposures } = metrics.would.clone();
        let help = "Messages that passed in observe mode, by the action of enforce mode";
        registry.register("would_accepted", help, accepted);
        let help = "Disclosures that enforce mode would have prevented";
        registry.register("would_exposures_prevented", help, exposures);
        registry.register(
            "held",
            "Held messages of the last 31 days, by current state",
            metrics.held.clone(),
        );
        let help = "Deliveries that are not final, by current state";
        registry.register("deliveries", help, metrics.deliveries.clone());
        registry.register(
            "deliveries_ended",
            "Deliveries that became final, by state",
            metrics.ended.clone(),
        );
        registry.register("deliveries_under_way", "Open transactions", metrics.under_way.clone());
        registry.register(
            "breaker_open",
            "1 while the circuit breaker of the upstream is open",
            metrics.breaker.clone(),
        );
        more(&mut registry);
        Self { registry, ..metrics }
    }

    /// The metrics in the text format of Prometheus.
    pub async fn render(&self, store: &dyn Store) -> String {
        self.under_way.set((self.probes.busy)());
        let (upstream, open) = (self.probes.breaker)();
        // a reload may have replaced the upstream
        self.breaker.clear();
        self.breaker.get_or_create(&ByUpstream { upstream }).set(open);
        if let Err(error) = self.read(store).await {
            tracing::warn!(%error, "the store's counts could not be read");
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }

    async fn read(&self, store: &dyn Store) -> Result<(), crate::store::StoreError> {
        let mut read = self.read.lock().await;
        let now = self.clock.now();
        if read.is_some_and(|at| at <= now && now.since(at) < FRESH) {
            return Ok(());
        }
        let totals = store.totals(now.minus(WINDOW)).await?;
        self.set(&totals);
        *read = Some(now);
        Ok(())
    }

    fn set(&self, totals: &Totals) {
        self.done.set(&totals.done);
        self.would.set(&totals.would);
        for (state, number) in &totals.ended {
            raise(&self.ended.get_or_create(&ByState { state: state.clone() }), *number);
        }
        fill(&self.held, &totals.held);
        fill(&self.deliveries, &totals.open);
    }
}

/// Messages and disclosures, as counters.
#[derive(Clone, Default)]
struct Counts {
    accepted: Family<ByAction, Counter>,
    exposures: Counter,
}

impl Counts {
    fn set(&self, counted: &Counted) {
        for (action, number) in &counted.accepted {
            raise(&self.accepted.get_or_create(&ByAction { action: action.clone() }), *number);
        }
        raise(&self.exposures, counted.exposures_prevented);
    }
}

/// Raises a counter to the store's count; it never falls.
fn raise(counter: &Counter, number: u64) {
    counter.inc_by(number.saturating_sub(counter.get()));
}

/// Sets the gauges; states without an entry are removed.
fn fill(family: &Family<ByState, Gauge>, numbers: &BTreeMap<String, u64>) {
    family.clear();
    for (state, number) in numbers {
        family.get_or_create(&ByState { state: state.clone() }).set(as_gauge(*number));
    }
}

fn as_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
