//! The text form of one budget: `10000/day`, `22059/day outside`.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub(super) const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A number of recipients in a sliding period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Limit {
    /// Maximum number of recipients.
    pub count: u32,
    /// The period.
    pub per: Duration,
    /// Which senders share the budget.
    pub whose: Whose,
    /// Whether only outside recipients count.
    pub outside: bool,
}

/// Which senders share a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Each MAIL FROM has its own.
    Sender,
    /// All senders share one.
    All,
}

/// The text is not a valid budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a budget: write recipients and a span (`hour` or `day`), such as \"10000/day\" for each sender, or \
     \"22059/day outside\" for outside recipients of all together; the words `sender` and `all` say it in full"
)]
pub struct NoLimit(pub String);

impl FromStr for Limit {
    type Err = NoLimit;

    /// Without `sender` or `all`, a budget is per sender, but one with `outside` is for all senders: mail
    /// hosts have these two limits.
    fn from_str(text: &str) -> Result<Self, NoLimit> {
        let wrong = || NoLimit(text.to_owned());
        let (count, rest) = text.split_once('/').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        let mut words = rest.split_ascii_whitespace();
        let per = match words.next() {
            Some("d" | "day") => DAY,
            Some("h" | "hour") => HOUR,
            _ => return Err(wrong()),
        };
        let (mut whose, mut outside) = (None, false);
        for word in words {
            match word {
                "sender" if whose.is_none() => whose = Some(Whose::Sender),
                "all" if whose.is_none() => whose = Some(Whose::All),
                "outside" if !outside => outside = true,
                _ => return Err(wrong()),
            }
        }
        if count == 0 {
            return Err(wrong());
        }
        let usual = if outside { Whose::All } else { Whose::Sender };
        Ok(Self { count, per, whose: whose.unwrap_or(usual), outside })
    }
}

impl TryFrom<String> for Limit {
    type Error = NoLimit;

    fn try_from(text: String) -> Result<Self, NoLimit> {
        text.parse()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = if self.per == DAY { "day" } else { "hour" };
        let whose = if self.whose == Whose::All { "all" } else { "sender" };
        let outside = if self.outside { " outside" } else { "" };
        write!(f, "{}/{span} {whose}{outside}", self.count)
    }
}
