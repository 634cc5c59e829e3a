//! Which mail goes which way, decided each time it is sent.
//!
//! One transaction goes one way. Recipients of other ways come back as not tried: the store parts them,
//! and each is sent on its own, exactly once.

use super::{Fate, Outcome, Transaction, Upstream};
use crate::message::{Address, Recipient};
use async_trait::async_trait;
use std::sync::Arc;

/// A rule, and the way it leads to.
pub struct Route {
    /// Domains of MAIL FROM, lower-case A-labels; `*.` for all below one; none for any.
    pub sender_domains: Vec<String>,
    /// Domains of the recipient, likewise.
    pub recipient_domains: Vec<String>,
    /// Where it leads.
    pub way: Arc<dyn Upstream>,
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

/// See the module.
pub struct Router {
    usual: Arc<dyn Upstream>,
    routes: Vec<Route>,
}

impl Router {
    /// The first route that fits counts; else the usual way.
    pub fn new(usual: Arc<dyn Upstream>, routes: Vec<Route>) -> Self {
        Self { usual, routes }
    }

    fn choose(&self, sender: Option<&Address>, recipient: &Address) -> &Arc<dyn Upstream> {
        let fitting = self.routes.iter().find(|route| route.fits(sender, recipient));
        fitting.map_or(&self.usual, |route| &route.way)
    }

    /// Every way once.
    fn ways(&self) -> Vec<&Arc<dyn Upstream>> {
        let mut ways = vec![&self.usual];
        for route in &self.routes {
            if !ways.iter().any(|way| Arc::ptr_eq(way, &route.way)) {
                ways.push(&route.way);
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
        // one way that is down says nothing about the others
        Outcome { unreachable: false, ..part.give_back(transaction, outcome, "it goes another way") }
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

/// Some of a transaction's recipients, who go first.
pub(super) struct Part {
    all: Vec<Recipient>,
    chosen: Vec<bool>,
}

impl Part {
    /// Leaves those in the transaction who go.
    pub(super) fn take(transaction: &mut Transaction, goes: impl Fn(&Address) -> bool) -> Self {
        let chosen: Vec<bool> =
            transaction.recipients.iter().map(|recipient| goes(&recipient.address)).collect();
        let mut keep = chosen.iter();
        let staying = transaction.recipients.clone();
        transaction.recipients.retain(|_| keep.next().copied().unwrap_or(false));
        Self { all: staying, chosen }
    }

    /// Puts all recipients back; the others were not tried.
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
