//! Working hours, deadlines in working time, and the times of digests. Pure functions of the time.
//!
//! `"Mon-Fri 09:00-18:00"` is open from 09:00 until 18:00 on these days except holidays, in one time zone.
//! Durations in working time pass only during open hours.

use super::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many days ahead the next open hour is searched for.
const HORIZON: usize = 400;
const DAY: Duration = Duration::from_hours(24);
/// Durations of more days than this are calendar time.
const MOST_DAYS: u64 = 1_000;
const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The working hours of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Weekdays (from Monday) with opening and closing time. Empty means always open.
    spans: Vec<(BTreeSet<i8>, Time, Time)>,
    holidays: BTreeSet<Date>,
    zone: TimeZone,
}

/// How long something may wait for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The duration: whole days are working days, the rest is working time.
    pub span: Duration,
    /// The working hours.
    pub hours: Hours,
}

/// When a digest is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// No digest: everything is sent at once.
    AtOnce,
    /// At every full hour.
    Hourly,
    /// At these times of a day.
    Daily(Vec<Time>),
    /// This long after the first event in it.
    Every(Duration),
}

impl Term {
    /// A term in calendar time.
    pub fn always(span: Duration) -> Self {
        Self { span, hours: Hours::always(TimeZone::UTC) }
    }

    /// When the term ends if it begins now.
    pub fn ends(&self, now: Timestamp) -> Timestamp {
        self.hours.due(now, self.span)
    }
}

impl Hours {
    /// Always open, in this time zone.
    pub fn always(zone: TimeZone) -> Self {
        Self { spans: Vec::new(), holidays: BTreeSet::new(), zone }
    }

