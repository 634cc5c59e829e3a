//! Limits how many sessions are open at once, in total and per client address.

use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts open sessions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    counts: Mutex<Counts>,
    /// The metric of open sessions, shared by all listeners.
    shown: Gauge,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// One counted session. Dropping it ends the count.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    client: Option<IpAddr>,
}

impl Gate {
    /// A gate that also updates `shown`.
    pub(super) fn new(shown: Gauge) -> Self {
        Self { counts: Mutex::default(), shown }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a new session; `None` if `most` are open already.
    pub(super) fn enter(self: &Arc<Self>, most: usize) -> Option<Pass> {
        let mut counts = self.counts();
        if counts.all >= most {
            return None;
        }
        counts.all += 1;
        self.shown.inc();
        Some(Pass { gate: Arc::clone(self), client: None })
    }
}

impl Pass {
    /// Counts the session for this client. Returns false if the client has `most` sessions open already.
    /// Call it at most once.
    pub(super) fn name(&mut self, client: IpAddr, most: usize) -> bool {
        let mut counts = self.gate.counts();
        let here = counts.by_client.get(&client).copied().unwrap_or_default();
        if here >= most {
            return false;
        }
        counts.by_client.insert(client, here + 1);
        self.client = Some(client);
        true
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.all = counts.all.saturating_sub(1);
        self.gate.shown.dec();
        let Some(client) = self.client else { return };
        match counts.by_client.get_mut(&client) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(counts.by_client.remove(&client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(gate: &Arc<Gate>, client: IpAddr) -> Option<Pass> {
        gate.enter(3).and_then(|mut pass| pass.name(client, 2).then_some(pass))
    }

    #[test]
    fn passes_are_counted_and_given_back() {
        let gate = Arc::new(Gate::default());
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = enter(&gate, one).unwrap();
        let second = enter(&gate, one).unwrap();
        assert!(enter(&gate, one).is_none(), "two from one address");
        let third = enter(&gate, two).unwrap();
        assert!(enter(&gate, two).is_none(), "three in all");
        drop(first);
        assert!(enter(&gate, one).is_some());
        let unnamed = gate.enter(3).unwrap();
        assert!(gate.enter(3).is_none(), "one that has no name yet counts");
        drop((unnamed, second, third));
        assert_eq!(gate.shown.get(), 0);
        let counts = gate.counts();
        assert!(counts.by_client.is_empty() && counts.all == 0);
    }
}
