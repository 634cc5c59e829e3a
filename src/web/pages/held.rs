//! `/held/ID`: one message, what would happen, and what may be done.

use super::super::Site;
use super::super::words::{Tongue, Words, calm, calm_lines};
use super::answer;
use super::circles::USUAL;
use super::copies::{self, Pair};
use super::list::as_line;
use super::people::{LONGEST, Organisation, organisations};
use super::timeline::{Moment, timeline};
use super::visit::{Chrome, Visit, show};
use crate::clock::Day;
use crate::desk::circles::LASTS;
use crate::desk::contents::{self, Contents};
use crate::desk::decide::How;
use crate::desk::dossier::{Closed, Dossier};
use crate::desk::{self, DeskError};
use crate::id::Id;
use crate::message::Address;
use crate::policy::verdict::RuleOutcome;
use crate::rewrite::Hit;
use crate::store::{HeldLine, HeldRow, HeldState, HoldKind};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// Largest body in octets of which text and attachments are shown.
pub(super) const MOST_READ: u64 = 64 * 1024 * 1024;
/// Most entries of the timeline, and hits, that a page lists.
const MOST_ENTRIES: usize = 200;
/// Longest line of somebody else's text, in characters.
pub(super) const LINE: usize = 1_000;

/// What the page was told in its address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Somebody else decided first.
    #[serde(default)]
    late: Option<u8>,
}

/// The page.
#[derive(Template)]
#[template(path = "held.html")]
struct Held {
    c: Chrome,
    id: Id,
    row: HeldRow,
    headline: Headline,
    late: bool,
    decided: Option<String>,
    subject: String,
    sender: String,
    from: String,
    people: usize,
    organisations: Vec<Organisation>,
    company: Company,
    ways: Ways,
    reasons: Vec<String>,
    hits: Vec<String>,
    approvers: Vec<String>,
    rules: Vec<Rule>,
    example: Option<Pair>,
    contents: Reading,
    timeline: Vec<Moment>,
    sending: Option<Progress>,
}

/// Who knows whom, in the visitor's language.
#[derive(Default)]
struct Company {
    sentence: String,
    people: Vec<Person>,
    offer: Option<Offer>,
}

/// One outsider: how many of the others they know.
struct Person {
    address: String,
    told: String,
}

/// A circle that is offered.
struct Offer {
    why: String,
    name: String,
    members: String,
    days: u64,
}

/// One sentence that says what would happen.
pub(super) struct Headline {
    pub(super) text: String,
    pub(super) sum: String,
}

/// What the visitor may do, and what is open.
#[derive(Default)]
struct Ways {
    split: Way,
    bcc: Way,
    as_is: Way,
    drop: bool,
    give_back: bool,
    /// It is theirs: giving it back is taking it back.
    own: bool,
    /// Why something is missing, in sentences.
    notes: Vec<String>,
}

impl Ways {
    fn any(&self) -> bool {
        self.split.allowed || self.bcc.allowed || self.as_is.allowed || self.give_back
    }
}

#[derive(Default)]
struct Way {
    allowed: bool,
    open: bool,
}

impl Way {
    fn shown(&self) -> bool {
        self.allowed && self.open
    }
}

struct Rule {
    name: String,
    why: String,
}

/// What the visitor can read of it.
enum Reading {
    /// Not theirs to read.
    Closed,
    /// Larger than what is shown.
    TooLarge,
    /// Text and attachments.
    Open(Contents),
}

/// How far the sending is.
struct Progress {
    delivered: usize,
    total: usize,
    failed: usize,
}

/// `GET /held/{id}`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    match make(&site, Visit { who, c: c.clone() }, id, asked.is_ok_and(|Query(asked)| asked.late.is_some()))
        .await
    {
        Ok(held) => show(StatusCode::OK, &held),
        Err(error) => answer::refused(c, id, &error),
    }
}

