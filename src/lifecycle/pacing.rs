//! The token bucket of a rate that several relays share. It starts full and is refilled evenly. More tokens
//! may be taken than it holds; later transactions then wait until the debt is refilled.
//!
//! The level is the number of tokens times the period in milliseconds, so that rounding never adds tokens.

use crate::clock::Timestamp;
use std::time::Duration;

/// How long after its time a promise is still valid.
pub const PROMISED_FOR: Duration = Duration::from_mins(5);

/// How many tokens a bucket gains in a period. A full bucket holds as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// The number of tokens.
    pub count: u32,
    /// The period.
    pub per: Duration,
}

impl Refill {
    fn unit(self) -> i64 {
        i64::try_from(self.per.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    fn full(self) -> i64 {
        i64::from(self.count).saturating_mul(self.unit())
    }

    fn worth(self, tokens: u64) -> i64 {
        i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(self.unit())
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its rate.
    pub refill: Refill,
    /// The number of tokens times the period in milliseconds; negative after more tokens were taken than it
    /// held.
    pub level: i64,
    /// The time at which it had this level.
    pub at: Timestamp,
}

impl Bucket {
    /// A bucket that is full except for what was sent recently.
    pub fn new(refill: Refill, sent: u64, now: Timestamp) -> Self {
        let mut bucket = Self { refill, level: refill.full(), at: now };
        bucket.take(sent);
        bucket
    }

    /// Refills the bucket. A time before the last refill changes nothing.
    pub fn fill(&mut self, now: Timestamp) {
        if now <= self.at {
            return;
        }
        let passed = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        let more = passed.saturating_mul(i64::from(self.refill.count));
        self.level = self.refill.full().min(self.level.saturating_add(more));
        self.at = now;
    }

    /// Takes tokens, even if that many are not available.
    pub fn take(&mut self, tokens: u64) {
        self.level = self.level.saturating_sub(self.refill.worth(tokens));
    }

    /// Puts unused tokens back.
    pub fn put_back(&mut self, tokens: u64) {
        self.level = self.refill.full().min(self.level.saturating_add(self.refill.worth(tokens)));
    }

    /// The time at which this many tokens are available. If a full bucket holds fewer, this is the time at
    /// which it is full.
    pub fn when(&self, tokens: u64, now: Timestamp) -> Timestamp {
        let needed = self.refill.worth(tokens).min(self.refill.full());
        let missing = u64::try_from(needed.saturating_sub(self.level)).unwrap_or(0);
        now.plus(Duration::from_millis(missing.div_ceil(u64::from(self.refill.count.max(1)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_its_rate_and_no_more() {
        let refill = Refill { count: 30, per: Duration::from_mins(1) };
        let begin = Timestamp(1_000_000);
        let mut bucket = Bucket::new(refill, 0, begin);
        let mut given = 0;
        for second in 0..600 {
            let now = begin.plus(Duration::from_secs(second));
            bucket.fill(now);
            while bucket.when(1, now) <= now {
                bucket.take(1);
                given += 1;
            }
        }
        assert_eq!(given, 30 + 299);
        bucket.fill(Timestamp(0));
        assert_eq!(bucket.when(1, begin.plus(Duration::from_secs(599))), begin.plus(Duration::from_mins(10)));
        bucket.put_back(1_000);
        assert_eq!(bucket.level, refill.full());
        assert_eq!(bucket.when(99, begin), begin, "more than it holds begins with a full one");
        let day = Refill { count: u32::MAX, per: Duration::from_hours(24) };
        assert!(Bucket::new(day, 1, begin).when(u64::MAX, begin) > begin);
    }
}
