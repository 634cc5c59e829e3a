//! Decides who is told about a held message, when, and who stands in for whom. Pure functions.
//!
//! A held message has assigned approvers. Each is told at once or in a digest; for an approver who is away,
//! the deputies are told; urgent messages do not wait for a digest.

use super::hours::{Digest, Hours};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::verdict::Language;
use crate::store::absences::Absence;
use crate::store::{AskWhy, NewAsk};
use jiff::civil::Date;
use std::collections::HashMap;
use std::time::Duration;

/// The settings for telling approvers.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Approvers with settings of their own, by their address in comparison form.
    pub approvers: HashMap<String, Approver>,
    /// When all others are told.
    pub digest: Digest,
    /// The working hours.
    pub hours: Hours,
    /// Who is asked next if nobody answers; `None` means nobody.
    pub escalation: Option<Escalation>,
    /// Working time in which the sender of an `ask` can decide alone, before approvers are told.
    pub sender_first: Duration,
    /// Whether mails to approvers have links that decide.
    pub by_mail: bool,
}

/// One approver's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The approver.
    pub address: Address,
    /// Who is told while they are away.
    pub deputies: Vec<Address>,
    /// Absences, first to last day, both inclusive.
    pub away: Vec<(Date, Date)>,
    /// When they are told; `None` for the general setting.
    pub digest: Option<Digest>,
    /// The language of their mails; `None` for both languages.
    pub language: Option<Language>,
}

/// Who is asked next if nobody answers in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Working time to wait.
    pub after: Duration,
    /// Who is asked then.
    pub to: Vec<Address>,
}

impl Asking {
    /// Tells everybody at once; nobody is away.
    pub fn plain(hours: Hours) -> Self {
        Self {
            approvers: HashMap::new(),
            digest: Digest::AtOnce,
            hours,
            escalation: None,
            sender_first: Duration::ZERO,
            by_mail: false,
        }
    }

    /// Who is told about one message, and when. `senders` are never told.
    pub fn plan(&self, asked: &[Address], senders: &[Address], urgent: bool, now: Timestamp) -> Vec<NewAsk> {
        let mut asks: Vec<NewAsk> = Vec::new();
        let own = |address: &Address| senders.iter().any(|sender| sender.key() == address.key());
        for approver in asked.iter().filter(|approver| !own(approver)) {
            let deputies = self.deputies(approver, now).into_iter().filter(|deputy| !own(deputy));
            let deputies: Vec<Address> = deputies.collect();
            let told = if deputies.is_empty() {
                vec![(approver.clone(), AskWhy::Asked)]
            } else {
                deputies.into_iter().map(|deputy| (deputy, AskWhy::Deputy)).collect()
            };
            for (address, why) in told {
                if asks.iter().any(|ask| ask.approver.key() == address.key()) {
                    continue;
                }
                let digest = if urgent { &Digest::AtOnce } else { self.digest(&address) };
                let due = digest.next(now, &self.hours);
                asks.push(NewAsk { approver: address, why, digest: *digest != Digest::AtOnce, due });
            }
        }
        asks
    }

    /// These settings with the absences that approvers entered themselves, which replace the configured ones.
    #[must_use]
    pub fn with(&self, absences: &[Absence], now: Timestamp) -> Self {
        let mut all = self.clone();
        let today = self.hours.day(now);
        for absence in absences {
            let Ok(until) = absence.until.parse::<Date>() else { continue };
            let own = all.approvers.entry(absence.approver.key().to_owned()).or_insert_with(|| Approver {
                address: absence.approver.clone(),
                deputies: Vec::new(),
                away: Vec::new(),
                digest: None,
                language: None,
            });
            if until >= today {
                own.deputies = vec![absence.deputy.clone()];
                own.away = vec![(today, until)];
            }
        }
        all
    }

    /// Until when only the sender is asked.
    pub fn patience(&self, received: Timestamp) -> Timestamp {
        if self.sender_first.is_zero() { received } else { self.hours.after(received, self.sender_first) }
    }

