//! Chooses the upstream by sender and recipient domain, at each attempt.
//!
//! One transaction goes to one upstream. Recipients for other upstreams are returned as not tried; the
//! store then splits the delivery, and each part is sent on its own.

use super::{Fate, Outcome, Transaction, Upstream};
use crate::message::{Address, Recipient};
use async_trait::async_trait;
use std::sync::Arc;

/// A routing rule and its upstream.
pub struct Route {
    /// Domains of MAIL FROM, as lower-case A-labels. `*.` stands for all subdomains. Empty matches all.
    pub sender_domains: Vec<String>,
    /// Domains of the recipient, in the same form.
    pub recipient_domains: Vec<String>,
    /// Where matching mail is sent.
    pub upstream: Arc<dyn Upstream>,
}

impl Route {
    fn fits(&self, sender: Option<&Address>, recipient: &Address) -> bool {
        let named = |domains: &[String], address: Option<&Address>| {
            domains.is_empty()
                || address.is_some_and(|address| domains.iter().any(|domain| address.is_at(domain)))
        };
        named(&self.sender_domains, sender) && named(&self.recipient_domains, Some(recipient))
    }
}

/// An upstream that routes to others; see the module documentation.
pub struct Router {
    usual: Arc<dyn Upstream>,
    routes: Vec<Route>,
}

impl Router {
    /// Uses the first route that matches, or `usual` if none does.
    pub fn new(usual: Arc<dyn Upstream>, routes: Vec<Route>) -> Self {
        Self { usual, routes }
    }

    fn choose(&self, sender: Option<&Address>, recipient: &Address) -> &Arc<dyn Upstream> {
        let fitting = self.routes.iter().find(|route| route.fits(sender, recipient));
        fitting.map_or(&self.usual, |route| &route.upstream)
    }

    /// Every upstream once.
    fn ways(&self) -> Vec<&Arc<dyn Upstream>> {
        let mut ways = vec![&self.usual];
        for route in &self.routes {
            if !ways.iter().any(|way| Arc::ptr_eq(way, &route.upstream)) {
                ways.push(&route.upstream);
            }
        }
        ways
    }
}

#[async_trait]
impl Upstream for Router {
    fn name(&self) -> &str {
        self.usual.name()
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let sender = transaction.sender.clone();
        let choose = |recipient: &Address| Arc::clone(self.choose(sender.as_ref(), recipient));
        let Some(way) = transaction.recipients.first().map(|first| choose(&first.address)) else {
            return Outcome::all(0, &Fate::NotTried(String::new()));
        };
        let goes = |recipient: &Address| Arc::ptr_eq(&choose(recipient), &way);
        let part = Part::take(transaction, goes);
        let outcome = way.send(transaction, last_look).await;
        // one upstream that is down must not count as a failure of all
        Outcome { unreachable: false, ..part.give_back(transaction, outcome, "it goes to another upstream") }
    }

    async fn probe(&self) -> Result<String, String> {
        let mut said = Vec::new();
        for way in self.ways() {
            said.push(way.probe().await?);
        }
        Ok(said.join("; "))
    }

    async fn close(&self) {
        for way in self.ways() {
            way.close().await;
        }
    }
}

/// A transaction reduced to some of its recipients.
pub(super) struct Part {
    all: Vec<Recipient>,
    chosen: Vec<bool>,
}

impl Part {
    /// Removes all recipients from the transaction that `goes` does not select.
    pub(super) fn take(transaction: &mut Transaction, goes: impl Fn(&Address) -> bool) -> Self {
        let chosen: Vec<bool> =
            transaction.recipients.iter().map(|recipient| goes(&recipient.address)).collect();
        let mut keep = chosen.iter();
        let staying = transaction.recipients.clone();
        transaction.recipients.retain(|_| keep.next().copied().unwrap_or(false));
        Self { all: staying, chosen }
    }

    /// Restores all recipients; those removed count as not tried.
    pub(super) fn give_back(self, transaction: &mut Transaction, outcome: Outcome, why: &str) -> Outcome {
        transaction.recipients = self.all;
        let mut fates = outcome.recipients.into_iter();
        let forgotten = || Fate::Deferred("4.3.0 no answer for this recipient".to_owned());
        let fate = |chosen: bool| {
            if chosen { fates.next().unwrap_or_else(forgotten) } else { Fate::NotTried(why.to_owned()) }
        };
        let recipients = self.chosen.into_iter().map(fate).collect();
        Outcome { recipients, ..outcome }
    }
}
