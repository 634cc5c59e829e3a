//! Sending budgets: built from the configuration, restored from the store, shown in metrics.

use super::StartError;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::examine::Examiner;
use crate::message::Address;
use crate::policy::Organisation;
use crate::policy::budget::{Budgets, Route, RouteBudgets, Sending};
use crate::store::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// The routes and budgets of the configuration.
pub(super) fn by_route(config: &Config) -> RouteBudgets {
    let named = config.upstreams.iter().map(|(name, upstream)| (name.clone(), upstream.budgets.clone()));
    let route = |rule: &crate::config::RouteRule| Route {
        sender_domains: rule.sender_domains.clone(),
        recipient_domains: rule.recipient_domains.clone(),
        upstream: rule.upstream.clone(),
    };
    RouteBudgets {
        usual: config.upstream.budgets.clone(),
        named: named.collect(),
        routes: config.routes.iter().map(route).collect(),
    }
}

/// The budgets of this configuration. If nothing about them changed, the current ones are kept; otherwise
/// their usage is restored from the store: copies that were sent or wait.
pub(super) async fn budgets(
    config: &Config,
    former: Option<Arc<Budgets>>,
    store: &dyn Store,
    clock: &dyn Clock,
) -> Result<Arc<Budgets>, StartError> {
    let by_route = by_route(config);
    if let Some(former) = former.filter(|former| *former.by_route() == by_route) {
        return Ok(former);
    }
    let longest = by_route.longest();
    let budgets = Budgets::new(by_route);
    if let Some(longest) = longest {
        let now = clock.now();
        for spent in store.spent_since(now.minus(longest)).await? {
            let organisation = ours(&config.organisation, spent.sender.as_ref());
            let recipients: Vec<&Address> = spent.recipients.iter().collect();
            let sending = Sending {
                sender: spent.sender.as_ref(),
                recipients: &recipients,
                organisation: organisation.as_ref().unwrap_or(&config.organisation),
            };
            budgets.spend(sending, spent.at.unwrap_or(now));
        }
    }
    Ok(Arc::new(budgets))
}

/// The organisation for mail of this sender, if it depends on the sender.
fn ours(configured: &Organisation, sender: Option<&Address>) -> Option<Organisation> {
    configured.depends_on_sender().then(|| configured.for_sender(sender))
}

/// Registers the metric that shows the usage of budgets.
pub(super) fn register(examiner: watch::Receiver<Examiner>, clock: Arc<dyn Clock>, registry: &mut Registry) {
    registry.register_collector(Box::new(Used { examiner, now: Now(clock) }));
}

#[derive(Debug)]
struct Used {
    examiner: watch::Receiver<Examiner>,
    now: Now,
}

struct Now(Arc<dyn Clock>);

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Now {
    fn tell(&self) -> Timestamp {
        self.0.now()
    }
}

impl Collector for Used {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let used = self.examiner.borrow().budgets.used(self.now.tell());
        if used.is_empty() {
            return Ok(());
        }
        let help = "Recipients counted by a budget of an upstream; for a budget per sender, the highest of any sender";
        let mut metric = encoder.encode_descriptor("upstream_budget_used", help, None, MetricType::Gauge)?;
        for (upstream, limit, used) in used {
            let upstream = if upstream.is_empty() { "upstream".to_owned() } else { upstream };
            let labels = [("upstream", upstream), ("budget", limit.to_string())];
            let used = i64::try_from(used).unwrap_or(i64::MAX);
            ConstGauge::new(used).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
