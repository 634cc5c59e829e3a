//! The history of a message in words. Similar events at the same time are combined.

use super::super::Site;
use super::super::words::{Words, one_line};
use super::parts::LINE;
use crate::clock::Timestamp;
use crate::desk::canned::in_language;
use crate::id::Id;
use crate::journal::{Entry, Event};
use std::collections::HashMap;
use std::time::Duration;

/// Events within this time are combined.
const TOGETHER: Duration = Duration::from_mins(1);

/// Most people and notices that are named.
const MOST_ASKED: usize = 20;

/// One entry of a timeline.
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// The approvers who were told, by notice.
type NoticedApprovers = HashMap<Id, Vec<String>>;

/// The history, with the approvers' names.
pub(super) async fn happened(site: &Site, t: &Words, entries: &[Entry], most: usize) -> Vec<Moment> {
    timeline(t, entries, asked(site, entries).await, most)
}

/// Reads who was asked from the stored notices.
async fn asked(site: &Site, entries: &[Entry]) -> NoticedApprovers {
    let mut found = NoticedApprovers::new();
    for entry in entries {
        let Event::Noticed { kind, notice } = &entry.event else { continue };
        if phrase_of(kind).is_none() || found.len() == MOST_ASKED {
            continue;
        }
        // a purged notice is shown without names
        if let Ok(mail) = site.store.message(*notice).await {
            let to = mail.envelope.recipients.iter().map(|one| one.address.to_string());
            found.insert(*notice, to.collect());
        }
    }
    found
}

/// The phrase for a notice to approvers.
fn phrase_of(kind: &str) -> Option<&'static str> {
    match kind {
        "held-approvers" | "escalated" => Some("desk-event-noticed-asked"),
        "asked-as-is" => Some("desk-event-noticed-wish"),
        "expiring-approvers" => Some("desk-event-noticed-soon"),
        _ => None,
    }
}

/// Up to `most` entries, oldest first.
fn timeline(t: &Words, entries: &[Entry], mut asked: NoticedApprovers, most: usize) -> Vec<Moment> {
    let mut all: Vec<(Timestamp, Event)> = Vec::new();
    for entry in entries {
        let joined = all.last_mut().is_some_and(|(at, event)| {
            entry.at.since(*at) < TOGETHER && join(event, &entry.event, &mut asked)
        });
        if joined {
            continue;
        }
        if all.len() == most {
            break;
        }
        all.push((entry.at, entry.event.clone()));
    }
    all.into_iter().map(|(at, event)| Moment { at, text: told(t, &event, &asked) }).collect()
}

/// Combines an event with a similar one; returns whether it did. Different replies of servers to delivered
/// copies are left out.
fn join(known: &mut Event, next: &Event, asked: &mut NoticedApprovers) -> bool {
    match (known, next) {
        (
            Event::Attempt { recipients, state, reply, .. },
            Event::Attempt { recipients: more, state: as_well, reply: said, .. },
        ) if state == as_well && (said == reply || state == "delivered") => {
            recipients.extend(more.iter().cloned());
            if said != reply {
                reply.clear();
            }
            true
        }
        (Event::Noticed { kind, notice }, Event::Noticed { kind: same, notice: other }) if kind == same => {
            let more = asked.remove(other).unwrap_or_default();
            asked.entry(*notice).or_default().extend(more);
            true
        }
        _ => false,
    }
}

/// A client's address without the rest: `client ([192.0.2.7])` gives 192.0.2.7.
fn host(client: &str) -> &str {
    let inside = client.rsplit_once("([").and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(client, |(host, _)| host)
}

