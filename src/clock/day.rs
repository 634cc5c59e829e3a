//! Calendar days, for telling people when something happened.

use super::Timestamp;
use jiff::civil::Date;
use jiff::{Timestamp as Moment, ToSpan};
use serde::{Deserialize, Serialize};

/// Seconds in a day.
const SECONDS: i64 = 24 * 3_600;

/// A calendar day in the configured time zone, counted from 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i32);

impl Day {
    /// The day of a point in time.
    pub fn of(at: Timestamp) -> Self {
        let moment: Moment = at.to_jiff();
        let offset = i64::from(super::zone().to_offset(moment).seconds());
        Self(i32::try_from((moment.as_second() + offset).div_euclid(SECONDS)).unwrap_or_default())
    }

    /// Parses `2026-11-12`.
    pub fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let since = date.since(Date::constant(1970, 1, 1)).ok()?;
        Some(Self(since.get_days()))
    }

    fn date(self) -> Date {
        let first = Date::constant(1970, 1, 1);
        first.checked_add(self.0.days()).unwrap_or(first)
    }

    /// `12 November 2026`
    pub fn english(self) -> String {
        self.date().strftime("%-d %B %Y").to_string()
    }

    /// `2026年11月12日`
    pub fn japanese(self) -> String {
        self.date().strftime("%Y年%-m月%-d日").to_string()
    }
}

/// `2026-11-12`
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told() {
        for (day, iso, english, japanese) in [
            (0, "1970-01-01", "1 January 1970", "1970年1月1日"),
            (20_769, "2026-11-12", "12 November 2026", "2026年11月12日"),
            (-1, "1969-12-31", "31 December 1969", "1969年12月31日"),
        ] {
            let day = Day(day);
            assert_eq!((day.to_string().as_str(), day.english().as_str()), (iso, english));
            assert_eq!((day.japanese().as_str(), Day::parse(iso)), (japanese, Some(day)));
        }
        let moment = Timestamp(1_760_000_000_000);
        assert_eq!(Day::of(moment.plus(std::time::Duration::from_hours(24))).0, Day::of(moment).0 + 1);
    }
}
