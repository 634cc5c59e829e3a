//! How many sessions at once, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts sessions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// A session that counts; dropped, it counts no more.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    client: IpAddr,
}

impl Gate {
    /// A pass, unless there are `most` already, or `most_of_client` from this address.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        most: usize,
        most_of_client: usize,
    ) -> Option<Pass> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = counts.by_client.get(&client).copied().unwrap_or_default();
        if counts.all >= most || here >= most_of_client {
            return None;
        }
        counts.all += 1;
        counts.by_client.insert(client, here + 1);
        Some(Pass { gate: Arc::clone(self), client })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        match counts.by_client.get_mut(&self.client) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(counts.by_client.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_and_given_back() {
        let gate = Arc::new(Gate::default());
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = gate.enter(one, 3, 2).unwrap();
        let second = gate.enter(one, 3, 2).unwrap();
        assert!(gate.enter(one, 3, 2).is_none(), "two from one address");
        let third = gate.enter(two, 3, 2).unwrap();
        assert!(gate.enter(two, 3, 2).is_none(), "three in all");
        drop(first);
        assert!(gate.enter(one, 3, 2).is_some());
        drop((second, third));
        assert!(gate.counts.lock().unwrap().by_client.is_empty());
    }
}
