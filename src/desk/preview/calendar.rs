//! Reads the first event of a calendar file (RFC 5545) as an invitation.

use super::LONGEST;
use jiff::civil;
use jiff::tz::TimeZone;

/// The details of an invitation (RFC 5545 §3.6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// SUMMARY.
    pub title: String,
    /// DTSTART.
    pub starts: Option<When>,
    /// LOCATION.
    pub place: String,
    /// ORGANIZER: the name, otherwise the address.
    pub organiser: String,
    /// Number of ATTENDEEs.
    pub attendees: usize,
}

/// A time in a calendar (RFC 5545 §3.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A point in time.
    At(jiff::Timestamp),
    /// A local time without a zone, or in an unknown one.
    Local(civil::DateTime),
    /// A whole day.
    Day(civil::Date),
}

/// The first event of a calendar.
pub(super) fn invitation(text: &str) -> Option<Invitation> {
    let text = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut event = Invitation::default();
    let (mut inside, mut found) = (false, false);
    for line in text.lines() {
        let (name, parameters, value) = property(line);
        match name.to_ascii_uppercase().as_str() {
            "BEGIN" if value.eq_ignore_ascii_case("VEVENT") => (inside, found) = (true, true),
            "END" if value.eq_ignore_ascii_case("VEVENT") => break,
            _ if !inside => {}
            "SUMMARY" => event.title = said(value),
            "LOCATION" => event.place = said(value),
            "DTSTART" => event.starts = when(parameters, value),
            "ORGANIZER" => {
                let named = parameter(parameters, "CN").map(said).filter(|name| !name.is_empty());
                event.organiser = named.unwrap_or_else(|| said(without_scheme(value)));
            }
            "ATTENDEE" => event.attendees += 1,
            _ => {}
        }
    }
    found.then_some(event)
}

/// Name, parameters and value of a line (RFC 5545 §3.1). A colon in quotes does not end the parameters.
fn property(line: &str) -> (&str, &str, &str) {
    let mut quoted = false;
    let colon = line.find(|letter| {
        quoted ^= letter == '"';
        letter == ':' && !quoted
    });
    let (head, value) = colon.map_or((line, ""), |at| (&line[..at], &line[at + 1..]));
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    (name.trim(), parameters, value)
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut quoted = false;
    parameters
        .split(|letter| {
            quoted ^= letter == '"';
            letter == ';' && !quoted
        })
        .find_map(|one| {
            let (found, value) = one.split_once('=')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
        })
}

fn without_scheme(value: &str) -> &str {
    let scheme = value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"));
    if scheme { &value[7..] } else { value }
}

/// The decoded value of type TEXT (RFC 5545 §3.3.11).
fn said(value: &str) -> String {
    let mut out = String::new();
    let mut letters = value.trim().chars().take(LONGEST);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}

fn when(parameters: &str, value: &str) -> Option<When> {
    let value = value.trim();
    let digits = |at: usize, length: usize| value.get(at..at + length)?.parse::<i16>().ok();
    let small = |at: usize| i8::try_from(digits(at, 2)?).ok();
    let day = civil::Date::new(digits(0, 4)?, small(4)?, small(6)?).ok()?;
    if !value.contains('T') {
        return Some(When::Day(day));
    }
    let time = civil::Time::new(small(9)?, small(11)?, small(13).unwrap_or(0), 0).ok()?;
    let local = day.to_datetime(time);
    let zone = if value.ends_with('Z') {
        Some(TimeZone::UTC)
    } else {
        parameter(parameters, "TZID").and_then(zone_of)
    };
    let moment = zone.and_then(|zone| local.to_zoned(zone).ok());
    Some(moment.map_or(When::Local(local), |zoned| When::At(zoned.timestamp())))
}

/// A time zone by its name, including the name that Windows uses for Japan's.
fn zone_of(name: &str) -> Option<TimeZone> {
    TimeZone::get(if name == "Tokyo Standard Time" { "Asia/Tokyo" } else { name }).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{Preview, Sort, of};
    use super::*;

    #[test]
    fn invitations_say_what_when_and_who() {
        let text = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nDTSTART:19700101T000000\r\nEND:VTIMEZONE\r\n\
            BEGIN:VEVENT\r\nSUMMARY;LANGUAGE=ja:展示会\\, 打合\r\n せ\r\nDTSTART;TZID=\"Tokyo Standard Time\":20261202T130000\r\n\
            LOCATION:第1会議室\r\nORGANIZER;CN=\"佐藤: 花子\":mailto:h@x.jp\r\nATTENDEE;CN=a:mailto:a@y.jp\r\n\
            ATTENDEE:mailto:b@y.jp\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:other\r\nEND:VEVENT\r\n";
        let Some(Preview::Invitation(event)) = of(Sort::Calendar, "", None, text.as_bytes()) else {
            panic!()
        };
        assert_eq!(
            event,
            Invitation {
                title: "展示会, 打合せ".to_owned(),
                starts: Some(When::At("2026-12-02T04:00:00Z".parse().unwrap())),
                place: "第1会議室".to_owned(),
                organiser: "佐藤: 花子".to_owned(),
                attendees: 2,
            }
        );
        for (line, wanted) in [
            ("20261202T040000Z", Some(When::At("2026-12-02T04:00:00Z".parse().unwrap()))),
            ("20261202", Some(When::Day(civil::date(2026, 12, 2)))),
            ("20261202T130000", Some(When::Local(civil::date(2026, 12, 2).at(13, 0, 0, 0)))),
            ("soon", None),
            ("20269999T999999", None),
            ("２０２６", None),
        ] {
            assert_eq!(when("", line), wanted, "{line}");
        }
        assert_eq!(of(Sort::Calendar, "", None, b"BEGIN:VCALENDAR\r\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_calendar_is_no_panic(text in "(BEGIN:VEVENT\n)?[A-Z]{5,9}[;:\"=\\\\]{0,4}.{0,40}\nDTSTART:.{0,20}") {
            let _ = of(Sort::Calendar, "", None, text.as_bytes());
        }
    }
}