    /// Parses working hours (`"Mon-Fri 09:00-18:00"`, `"Sat 10:00-12:00"`, `"09:00-18:00"`).
    ///
    /// # Errors
    /// Says which text is invalid.
    pub fn new(texts: &[String], holidays: BTreeSet<Date>, zone: TimeZone) -> Result<Self, String> {
        let spans = texts.iter().map(|text| span(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { spans, holidays, zone })
    }

    /// The time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The day of a point in time.
    pub fn day(&self, at: Timestamp) -> Date {
        at.to_jiff().to_zoned(self.zone.clone()).date()
    }

    /// The open periods of a day, in order. One may be empty on a day when the clock is put forward.
    fn of_day(&self, day: Date) -> Vec<(Timestamp, Timestamp)> {
        if self.holidays.contains(&day) {
            return Vec::new();
        }
        let weekday = day.weekday().to_monday_zero_offset();
        let at = |time: Time| {
            let zoned = day.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
            Some(Timestamp(zoned.timestamp().as_millisecond()))
        };
        let mut spans: Vec<_> = if self.spans.is_empty() {
            // a holiday is closed even if every other day is open all day
            let next = day.tomorrow().ok().and_then(|next| next.to_zoned(self.zone.clone()).ok());
            let end = next.map(|next| Timestamp(next.timestamp().as_millisecond()));
            at(Time::midnight()).zip(end).into_iter().collect()
        } else {
            let of_day = self.spans.iter().filter(|(days, ..)| days.contains(&weekday));
            of_day.filter_map(|(_, from, until)| at(*from).zip(at(*until))).collect()
        };
        spans.sort_by_key(|(from, _)| *from);
        spans
    }

    fn days(&self, from: Timestamp) -> impl Iterator<Item = Date> {
        let mut next = Some(self.day(from));
        std::iter::from_fn(move || {
            let day = next?;
            next = day.tomorrow().ok();
            Some(day)
        })
        .take(HORIZON)
    }

    /// This time if it is an open hour, otherwise the beginning of the next one; this time if there is none
    /// within reach, so that nothing waits forever.
    pub fn open_from(&self, at: Timestamp) -> Timestamp {
        for day in self.days(at) {
            // the closing time counts as open: a digest at the end of the day is still read
            if let Some((from, _)) = self.of_day(day).into_iter().find(|(_, until)| *until >= at) {
                return from.max(at);
            }
        }
        at
    }

    fn is_always(&self) -> bool {
        self.spans.is_empty() && self.holidays.is_empty()
    }

    /// The time after a duration. Whole days are working days, from one time of day to the same time of a
    /// later day; the rest is working time. Three days from Friday noon is Wednesday noon.
    pub fn due(&self, from: Timestamp, span: Duration) -> Timestamp {
        let days = span.as_secs() / DAY.as_secs();
        if self.is_always() || days > MOST_DAYS {
            return from.plus(span);
        }
        let mut at = self.open_from(from);
        for _ in 0..days {
            at = self.open_from(self.next_day(at));
        }
        let rest = span.saturating_sub(DAY * u32::try_from(days).unwrap_or(u32::MAX));
        if rest.is_zero() { at } else { self.after(at, rest) }
    }

    /// The same time on the next working day.
    fn next_day(&self, at: Timestamp) -> Timestamp {
        let time = at.to_jiff().to_zoned(self.zone.clone()).time();
        let next = self.days(at).skip(1).find(|day| !self.of_day(*day).is_empty());
        let zoned = next.and_then(|day| day.to_datetime(time).to_zoned(self.zone.clone()).ok());
        zoned.map_or(at.plus(DAY), |zoned| Timestamp(zoned.timestamp().as_millisecond()))
    }

    /// The working time between two points in time.
    fn between(&self, from: Timestamp, until: Timestamp) -> Duration {
        let last = self.day(until);
        let mut passed = from;
        let mut sum = Duration::ZERO;
        for day in self.days(from).take_while(|day| *day <= last) {
            for (open, close) in self.of_day(day) {
                let (start, end) = (open.max(passed), close.min(until));
                sum += end.since(start);
                passed = passed.max(end);
            }
        }
        sum
    }

    /// When to warn that a term ends: a quarter of its working time before the end, at most a day.
    pub fn warning(&self, since: Timestamp, expires: Timestamp) -> Timestamp {
        if self.is_always() {
            return expires.minus((expires.since(since) / 4).min(DAY));
        }
        let whole = self.between(since, expires);
        if whole.is_zero() {
            return expires;
        }
        self.after(since, whole.saturating_sub((whole / 4).min(DAY))).min(expires)
    }

    /// The time at which this much working time has passed.
    pub fn after(&self, from: Timestamp, span: Duration) -> Timestamp {
        let mut left = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let mut passed = from;
        for day in self.days(from) {
            for (open, close) in self.of_day(day) {
                // periods may overlap; no hour counts twice
                let start = open.max(passed);
                passed = passed.max(close);
                let room = close.0 - start.0;
                if room <= 0 {
                    continue;
                }
                if left <= room {
                    return Timestamp(start.0 + left);
                }
                left -= room;
            }
        }
        from.plus(span)
    }
}

impl Digest {
    /// Parses `"hourly"`, `"daily 09:00"`, `"daily 09:00 15:00"`, or a duration such as `"2h"`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str, span: impl Fn(&str) -> Option<Duration>) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no digest: write \"at-once\", \"hourly\", \"daily 09:00\" or a span such as \"2h\""
            )
        };
        match text {
            "at-once" => return Ok(Self::AtOnce),
            "hourly" => return Ok(Self::Hourly),
            _ => {}
        }
        if let Some(times) = text.strip_prefix("daily") {
            let mut times: Vec<Time> = times
                .split([' ', ','])
                .filter(|time| !time.is_empty())
                .map(clock)
                .collect::<Option<_>>()
                .ok_or_else(wrong)?;
            times.sort();
            times.dedup();
            return if times.is_empty() { Err(wrong()) } else { Ok(Self::Daily(times)) };
        }
        let every = span(text).filter(|every| !every.is_zero()).ok_or_else(wrong)?;
        Ok(Self::Every(every))
    }

    /// When a digest with an event of now is sent.
    pub fn next(&self, now: Timestamp, hours: &Hours) -> Timestamp {
        match self {
            Self::AtOnce => now,
            Self::Every(span) => hours.open_from(now.plus(*span)),
            Self::Hourly => {
                let hour = 3_600_000;
                hours.open_from(Timestamp((now.0.div_euclid(hour) + 1) * hour))
            }
            Self::Daily(times) => {
                let due = hours.days(now).flat_map(|day| {
                    let open = hours.of_day(day);
                    let at = move |time: &Time| {
                        let zoned = day.to_datetime(*time).to_zoned(hours.zone.clone()).ok()?;
                        Some(Timestamp(zoned.timestamp().as_millisecond()))
                    };
                    // none on closed days; on open days also outside the hours, because the time was set
                    // explicitly
                    times.iter().filter_map(at).filter(move |_| !open.is_empty()).collect::<Vec<_>>()
                });
                due.into_iter().find(|due| *due > now).unwrap_or(now)
            }
        }
    }
}