async fn make(site: &Site, visit: Visit, id: Id, late: bool) -> Result<Held, DeskError> {
    let Visit { who, c } = visit;
    let dossier = site.desk.dossier(&who, id).await?;
    let row = dossier.message.held.clone().ok_or(DeskError::NeverHeld(id))?;
    let known = site.desk.known(&dossier.message).await?;
    let contents = reading(site, &who, &dossier).await?;
    let met = site.desk.company(&who, &dossier).await?;
    let t = &c.t;
    let example = dossier.message.envelope.recipients.iter().find(|to| !dossier.is_internal(&to.address));
    // Planning the copies of hundreds of recipients takes its time: it is done once.
    let individual = dossier.copies(How::Split, &[]);
    let example = example.zip(individual.as_ref().ok()).and_then(|(to, (made, _))| {
        copies::compared(&dossier, made, &[&to.address]).ok()?.into_iter().next()
    });
    let mut approvers = row.approvers.clone();
    approvers.truncate(50);
    let from = dossier.seen.as_ref().ok().and_then(|seen| seen.facts.from.first());
    let from = from.map(|mailbox| match &mailbox.name {
        Some(name) => format!("{name} <{}>", mailbox.address),
        None => mailbox.address.to_string(),
    });
    let rules = rules(t, &dossier);
    // What a rule says for itself stands beside its name.
    let mut other_reasons = reasons(t, &row);
    other_reasons.retain(|reason| !rules.iter().any(|rule| rule.why == *reason));
    Ok(Held {
        headline: headline(t, &dossier, &row),
        late,
        decided: decided(t, &as_line(&row)),
        subject: subject(t, &row.subject),
        sender: calm(&row.sender, LONGEST),
        from: calm(&from.unwrap_or_default(), LONGEST),
        people: dossier.message.envelope.recipients.len(),
        organisations: organisations(t, &dossier, &known),
        company: company(t, met, &row.subject),
        ways: ways(t, &who, &dossier, &row, individual.as_ref().err()),
        reasons: other_reasons,
        hits: hits(&row.hits),
        approvers,
        rules,
        example,
        contents,
        timeline: timeline(t, &dossier.journal, MOST_ENTRIES),
        sending: progress(&dossier, &row),
        id,
        row,
        c,
    })
}

fn company(t: &Words, met: desk::company::Company, subject: &str) -> Company {
    let japanese = t.tongue == Tongue::Ja;
    let sentence = met.sentence.map(|(en, ja)| if japanese { ja } else { en });
    let people = met.people.into_iter().map(|one| Person {
        address: calm(one.address.as_str(), LONGEST),
        told: match one.since {
            Some(since) => {
                let day = if japanese { since.japanese() } else { since.english() };
                t.p("desk-knows-some")
                    .n("count", one.knows)
                    .n("others", one.others)
                    .s("since", day)
                    .to_string()
            }
            None => t.p("desk-knows-nobody").to_string(),
        },
    });
    let offer = met.releases.map(|times| {
        let until = Day::of(t.now.plus(LASTS));
        let until = if japanese { until.japanese() } else { until.english() };
        let members: Vec<&str> = met.outsiders.iter().map(Address::as_str).collect();
        Offer {
            why: t.p("desk-offer").n("count", times).s("until", until).to_string(),
            name: self::subject(t, subject),
            members: members.join("\n"),
            days: USUAL,
        }
    });
    Company {
        sentence: sentence.map(|text| calm(&text, LINE)).unwrap_or_default(),
        people: people.collect(),
        offer,
    }
}

/// A subject as a line; what stands for none.
pub(super) fn subject(t: &Words, subject: &str) -> String {
    if subject.trim().is_empty() { t.p("desk-no-subject").to_string() } else { calm(subject, 300) }
}

/// Why it is held, in the visitor's language.
pub(super) fn reasons(t: &Words, row: &HeldRow) -> Vec<String> {
    let reasons = if t.tongue == Tongue::Ja { &row.reasons_ja } else { &row.reasons };
    reasons.iter().take(20).map(|reason| calm(reason, LINE)).collect()
}

fn hits(hits: &[Hit]) -> Vec<String> {
    hits.iter()
        .take(MOST_ENTRIES)
        .map(|hit| {
            format!("{} – {} ({})", calm(hit.address.as_str(), LONGEST), calm(&hit.place, LONGEST), hit.form)
        })
        .collect()
}

/// Who decided, what and when; nothing while it is held.
pub(super) fn decided(t: &Words, row: &HeldLine) -> Option<String> {
    let by = calm(row.decided_by.as_deref().unwrap_or_default(), LONGEST);
    let ago = row.decided_at.map(|at| t.moment(&at)).unwrap_or_default();
    let decision = row.decision.as_deref().unwrap_or_default();
    let phrase = match row.state {
        HeldState::Held => return None,
        HeldState::Released => match decision {
            "bcc" => t.p("desk-decided-bcc"),
            "as-is" => t.p("desk-decided-as-is"),
            _ => t.p("desk-decided-split"),
        },
        HeldState::Returned if decision.trim().is_empty() => t.p("desk-decided-returned"),
        HeldState::Returned => t.p("desk-decided-returned-because").s("reason", calm(decision, LINE)),
        HeldState::Expired => t.p("desk-decided-expired"),
    };
    Some(phrase.s("by", by).s("at", ago).to_string())
}

