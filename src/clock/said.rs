//! Formats times for people, in the configured time zone.

use super::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// The time zone; the system's if none is configured.
static ZONE: RwLock<Option<TimeZone>> = RwLock::new(None);
/// Times further away than this are shown with their year.
const FAR: Duration = Duration::from_hours(24 * 180);

/// The time zone of times shown to people.
pub fn zone() -> TimeZone {
    ZONE.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(TimeZone::system)
}

/// Sets the time zone, once the configuration has been read.
pub fn set_zone(zone: TimeZone) {
    *ZONE.write().unwrap_or_else(PoisonError::into_inner) = Some(zone);
}

impl Timestamp {
    fn zoned(self, zone: &TimeZone) -> Zoned {
        self.to_jiff().to_zoned(zone.clone())
    }

    fn is_far(self, now: Self) -> bool {
        self.since(now).max(now.since(self)) > FAR
    }

    /// `Wed 2 Dec, 12:25`; with the year if it is not obvious.
    pub fn english(self, zone: &TimeZone, now: Self) -> String {
        let form = if self.is_far(now) { "%a %-d %b %Y, %H:%M" } else { "%a %-d %b, %H:%M" };
        self.zoned(zone).strftime(form).to_string()
    }

    /// `12月2日（水）12:25`; with the year if it is not obvious.
    pub fn japanese(self, zone: &TimeZone, now: Self) -> String {
        const DAYS: [char; 7] = ['月', '火', '水', '木', '金', '土', '日'];
        let zoned = self.zoned(zone);
        let day =
            DAYS.get(usize::from(zoned.weekday().to_monday_zero_offset().unsigned_abs())).unwrap_or(&'月');
        let form = if self.is_far(now) { "%Y年%-m月%-d日" } else { "%-m月%-d日" };
        format!("{}（{day}）{}", zoned.strftime(form), zoned.strftime("%H:%M"))
    }
}

/// A duration in its largest unit, rounded: four minutes less than three days is three days.
pub fn rounded(span: Duration) -> (Unit, u64) {
    let minutes = (span.as_secs() + 30) / 60;
    match minutes {
        0 => (Unit::Moment, 0),
        1..60 => (Unit::Minutes, minutes),
        // up to a day and a half, hours are more precise than "1 day"
        60..2_160 => (Unit::Hours, (minutes + 30) / 60),
        _ => (Unit::Days, (minutes + 720) / 1_440),
    }
}

/// The unit of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Less than half a minute.
    Moment,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_write_them() {
        let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let table = [
            ("2026-12-02T03:25:00Z", "Wed 2 Dec, 12:25", "12月2日（水）12:25"),
            ("2027-01-03T15:00:59Z", "Mon 4 Jan, 00:00", "1月4日（月）00:00"),
            ("2028-02-29T00:00:00Z", "Tue 29 Feb 2028, 09:00", "2028年2月29日（火）09:00"),
            ("2025-11-30T00:00:00Z", "Sun 30 Nov 2025, 09:00", "2025年11月30日（日）09:00"),
        ];
        let now = at("2026-11-29T03:29:00Z");
        for (moment, english, japanese) in table {
            assert_eq!(at(moment).english(&tokyo, now), english);
            assert_eq!(at(moment).japanese(&tokyo, now), japanese);
        }
    }

    #[test]
    fn spans_are_rounded() {
        let minutes = |count: u64| Duration::from_mins(count);
        for (span, expected) in [
            (Duration::from_secs(29), (Unit::Moment, 0)),
            (Duration::from_secs(31), (Unit::Minutes, 1)),
            (minutes(59), (Unit::Minutes, 59)),
            (minutes(72 * 60 - 4), (Unit::Days, 3)),
            (minutes(24 * 60 - 1), (Unit::Hours, 24)),
            (minutes(35 * 60), (Unit::Hours, 35)),
            (minutes(60 * 60), (Unit::Days, 3)),
            (minutes(59 * 60), (Unit::Days, 2)),
        ] {
            assert_eq!(rounded(span), expected, "{span:?}");
        }
    }
}
