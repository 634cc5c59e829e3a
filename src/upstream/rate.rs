//! Rates of transactions or recipients, as token buckets. The caller passes the current time.

use crate::clock::Timestamp;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of transactions or recipients in a period of time, such as `30/min` or
/// `10000 recipients/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    /// The number.
    pub count: u32,
    /// What is counted.
    pub unit: Unit,
    /// The period.
    pub per: Duration,
}

impl Rate {
    /// How many tokens a transaction with this many recipients costs.
    pub fn price(&self, recipients: usize) -> usize {
        if self.unit == Unit::Recipients { recipients } else { 1 }
    }
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Transactions. Most copies have one recipient each.
    #[default]
    Messages,
    /// Recipients.
    Recipients,
}

/// The text is not a valid rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a rate: write a number and a period, such as `30/min`, `2000/h` or `10000 recipients/day`"
)]
pub struct InvalidRate(pub String);

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let wrong = || InvalidRate(text.to_owned());
        let (count, span) = text.split_once('/').ok_or_else(wrong)?;
        let (count, unit) = match count.trim().split_once(' ') {
            None => (count.trim(), Unit::Messages),
            Some((count, "messages")) => (count, Unit::Messages),
            Some((count, "recipients")) => (count, Unit::Recipients),
            Some(_) => return Err(wrong()),
        };
        let count: u32 = count.parse().map_err(|_| wrong())?;
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
        Ok(Self { count, unit, per: Duration::from_secs(seconds) })
    }
}

impl TryFrom<String> for Rate {
    type Error = InvalidRate;

    fn try_from(text: String) -> Result<Self, InvalidRate> {
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
        let unit = if self.unit == Unit::Recipients { " recipients" } else { "" };
        write!(f, "{}{unit}/{span}", self.count)
    }
}

/// A token bucket. It starts full, so a burst of one period's worth passes, and is refilled evenly. More
/// tokens may be taken than it holds; later transactions then wait until the debt is refilled.
///
/// The level is counted in fractions of `1/per` of a token, so that rounding never adds tokens.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// Tokens × period in milliseconds.
    level: i128,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        let mut bucket = Self { rate, level: 0, at: now };
        bucket.level = bucket.full();
        bucket
    }

    fn unit(&self) -> i128 {
        i128::try_from(self.rate.per.as_millis()).unwrap_or(i128::MAX).max(1)
    }

    fn full(&self) -> i128 {
        i128::from(self.rate.count) * self.unit()
    }

    /// How many tokens a transaction with this many recipients costs.
    pub fn price(&self, recipients: usize) -> usize {
        self.rate.price(recipients)
    }

    /// Refills the bucket. A clock that is set back adds no tokens, and moving it forward again adds none
    /// twice.
    fn fill(&mut self, now: Timestamp) {
        let passed = i128::try_from(now.since(self.at).as_millis()).unwrap_or(0);
        self.at = now;
        self.level = self.full().min(self.level + passed * i128::from(self.rate.count));
    }

    /// Takes tokens, even if that many are not available.
    pub fn take(&mut self, tokens: usize) {
        self.level -= self.worth(tokens);
    }

    /// Returns unused tokens.
    pub fn put_back(&mut self, tokens: usize) {
        self.level = self.full().min(self.level + self.worth(tokens));
    }

    fn worth(&self, tokens: usize) -> i128 {
        i128::try_from(tokens).unwrap_or(i128::MAX / 2).saturating_mul(self.unit())
    }

    /// When a transaction with this many recipients may start, `now` if at once. One that costs more than
    /// the bucket holds may start when the bucket is full.
    pub fn when(&mut self, recipients: usize, now: Timestamp) -> Timestamp {
        self.fill(now);
        let needed = self.worth(self.price(recipients)).min(self.full());
        let missing = u128::try_from(needed - self.level).unwrap_or(0);
        let millis = missing.div_ceil(u128::from(self.rate.count));
        now.plus(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for text in ["30/min", "10000/day", "5/s", "7/h", "10000 recipients/day"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("30 messages/min".parse::<Rate>().unwrap().to_string(), "30/min");
        for text in ["", "30", "0/min", "x/min", "30/fortnight", "-1/s", "30/min/2", "3 birds/day"] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("30/min"), "{error}");
        }
    }

    fn start(bucket: &mut Bucket, now: Timestamp) -> bool {
        let may = bucket.when(1, now) <= now;
        bucket.take(usize::from(may));
        may
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_rate() {
        let begin = Timestamp(1_000_000);
        let mut bucket = Bucket::new("30/min".parse().unwrap(), begin);
        assert_eq!((0..99).filter(|_| start(&mut bucket, begin)).count(), 30);
        assert_eq!(bucket.when(1, begin), begin.plus(Duration::from_secs(2)));
        let given: usize = (1..=600)
            .map(|second| begin.plus(Duration::from_secs(second)))
            .map(|now| (0..9).filter(|_| start(&mut bucket, now)).count())
            .sum();
        assert_eq!(given, 300);
    }

    #[test]
    fn a_clock_set_back_gives_nothing() {
        let begin = Timestamp(10_000_000);
        let mut bucket = Bucket::new("1/s".parse().unwrap(), begin);
        assert!(start(&mut bucket, begin));
        assert!(!start(&mut bucket, begin.minus(Duration::from_hours(1))));
        assert!(start(&mut bucket, begin.minus(Duration::from_secs(3599))));
    }

    #[test]
    fn unused_tokens_come_back_but_not_over_the_brim() {
        let now = Timestamp(0);
        let mut bucket = Bucket::new("2/min".parse().unwrap(), now);
        bucket.take(2);
        bucket.put_back(1);
        assert!(start(&mut bucket, now) && !start(&mut bucket, now));
        bucket.put_back(5);
        assert_eq!((0..9).filter(|_| start(&mut bucket, now)).count(), 2);
    }
}
