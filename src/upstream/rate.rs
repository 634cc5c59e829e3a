//! How many transactions may start in a span of time: token buckets driven by the clock they are given.

use crate::clock::Timestamp;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So many transactions in a span of time, such as `30/min` or `10000/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which span.
    pub per: Duration,
}

/// The text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate: write a number and a span, such as `30/min`, `5/s`, `2000/h` or `10000/day`")]
pub struct NoRate(pub String);

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let wrong = || NoRate(text.to_owned());
        let (count, span) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let seconds = match span.trim() {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3_600,
            "d" | "day" => 86_400,
            _ => return Err(wrong()),
        };
        if count == 0 {
            return Err(wrong());
        }
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

impl TryFrom<String> for Rate {
    type Error = NoRate;

    fn try_from(text: String) -> Result<Self, NoRate> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.per.as_secs() {
            1 => "s",
            60 => "min",
            3_600 => "h",
            86_400 => "day",
            other => return write!(f, "{}/{other}s", self.count),
        };
        write!(f, "{}/{span}", self.count)
    }
}

/// A token bucket: full at first, so that a burst of one span's worth passes; then filled evenly.
///
/// Kept in units of `1/per` of a token, so that no rounding ever gives one away.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// Tokens × span in milliseconds.
    level: u128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        let mut bucket = Self { rate, level: 0, at: now };
        bucket.level = bucket.full();
        bucket
    }

    fn unit(&self) -> u128 {
        self.rate.per.as_millis().max(1)
    }

    fn full(&self) -> u128 {
        u128::from(self.rate.count) * self.unit()
    }

    /// Lets time pass. A clock set back gives nothing, and nothing twice when it goes on.
    fn fill(&mut self, now: Timestamp) {
        let passed = now.since(self.at).as_millis();
        self.at = now;
        self.level = self.full().min(self.level + passed * u128::from(self.rate.count));
    }

    /// How many may start now.
    pub fn available(&mut self, now: Timestamp) -> usize {
        self.fill(now);
        usize::try_from(self.level / self.unit()).unwrap_or(usize::MAX)
    }

    /// Takes tokens that [`Self::available`] offered.
    pub fn take(&mut self, tokens: usize) {
        self.level = self.level.saturating_sub(tokens as u128 * self.unit());
    }

    /// Gives tokens back that were not used.
    pub fn put_back(&mut self, tokens: usize) {
        self.level = self.full().min(self.level + tokens as u128 * self.unit());
    }

    /// When the next token is there; `now` when one is already.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        self.fill(now);
        let missing = self.unit().saturating_sub(self.level);
        let millis = missing.div_ceil(u128::from(self.rate.count));
        now.plus(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for text in ["30/min", "10000/day", "5/s", "7/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "30", "0/min", "x/min", "30/fortnight", "-1/s", "30/min/2"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("30/min"), "{error}");
        }
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_rate() {
        let start = Timestamp(1_000_000);
        let mut bucket = Bucket::new("30/min".parse().unwrap(), start);
        assert_eq!(bucket.available(start), 30);
        bucket.take(30);
        assert_eq!(bucket.available(start), 0);
        assert_eq!(bucket.next(start), start.plus(Duration::from_secs(2)));
        let mut given = 0;
        for second in 1..=600 {
            let now = start.plus(Duration::from_secs(second));
            let tokens = bucket.available(now);
            bucket.take(tokens);
            given += tokens;
        }
        assert_eq!(given, 300);
    }

    #[test]
    fn a_clock_set_back_gives_nothing() {
        let start = Timestamp(10_000_000);
        let mut bucket = Bucket::new("1/s".parse().unwrap(), start);
        bucket.take(1);
        assert_eq!(bucket.available(start.minus(Duration::from_hours(1))), 0);
        assert_eq!(bucket.available(start.minus(Duration::from_secs(3599))), 1);
    }

    #[test]
    fn unused_tokens_come_back_but_not_over_the_brim() {
        let now = Timestamp(0);
        let mut bucket = Bucket::new("2/min".parse().unwrap(), now);
        bucket.take(2);
        bucket.put_back(1);
        assert_eq!(bucket.available(now), 1);
        bucket.put_back(5);
        assert_eq!(bucket.available(now), 2);
    }
}