pub(super) fn headline(t: &Words, dossier: &Dossier, row: &HeldRow) -> Headline {
    let plain = |key| Headline { text: t.p(key).to_string(), sum: String::new() };
    let Ok(seen) = &dossier.seen else { return plain("desk-head-unreadable") };
    let facts = &seen.facts;
    let outside = facts.external_addresses.len();
    if row.kind == HoldKind::Unsafe {
        if facts.problems.is_empty() && seen.index.is_ok() {
            let mut hidden: Vec<&str> = row.hits.iter().map(|hit| hit.address.key()).collect();
            hidden.sort_unstable();
            hidden.dedup();
            let text = t.p("desk-head-audit").n("count", hidden.len()).to_string();
            return Headline { text, sum: t.p("desk-head-audit-sum").to_string() };
        }
        return plain("desk-head-unreadable");
    }
    if outside < 2 {
        let count = dossier.message.envelope.recipients.len();
        return Headline {
            text: t.p("desk-head-look").n("count", count).to_string(),
            sum: reasons(t, row).join(" "),
        };
    }
    let people = t.p("desk-people").n("count", outside);
    let organisations = t.p("desk-organisations").n("count", facts.external_organisations);
    let disclosures = outside as u64 * (outside as u64 - 1);
    Headline {
        text: t.p("desk-head").s("people", people).s("organisations", organisations).to_string(),
        sum: t.p("desk-head-sum").n("count", disclosures).to_string(),
    }
}

fn ways(
    t: &Words,
    who: &crate::desk::principal::Principal,
    dossier: &Dossier,
    row: &HeldRow,
    closed: Option<&Closed>,
) -> Ways {
    if row.state != HeldState::Held {
        return Ways::default();
    }
    let what = dossier.whose.standing();
    let may = |how, drops| who.may_release(&what, how, drops);
    let open = closed.is_none();
    let way = |how| Way { allowed: may(how, false), open };
    let mut ways = Ways {
        split: way(How::Split),
        bcc: way(How::Bcc),
        as_is: Way { allowed: may(How::AsIs, false), open: true },
        drop: may(How::Split, true) && dossier.message.envelope.recipients.len() > 1,
        give_back: who.may_return(&what),
        own: who.sent(&what),
        notes: Vec::new(),
    };
    match closed {
        Some(Closed::Audit(_)) if ways.split.allowed => ways.notes.push(t.p("desk-note-audit").to_string()),
        Some(Closed::Unreadable(_)) if ways.split.allowed => {
            ways.notes.push(t.p("desk-note-unreadable").to_string());
        }
        _ => {}
    }
    if ways.own && !ways.as_is.allowed {
        let key = if ways.split.allowed { "desk-note-own-ask" } else { "desk-note-own" };
        ways.notes.push(t.p(key).to_string());
    } else if !ways.any() {
        ways.notes.push(t.p("desk-note-auditor").to_string());
    }
    ways
}

fn rules(t: &Words, dossier: &Dossier) -> Vec<Rule> {
    let verdict = dossier.message.verdict.as_ref();
    let why =
        |rule: &RuleOutcome| if t.tongue == Tongue::Ja { rule.why_ja.clone() } else { rule.why.clone() };
    verdict
        .into_iter()
        .flat_map(|verdict| &verdict.rules)
        .filter(|rule| rule.matched)
        .take(50)
        .map(|rule| Rule { name: calm(&rule.name, 100), why: calm(&why(rule), LINE) })
        .collect()
}

async fn reading(
    site: &Site,
    who: &crate::desk::principal::Principal,
    dossier: &Dossier,
) -> Result<Reading, DeskError> {
    if !who.may_read(&dossier.whose.standing()) {
        return Ok(Reading::Closed);
    }
    let Some(written) = site.desk.written(who, &dossier.message, MOST_READ).await? else {
        return Ok(Reading::TooLarge);
    };
    // Decoding a large message takes its time: it must not keep other requests waiting.
    let raw = written.raw().clone();
    let read = tokio::task::spawn_blocking(move || contents::read(&raw)).await;
    let mut contents = read.unwrap_or_default();
    contents.text = calm_lines(contents.text.trim());
    for file in &mut contents.files {
        file.name = calm(&file.name, LONGEST);
    }
    Ok(Reading::Open(contents))
}

fn progress(dossier: &Dossier, row: &HeldRow) -> Option<Progress> {
    use crate::store::DeliveryState::{Delivered, Failed};
    let copies = &dossier.deliveries;
    if copies.is_empty() || row.state == HeldState::Held {
        return None;
    }
    let count =
        |state| copies.iter().filter(|copy| copy.state == state).map(|copy| copy.recipients.len()).sum();
    let total = copies.iter().map(|copy| copy.recipients.len()).sum();
    Some(Progress { delivered: count(Delivered), failed: count(Failed), total })
}