/// One event in words.
fn told(t: &Words, event: &Event, asked: &NoticedApprovers) -> String {
    let line = |text: &str| one_line(text, LINE);
    let phrase = match event {
        Event::Accepted { recipients, action, client, would, .. } => {
            let action = t.of("desk-action-", action);
            let accepted = t.p("desk-event-accepted").n("count", *recipients);
            let accepted = accepted.s("action", action).s("client", line(host(client)));
            match would {
                None => accepted,
                Some(would) => {
                    let would = t.of("desk-would-", &would.action);
                    t.p("desk-event-accepted-would").s("accepted", accepted).s("would", would)
                }
            }
        }
        Event::Attempt { recipients, state, reply, .. } => {
            let first = recipients.first().map(|one| line(one)).unwrap_or_default();
            let more = recipients.len().saturating_sub(1);
            let said = if reply.is_empty() { "desk-event-attempts" } else { "desk-event-attempt" };
            let phrase = t.p(said).s("first", first).n("more", more);
            phrase.s("state", t.of("desk-delivery-", state)).s("reply", line(reply))
        }
        Event::Released { by, how, dropped, .. } => {
            let way = how.split(',').next().unwrap_or_default();
            let way = t.of("desk-way-", way);
            t.p("desk-event-released").s("by", line(by)).s("how", way).n("dropped", dropped.len())
        }
        Event::Returned { by, reason } if reason.trim().is_empty() => {
            t.p("desk-event-returned").s("by", line(by))
        }
        Event::Returned { by, reason } => {
            let reason = in_language(reason, t.tongue.language());
            t.p("desk-event-returned-because").s("by", line(by)).s("reason", line(&reason))
        }
        Event::Expired {} => t.p("desk-event-expired"),
        Event::Noticed { kind, notice } => {
            let who = asked.get(notice).filter(|who| !who.is_empty());
            match phrase_of(kind).zip(who) {
                Some((key, who)) => {
                    let names = who.iter().take(MOST_ASKED).map(|one| line(one)).collect::<Vec<_>>();
                    t.p(key).s("who", names.join(t.list()))
                }
                None => t.p("desk-event-noticed").s("kind", t.of("desk-notice-", kind)),
            }
        }
        Event::Queue { by, verb, deliveries } => {
            let verb = t.of("desk-verb-", verb);
            t.p("desk-event-queue").s("by", line(by)).s("verb", verb).n("count", *deliveries)
        }
        Event::Stopped { left, total, .. } => t.p("desk-event-stopped").n("left", *left).n("total", *total),
        Event::Repeated { recipients, .. } => t.p("desk-event-repeated").n("count", *recipients),
        Event::AskedAgain { by, anew } => {
            t.p("desk-event-asked-again").s("by", line(by)).s("anew", anew.to_string())
        }
        Event::Again { of } => t.p("desk-event-again").s("of", of.to_string()),
        Event::Namesake { of } => t.p("desk-event-namesake").s("of", of.to_string()),
        Event::Learned { by, mails, learned, .. } => {
            t.p("desk-event-learned").s("by", line(by)).n("mails", *mails).n("learned", *learned)
        }
        Event::Forgotten { by, sets } => t.p("desk-event-forgotten").s("by", line(by)).n("sets", *sets),
        Event::TakenBack { by } => t.p("desk-event-taken-back").s("by", line(by)),
        Event::Undone { by } => t.p("desk-event-undone").s("by", line(by)),
        Event::Joined { item, .. } => t.p("desk-event-joined").s("item", item.to_string()),
        Event::Asked { by, reason } => t.p("desk-event-asked").s("by", line(by)).s("reason", line(reason)),
    };
    phrase.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::words::Tongue;
    use super::*;
    use jiff::tz::TimeZone;

    fn attempt(second: i64, recipient: &str, state: &str, reply: &str) -> Entry {
        let event = Event::Attempt {
            delivery: 1,
            recipients: vec![recipient.to_owned()],
            state: state.to_owned(),
            reply: reply.to_owned(),
            attempt: 1,
            possible_duplicate: false,
        };
        Entry { message: Id::new(Timestamp(0), 1), at: Timestamp(second * 1_000), event }
    }

    #[test]
    fn what_is_alike_and_happened_together_is_told_once() {
        let t = Words { tongue: Tongue::En, now: Timestamp(0), zone: TimeZone::UTC };
        let texts = |entries: &[Entry], most| -> Vec<String> {
            timeline(&t, entries, NoticedApprovers::new(), most)
                .into_iter()
                .map(|moment| moment.text)
                .collect()
        };
        let delivered = |second, recipient, reply| attempt(second, recipient, "delivered", reply);
        let same = [delivered(0, "a@x.example", "250 ok"), delivered(5, "b@x.example", "250 ok")];
        assert_eq!(texts(&same, 9), ["a@x.example and 1 other: delivered – 250 ok"]);
        let replies = [delivered(0, "a@x.example", "250 1"), delivered(5, "b@x.example", "250 2")];
        assert_eq!(texts(&replies, 9), ["a@x.example and 1 other: delivered"]);
        let apart = [delivered(0, "a@x.example", "250 ok"), delivered(60, "b@x.example", "250 ok")];
        assert_eq!(texts(&apart, 9).len(), 2);
        assert_eq!(texts(&apart, 1).len(), 1);
        let failed =
            [attempt(0, "a@x.example", "failed", "550 no"), attempt(1, "b@x.example", "failed", "550 never")];
        assert_eq!(texts(&failed, 9).len(), 2, "each reply is worth reading");
    }
}
