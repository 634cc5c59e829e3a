//! Who is told of what waits for a decision, when, and in whose place: pure.
//!
//! A held message names those who are asked. Each is told at once or in a digest; who is away is told
//! through their deputies; what is urgent waits for no digest.

use super::hours::{Digest, Hours};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::verdict::Language;
use crate::store::{AskWhy, NewAsk};
use jiff::civil::Date;
use std::collections::HashMap;
use std::time::Duration;

/// How approvers are told.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Those who are told in a way of their own, by the comparison form of their address.
    pub approvers: HashMap<String, Approver>,
    /// How the others are told.
    pub digest: Digest,
    /// When people answer.
    pub hours: Hours,
    /// What happens when nobody does.
    pub escalation: Option<Escalation>,
}

/// One approver's own way.
#[derive(Clone, Debug)]
pub struct Approver {
    /// Whose.
    pub address: Address,
    /// Who is told while they are away.
    pub deputies: Vec<Address>,
    /// From when until when, both days included.
    pub away: Vec<(Date, Date)>,
    /// How they are told; `None`: like the others.
    pub digest: Option<Digest>,
    /// In which language; `None`: in both.
    pub language: Option<Language>,
}

/// Who is told when nobody answered for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Working time.
    pub after: Duration,
    /// Whom.
    pub to: Vec<Address>,
}

impl Asking {
    /// Everybody at once, nobody away.
    pub fn plain(hours: Hours) -> Self {
        Self { approvers: HashMap::new(), digest: Digest::AtOnce, hours, escalation: None }
    }

    /// Who is told of one message, and when. `senders` never are.
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

    /// When those behind the approvers are told.
    pub fn escalates(&self, now: Timestamp) -> Option<Timestamp> {
        self.escalation.as_ref().map(|escalation| self.hours.due(now, escalation.after))
    }

    /// The language that somebody is told in, where it is set.
    pub fn language(&self, address: &Address) -> Option<Language> {
        self.approvers.get(address.key()).and_then(|approver| approver.language)
    }

    /// The spelling of an address that is known in comparison form.
    pub fn spelled(&self, key: &str) -> Option<Address> {
        let own = self.approvers.values();
        let mut known = own.flat_map(|one| std::iter::once(&one.address).chain(&one.deputies));
        known.find(|address| address.key() == key).cloned()
    }

    fn digest(&self, address: &Address) -> &Digest {
        let own = self.approvers.get(address.key()).and_then(|approver| approver.digest.as_ref());
        own.unwrap_or(&self.digest)
    }

    /// Who stands in for an approver who is away: deputies who are not away themselves.
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

    /// A line of the table below.
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
            // the deputy is asked already; the sender is not
            (&["d@x.jp", "a@x.jp"], &["e@x.jp"], "2026-11-20T12:00:00Z", &[("d@x.jp", AskWhy::Asked)]),
            (&["a@x.jp"], &["a@x.jp"], "2026-11-19T12:00:00Z", &[]),
            // nobody stands in: they are told all the same
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
}