fn span(text: &str) -> Result<(BTreeSet<i8>, Time, Time), String> {
    let wrong = || format!("`{text}` are no hours: write them as \"Mon-Fri 09:00-18:00\"");
    let (days, times) = match text.trim().rsplit_once(' ') {
        Some((days, times)) => (days.trim(), times),
        None => ("Mon-Sun", text.trim()),
    };
    let (from, until) = times.split_once('-').ok_or_else(wrong)?;
    let (from, until) = (clock(from).ok_or_else(wrong)?, clock(until).ok_or_else(wrong)?);
    if from >= until {
        return Err(format!(
            "`{text}`: the hours end before they begin; write what goes over midnight as two"
        ));
    }
    let mut set = BTreeSet::new();
    for part in days.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
        let mut day = first;
        loop {
            set.insert(day);
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok((set, from, until))
}

/// A day from Monday; `Mon` and `Monday` are the same.
fn weekday(text: &str) -> Option<i8> {
    let text = text.trim().to_ascii_lowercase();
    let known = text.len() >= 3 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    let found = WEEK.iter().find(|(short, _)| known && text.starts_with(short))?;
    Some(found.1.to_monday_zero_offset())
}

/// A time such as `09:00`; `24:00` is the end of the day.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| (1..=2).contains(&text.len()).then(|| text.parse::<i8>().ok()).flatten();
    match (number(hour)?, number(minute)?) {
        (24, 0) => Some(Time::MAX),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        let zoned = format!("{text}:00+09:00").parse::<jiff::Timestamp>().unwrap();
        Timestamp(zoned.as_millisecond())
    }

    fn hours(texts: &[&str], holidays: &[&str]) -> Hours {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let holidays = holidays.iter().map(|day| day.parse().unwrap()).collect();
        Hours::new(&texts, holidays, TimeZone::fixed(jiff::tz::offset(9))).unwrap()
    }

    const HOUR: Duration = Duration::from_hours(1);

    // 2026-11-20 is a Friday, the 23rd a holiday in Japan
    #[test]
    fn working_time_passes_only_while_somebody_is_there() {
        let office = hours(&["Mon-Fri 09:00-12:00", "Mon-Fri 13:00-18:00"], &["2026-11-23"]);
        let twice = hours(&["Fri 09:00-12:00", "Mon-Fri 10:00-13:00"], &[]);
        assert_eq!(twice.after(at("2026-11-20T09:00"), 4 * HOUR), at("2026-11-20T13:00"));
        let table = [
            ("2026-11-20T10:00", 1, "2026-11-20T11:00"),
            ("2026-11-20T11:30", 1, "2026-11-20T13:30"),
            ("2026-11-20T12:30", 1, "2026-11-20T14:00"),
            ("2026-11-20T17:00", 4, "2026-11-24T12:00"),
            ("2026-11-20T17:00", 5, "2026-11-24T14:00"),
            ("2026-11-21T03:00", 4, "2026-11-24T14:00"),
            ("2026-11-20T18:00", 0, "2026-11-24T09:00"),
            ("2026-11-20T07:00", 8, "2026-11-20T18:00"),
        ];
        for (from, span, until) in table {
            assert_eq!(office.after(at(from), span * HOUR), at(until), "{from} + {span}h");
        }
        let always = Hours::always(TimeZone::UTC);
        assert_eq!(always.after(at("2026-11-20T10:00"), 100 * HOUR), at("2026-11-24T14:00"));
        let always = hours(&[], &[]);
        assert_eq!(always.open_from(at("2026-11-21T03:00")), at("2026-11-21T03:00"));
    }

    #[test]
    fn days_to_decide_are_working_days() {
        let office = hours(&["Mon-Fri 09:00-12:00", "Mon-Fri 13:00-18:00"], &["2026-11-23"]);
        let saturdays = hours(&["Mon-Fri 09:00-18:00", "Sat 10:00-12:00"], &[]);
        let holidays = hours(&[], &["2026-11-23"]);
        let table = [
            (&office, "2026-11-20T11:00", 72, "2026-11-26T11:00"),
            (&office, "2026-11-20T17:00", 24, "2026-11-24T17:00"),
            (&office, "2026-11-21T12:00", 24, "2026-11-25T09:00"),
            (&office, "2026-11-20T12:30", 24, "2026-11-24T13:00"),
            (&office, "2026-11-20T17:00", 4, "2026-11-24T12:00"),
            (&office, "2026-11-20T17:00", 28, "2026-11-25T12:00"),
            (&saturdays, "2026-11-20T17:00", 24, "2026-11-23T09:00"),
            (&holidays, "2026-11-21T10:00", 48, "2026-11-24T10:00"),
        ];
        for (hours, from, span, until) in table {
            let term = Term { span: span * HOUR, hours: hours.clone() };
            assert_eq!(term.ends(at(from)), at(until), "{from} + {span}h");
            let warned = hours.warning(at(from), at(until));
            assert!(at(from) <= warned && warned <= at(until), "{from}: {warned}");
            assert_eq!(hours.open_from(warned), warned, "a warning at night is read too late: {warned}");
        }
        // three working days of eight hours: a warning six hours before
        assert_eq!(office.warning(at("2026-11-20T11:00"), at("2026-11-26T11:00")), at("2026-11-25T14:00"));
        assert_eq!(Term::always(72 * HOUR).ends(at("2026-11-20T11:00")), at("2026-11-23T11:00"));
    }

    #[test]
    fn warnings_come_in_time() {
        let hours = |hours: u64| Timestamp(0).plus(Duration::from_hours(hours));
        let always = Hours::always(TimeZone::UTC);
        for (span, warned) in [(72, 54), (4, 3), (240, 216)] {
            assert_eq!(always.warning(Timestamp(0), hours(span)), hours(warned));
        }
        assert_eq!(always.warning(hours(9), hours(3)), hours(3));
    }

    #[test]
    fn digests_are_due_at_work() {
        let office = hours(&["Mon-Fri 09:00-18:00"], &["2026-11-23"]);
        let always = Hours::always(office.zone().clone());
        let daily = Digest::parse("daily 09:00 15:30", |_| None).unwrap();
        let every = Digest::Every(2 * HOUR);
        let table = [
            (&Digest::Hourly, &office, "2026-11-20T10:10", "2026-11-20T11:00"),
            (&Digest::Hourly, &office, "2026-11-20T17:10", "2026-11-20T18:00"),
            (&Digest::Hourly, &office, "2026-11-20T18:10", "2026-11-24T09:00"),
            (&Digest::Hourly, &always, "2026-11-20T18:10", "2026-11-20T19:00"),
            (&daily, &office, "2026-11-20T09:00", "2026-11-20T15:30"),
            (&daily, &office, "2026-11-20T15:30", "2026-11-24T09:00"),
            (&daily, &always, "2026-11-20T15:31", "2026-11-21T09:00"),
            (&every, &office, "2026-11-20T10:00", "2026-11-20T12:00"),
            (&every, &office, "2026-11-20T17:00", "2026-11-24T09:00"),
        ];
        for (digest, hours, now, due) in table {
            assert_eq!(digest.next(at(now), hours), at(due), "{digest:?} {now}");
        }
    }

    #[test]
    fn what_is_written_is_understood_or_refused() {
        let zone = || TimeZone::UTC;
        for text in [
            "Mon-Fri 09:00-18:00",
            "Sat,Sun 10:00-12:00",
            "Fri-Mon 0:00-24:00",
            "monday 9:00-17:30",
            "08:00-20:00",
        ] {
            assert!(Hours::new(&[text.to_owned()], BTreeSet::new(), zone()).is_ok(), "{text}");
        }
        for text in [
            "",
            "Mon",
            "Mon-Fri",
            "Mon 18:00-09:00",
            "Mon 9-18",
            "Xyz 09:00-18:00",
            "Mon 09:00-25:00",
            "Mo 1:00-2:00",
        ] {
            assert!(Hours::new(&[text.to_owned()], BTreeSet::new(), zone()).is_err(), "{text}");
        }
        let seconds =
            |text: &str| text.strip_suffix('s').and_then(|n| n.parse().ok()).map(Duration::from_secs);
        assert_eq!(Digest::parse("30s", seconds), Ok(Digest::Every(Duration::from_secs(30))));
        for text in ["", "daily", "daily 9", "daily 25:00", "0s", "weekly"] {
            assert!(Digest::parse(text, seconds).unwrap_err().contains("hourly"), "{text}");
        }
    }

    #[test]
    fn a_clock_put_forward_loses_no_day() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let early = Hours::new(&["Sun 02:15-02:45".to_owned()], BTreeSet::new(), zone).unwrap();
        let saturday = "2026-03-07T12:00:00Z".parse::<jiff::Timestamp>().unwrap();
        assert!(
            early.after(Timestamp(saturday.as_millisecond()), HOUR / 4)
                > Timestamp(saturday.as_millisecond())
        );
    }

    proptest! {
        #[test]
        fn time_only_passes_forward(now in 0_i64..4_000_000_000_000, span in 0_u32..2_000_000, text in "[A-Za-z0-9:, -]{0,24}") {
            let now = Timestamp(now);
            if let Ok(hours) = Hours::new(&[text], BTreeSet::new(), TimeZone::UTC) {
                prop_assert!(hours.after(now, Duration::from_secs(u64::from(span))) >= now);
                prop_assert!(hours.open_from(now) >= now);
                let ends = hours.due(now, Duration::from_secs(u64::from(span)));
                prop_assert!(ends >= now);
                prop_assert!((now..=ends).contains(&hours.warning(now, ends)));
                for digest in [Digest::Hourly, Digest::Every(HOUR), Digest::Daily(vec![Time::midnight()])] {
                    prop_assert!(digest.next(now, &hours) >= now);
                }
            }
        }
    }
}