    /// Tells these people themselves, even if they are away, with each one's own settings.
    pub fn each(&self, people: &[Address], now: Timestamp) -> Vec<NewAsk> {
        let one = |person: &Address| {
            let digest = self.digest(person);
            let due = digest.next(now, &self.hours);
            NewAsk { approver: person.clone(), why: AskWhy::Asked, digest: *digest != Digest::AtOnce, due }
        };
        people.iter().map(one).collect()
    }

    /// When the next people are asked.
    pub fn escalates(&self, now: Timestamp) -> Option<Timestamp> {
        self.escalation.as_ref().map(|escalation| self.hours.due(now, escalation.after))
    }

    /// The configured language of a person.
    pub fn language(&self, address: &Address) -> Option<Language> {
        self.approvers.get(address.key()).and_then(|approver| approver.language)
    }

    /// The configured spelling of an address that is given in comparison form.
    pub fn spelled(&self, key: &str) -> Option<Address> {
        let own = self.approvers.values();
        let mut known = own.flat_map(|one| std::iter::once(&one.address).chain(&one.deputies));
        known.find(|address| address.key() == key).cloned()
    }

    fn digest(&self, address: &Address) -> &Digest {
        let own = self.approvers.get(address.key()).and_then(|approver| approver.digest.as_ref());
        own.unwrap_or(&self.digest)
    }

    /// The deputies of an approver who is away; without those who are away themselves.
    fn deputies(&self, approver: &Address, now: Timestamp) -> Vec<Address> {
        let day = self.hours.day(now);
        let away = |address: &Address| {
            let known = self.approvers.get(address.key());
            known.is_some_and(|one| one.away.iter().any(|(from, to)| (*from..=*to).contains(&day)))
        };
        match self.approvers.get(approver.key()) {
            Some(own) if away(approver) => own.deputies.iter().filter(|one| !away(one)).cloned().collect(),
            _ => Vec::new(),
        }
    }
}

