//! Limits attempts: at most so many within a time, for each name.
//!
//! Memory is bounded: counts are kept in a fixed number of slots, and names that fall into the same slot
//! share its count.

use crate::clock::{Clock, Timestamp};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Number of slots.
const SLOTS: u64 = 16_384;

/// Counts attempts, in memory only.
pub struct Rates {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    slots: Mutex<HashMap<u64, Vec<Timestamp>>>,
}

impl Rates {
    /// No attempts yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, hasher: RandomState::new(), slots: Mutex::default() }
    }

    /// Whether `who` may do `what` once more, at most `most` times in `window`; if so, it is counted.
    pub fn admit(&self, what: &str, who: &str, most: usize, window: Duration) -> bool {
        let now = self.clock.now();
        let slot = self.hasher.hash_one((what, who)) % SLOTS;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let moments = slots.entry(slot).or_default();
        moments.retain(|moment| now.since(*moment) < window);
        for moment in moments.iter_mut() {
            *moment = (*moment).min(now);
        }
        let room = moments.len() < most;
        if room {
            moments.push(now);
        }
        room
    }
}

/// The name of a source: an IPv4 address or an IPv6 /64.
pub fn source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn so_many_within_the_time() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let rates = Rates::new(clock.clone());
        let admit = |who: &str| rates.admit("x", who, 3, Duration::from_mins(1));
        assert_eq!([admit("a"), admit("a"), admit("a"), admit("a")], [true, true, true, false]);
        assert!(admit("b"));
        clock.advance_millis(60_000);
        assert!(admit("a"));
        clock.advance_millis(-60_000);
        assert!(admit("a"), "a clock set back locks nobody out for good");
    }

    #[test]
    fn a_network_is_one_source() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
