//! The networks of several names, resolved at start and refreshed regularly. A failed refresh keeps the
//! previous result.

use super::set::{Ask, Set, follow};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

/// The shortest and the longest time between refreshes of a record.
const REFRESH: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// Time until the next try after a failed refresh: with a previous result, and without one.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2));

/// Whether an address is in the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is in one of them.
    Inside,
    /// It is in none of them.
    Outside,
    /// It is in none of those resolved so far, and some are not resolved yet.
    Unknown,
}

/// The networks of several names.
#[derive(Debug)]
pub struct Ranges {
    names: Vec<String>,
    /// The networks of each name; `None` until first resolved.
    sets: RwLock<Vec<Option<Arc<Set>>>>,
}

impl Ranges {
    /// The networks of these names, not resolved yet.
    pub fn new(names: Vec<String>) -> Arc<Self> {
        let sets = RwLock::new(vec![None; names.len()]);
        Arc::new(Self { names, sets })
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether an address is in the networks.
    pub fn membership(&self, address: IpAddr) -> Membership {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        if sets.iter().flatten().any(|set| set.passes(address)) {
            Membership::Inside
        } else if sets.iter().any(Option::is_none) {
            Membership::Unknown
        } else {
            Membership::Outside
        }
    }

    /// Resolves the name at index `at`; returns how long to wait before the next refresh.
    pub async fn refresh(&self, at: usize, ask: &dyn Ask) -> Duration {
        let Some(name) = self.names.get(at) else { return REFRESH.1 };
        match follow(ask, name).await {
            Ok((set, ttl)) => {
                let nets = set.len();
                let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
                if let Some(kept) = sets.get_mut(at) {
                    if kept.as_deref() != Some(&set) {
                        tracing::info!(name, nets, "the networks of an SPF record were resolved");
                    }
                    *kept = Some(Arc::new(set));
                }
                ttl.clamp(REFRESH.0, REFRESH.1)
            }
            Err(why) => {
                let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
                let known = sets.get(at).is_some_and(Option::is_some);
                tracing::warn!(
                    name,
                    why,
                    known,
                    "an SPF record could not be resolved; the previous result is kept"
                );
                if known { RETRY.0 } else { RETRY.1 }
            }
        }
    }

    /// Spawns tasks that refresh every name until the ranges are dropped.
    pub fn keep_fresh(self: &Arc<Self>, ask: &Arc<dyn Ask>) {
        for at in 0..self.names.len() {
            let ranges: Weak<Self> = Arc::downgrade(self);
            let ask = Arc::clone(ask);
            tokio::spawn(async move {
                while let Some(held) = ranges.upgrade() {
                    let again = held.refresh(at, &*ask).await;
                    drop(held);
                    tokio::time::sleep(again).await;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::tests::Table;
    use super::*;
    use std::collections::HashMap;

    #[tokio::test]
    async fn a_failed_refresh_keeps_what_was_known() {
        let table = |one: &str| {
            Table(HashMap::from([
                ("one.test", one.to_owned()),
                ("two.test", "v=spf1 ip4:198.51.100.0/24 -all".to_owned()),
            ]))
        };
        let sound = table("v=spf1 ip4:192.0.2.0/24 -all");
        let ranges = Ranges::new(vec!["one.test".into(), "two.test".into()]);
        let of = |address: &str| ranges.membership(address.parse().unwrap());
        assert_eq!((of("192.0.2.1"), of("203.0.113.1")), (Membership::Unknown, Membership::Unknown));
        assert_eq!(ranges.refresh(0, &sound).await, Duration::from_mins(5));
        assert_eq!((of("192.0.2.1"), of("203.0.113.1")), (Membership::Inside, Membership::Unknown));
        ranges.refresh(1, &sound).await;
        assert_eq!((of("198.51.100.7"), of("203.0.113.1")), (Membership::Inside, Membership::Outside));
        for broken in ["servfail", "v=spf1 +all", "v=spf1 ip4:0.0.0.0/0", "v=spf2"] {
            assert_eq!(ranges.refresh(0, &table(broken)).await, RETRY.0);
            assert_eq!(
                (of("192.0.2.1"), of("203.0.113.1")),
                (Membership::Inside, Membership::Outside),
                "{broken}"
            );
        }
        ranges.refresh(0, &table("v=spf1 ip4:203.0.113.0/24 -all")).await;
        assert_eq!((of("192.0.2.1"), of("203.0.113.1")), (Membership::Outside, Membership::Inside));
    }
}