/// Tells people at once if their digest would come after the hold has expired.
pub fn in_time(asks: Vec<NewAsk>, expires: Timestamp, now: Timestamp) -> Vec<NewAsk> {
    let hurry = |ask: NewAsk| {
        if ask.due < expires { ask } else { NewAsk { digest: false, due: now, ..ask } }
    };
    asks.into_iter().map(hurry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn approver(text: &str, deputies: &[&str], away: &[(&str, &str)]) -> (String, Approver) {
        let own = Approver {
            address: address(text),
            deputies: deputies.iter().map(|one| address(one)).collect(),
            away: away.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect(),
            digest: None,
            language: None,
        };
        (address(text).key().to_owned(), own)
    }

    /// A row of the table below.
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a str, &'a [(&'a str, AskWhy)]);

    #[test]
    fn deputies_stand_in_for_who_is_away() {
        let asking = Asking {
            approvers: HashMap::from([
                approver("a@x.jp", &["d@x.jp", "e@x.jp"], &[("2026-11-20", "2026-11-21")]),
                approver("e@x.jp", &[], &[("2026-11-21", "2026-11-21")]),
                approver("alone@x.jp", &[], &[("2026-01-01", "2026-12-31")]),
            ]),
            ..Asking::plain(Hours::always(TimeZone::UTC))
        };
        let table: &[Row<'_>] = &[
            (&["a@x.jp"], &[], "2026-11-19T23:59:59Z", &[("a@x.jp", AskWhy::Asked)]),
            (
                &["a@x.jp"],
                &[],
                "2026-11-20T00:00:00Z",
                &[("d@x.jp", AskWhy::Deputy), ("e@x.jp", AskWhy::Deputy)],
            ),
            (&["A@x.jp"], &[], "2026-11-21T12:00:00Z", &[("d@x.jp", AskWhy::Deputy)]),
            // the deputy is asked already; the sender is never asked
            (&["d@x.jp", "a@x.jp"], &["e@x.jp"], "2026-11-20T12:00:00Z", &[("d@x.jp", AskWhy::Asked)]),
            (&["a@x.jp"], &["a@x.jp"], "2026-11-19T12:00:00Z", &[]),
            // there is no deputy, so they are told although they are away
            (&["alone@x.jp"], &[], "2026-11-19T12:00:00Z", &[("alone@x.jp", AskWhy::Asked)]),
        ];
        for (asked, senders, now, expected) in table {
            let list = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
            let plan = asking.plan(&list(asked), &list(senders), false, at(now));
            let plan: Vec<_> =
                plan.iter().map(|ask| (ask.approver.as_str().to_lowercase(), ask.why)).collect();
            let expected: Vec<_> = expected.iter().map(|(text, why)| ((*text).to_owned(), *why)).collect();
            assert_eq!(plan, expected, "{asked:?} {now}");
        }
    }

    #[test]
    fn what_is_urgent_waits_for_no_digest() {
        let (key, own) = approver("now@x.jp", &[], &[]);
        let asking = Asking {
            digest: Digest::Hourly,
            approvers: HashMap::from([(key, Approver { digest: Some(Digest::AtOnce), ..own })]),
            ..Asking::plain(Hours::always(TimeZone::UTC))
        };
        let now = at("2026-11-20T10:20:00Z");
        let asked = [address("a@x.jp"), address("now@x.jp")];
        let due =
            |urgent| asking.plan(&asked, &[], urgent, now).iter().map(|ask| ask.due).collect::<Vec<_>>();
        assert_eq!(due(false), [at("2026-11-20T11:00:00Z"), now]);
        assert_eq!(due(true), [now, now]);
    }

    #[test]
    fn an_absence_of_their_own_stands_before_what_is_configured() {
        let asking = Asking {
            approvers: HashMap::from([approver("a@x.jp", &["d@x.jp"], &[("2026-11-01", "2026-11-30")])]),
            ..Asking::plain(Hours::always(TimeZone::UTC))
        };
        let absence = |who: &str, deputy: &str, until: &str| Absence {
            approver: address(who),
            deputy: address(deputy),
            until: until.to_owned(),
            made_by: who.to_owned(),
            made_at: Timestamp(0),
        };
        let said = [absence("A@x.jp", "e@x.jp", "2026-11-20"), absence("b@x.jp", "a@x.jp", "2026-11-20")];
        for (now, a, b) in [
            // a's deputy is the one they entered; b's deputy a is away too, so b is told
            ("2026-11-20T12:00:00Z", "e@x.jp", "b@x.jp"),
            ("2026-11-21T00:00:00Z", "d@x.jp", "b@x.jp"),
        ] {
            let with = asking.with(&said, at(now));
            let told = |one: &str| with.plan(&[address(one)], &[], false, at(now))[0].approver.to_string();
            assert_eq!(
                (told("a@x.jp").to_lowercase(), told("b@x.jp")),
                (a.to_owned(), b.to_owned()),
                "{now}"
            );
        }
        assert_eq!(asking.with(&[], at("2026-11-20T12:00:00Z")).approvers, asking.approvers);
    }

    // 2026-11-20 is a Friday
    #[test]
    fn senders_have_working_time_of_their_own() {
        let office = Hours::new(&["Mon-Fri 09:00-18:00".to_owned()], [].into(), TimeZone::UTC).unwrap();
        let asking = Asking { sender_first: Duration::from_hours(1), ..Asking::plain(office) };
        for (received, told) in [
            ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"),
            ("2026-11-20T17:30:00Z", "2026-11-23T09:30:00Z"),
            ("2026-11-21T12:00:00Z", "2026-11-23T10:00:00Z"),
        ] {
            assert_eq!(asking.patience(at(received)), at(told), "{received}");
        }
        let at_once = Asking { sender_first: Duration::ZERO, ..asking };
        assert_eq!(at_once.patience(at("2026-11-21T12:00:00Z")), at("2026-11-21T12:00:00Z"));
    }

    #[test]
    fn no_digest_comes_when_the_hold_is_over() {
        let asking = Asking { digest: Digest::Hourly, ..Asking::plain(Hours::always(TimeZone::UTC)) };
        let now = at("2026-11-20T10:20:00Z");
        for (expires, digest, due) in [
            ("2026-11-20T11:30:00Z", true, at("2026-11-20T11:00:00Z")),
            ("2026-11-20T11:00:00Z", false, now),
            ("2026-11-20T10:30:00Z", false, now),
        ] {
            let asks = in_time(asking.plan(&[address("a@x.jp")], &[], false, now), at(expires), now);
            assert_eq!((asks[0].digest, asks[0].due), (digest, due), "{expires}");
        }
    }
}
