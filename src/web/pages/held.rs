//! `/held/ID`: the page of one message: what would happen, and what the visitor can do.

pub(super) mod now;
mod ways;

use super::super::Site;
use super::super::words::{Tongue, Words, calm};
use super::answer;
use super::asking::{Request, request};
use super::circles::USUAL;
use super::copies::{self, Pair};
use super::list::{as_line, counted};
use super::mailtext::{self, ContentsView};
use super::parts::{self, LINE, MOST_READ, found, subject};
use super::people::{LONGEST, People, people};
use super::risks::{RiskText, language, more, told};
use super::sentence::{Headline, decided, headline, reason_given};
use super::timeline::{Moment, happened};
use super::visit::{Chrome, Visit, show};
use crate::clock::{Day, Timestamp};
use crate::desk;
use crate::desk::DeskError;
use crate::desk::circles::LASTS;
use crate::desk::contents;
use crate::desk::dossier::Dossier;
use crate::desk::taking::undoes;
use crate::desk::waiting::Progress;
use crate::desk::wish::How;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::known::RecipientHistory;
use crate::policy::verdict::{Language, RuleOutcome};
use crate::rewrite::Hit;
use crate::store::{HeldRow, HeldState};
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use now::{SENDING, WAITING, told_progress};
use serde::Deserialize;
use std::sync::Arc;
use ways::{ReleaseOptions, ways};

/// Most entries of the timeline, and hits, on a page.
const MOST_ENTRIES: usize = 200;
/// The query of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    /// Set if somebody else decided first.
    #[serde(default)]
    late: Option<u8>,
    /// Set after a decision was undone.
    #[serde(default)]
    undone: Option<u8>,
}

/// The page.
#[derive(Template)]
#[template(path = "held.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Held {
    c: Chrome,
    id: Id,
    /// The next message, and how many more there are.
    next: Option<(Id, String)>,
    /// The polling interval of the script in milliseconds; `None` if nothing will change.
    every: Option<u32>,
    row: HeldRow,
    headline: Headline,
    late: bool,
    /// The state that the page shows, for the polling script.
    shown: String,
    undone: bool,
    /// Whether the visitor made the decision.
    own_decision: bool,
    decided: Option<String>,
    /// The reason of a return.
    reason: String,
    /// When it is sent, while the release can be undone.
    leaves: Option<Timestamp>,
    /// Whether the visitor may undo the decision.
    undo: bool,
    risks: Vec<RiskText>,
    more_risks: usize,
    subject: String,
    sender: String,
    from: String,
    count: usize,
    people: People,
    company: Company,
    ways: ReleaseOptions,
    hits: Vec<String>,
    /// The sender's request.
    request: Option<Request>,
    approvers: Vec<String>,
    rules: Vec<Rule>,
    example: Option<Pair>,
    contents: Reading,
    timeline: Vec<Moment>,
    sending: Option<String>,
}

/// Earlier contact between the outsiders, in the visitor's language.
#[derive(Default)]
struct Company {
    sentence: String,
    people: Vec<Companion>,
    offer: Option<Offer>,
}

/// One outsider, with the number of others they know.
struct Companion {
    address: String,
    told: String,
}

/// A suggested circle.
struct Offer {
    why: String,
    name: String,
    members: String,
    days: u64,
}

struct Rule {
    name: String,
    title: String,
    why: String,
}

/// What the visitor can read of the message.
enum Reading {
    /// They may not read it.
    Closed,
    /// It is too large to show.
    TooLarge,
    /// Text and attachments.
    Open(ContentsView),
}

/// `GET /held/{id}`
pub(super) async fn page(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Path(id): Path<String>,
    asked: Result<Query<PageQuery>, QueryRejection>,
) -> Response {
    let Visit { who, c } = visit.at("list");
    let Ok(id) = id.parse::<Id>() else { return answer::gone(c) };
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    match make(&site, Visit { who, c: c.clone() }, id, &asked).await {
        Ok(held) => show(StatusCode::OK, &held),
        Err(error) => answer::refused(c, id, &error),
    }
}

async fn make(site: &Site, visit: Visit, id: Id, asked: &PageQuery) -> Result<Held, DeskError> {
    let Visit { who, c } = visit;
    let dossier = site.desk.dossier(&who, id).await?;
    let row = dossier.message.held.clone().ok_or(DeskError::NeverHeld(id))?;
    let known = standing(site, &dossier, &row).await?;
    let contents = reading(site, &who, &dossier).await?;
    let met = site.desk.company(&who, &dossier).await?;
    let t = &c.t;
    let example = dossier.message.envelope.recipients.iter().find(|to| !dossier.is_internal(&to.address));
    // planning copies for hundreds of recipients takes time, so it is done once
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
    let now = t.now;
    let people = people(t, &dossier, &known);
    let next = match row.state {
        HeldState::Held => None,
        _ => site.desk.waits_next(&c.asked.query(&who), id).await?,
    };
    let sending = Progress::of(&dossier.deliveries).filter(|_| row.state == HeldState::Released);
    let leaves = row.undo_until.filter(|until| row.state == HeldState::Released && *until > now);
    let every = match (row.state, &sending) {
        (HeldState::Held, _) => Some(WAITING),
        (HeldState::Released, Some(progress)) if !progress.is_over() => Some(SENDING),
        _ => None,
    };
    Ok(Held {
        next: next.map(|(next, count)| (next, counted(t, count))),
        every,
        shown: format!("shown={}", row.state),
        headline: headline(t, &row),
        late: asked.late.is_some(),
        undone: asked.undone.is_some() && row.state == HeldState::Held,
        own_decision: row.decided_by.as_deref() == Some(who.name.as_str()),
        decided: decided(t, &as_line(&row)),
        reason: reason_given(t, &row),
        leaves,
        undo: row.undo_until.is_some_and(|until| until > now) && undoes(&who, &dossier.parties, &row),
        risks: told(t, &row.risks),
        more_risks: more(row.risks.len()),
        subject: subject(t, &row.subject),
        sender: calm(&row.sender, LONGEST),
        from: calm(&from.unwrap_or_default(), LONGEST),
        count: dossier.message.envelope.recipients.len(),
        people,
        company: company(t, met, &row.subject),
        ways: ways(t, &who, &dossier, &row, individual.as_ref().err()),
        hits: hits(t, &row.hits),
        request: request(&dossier.journal, &row),
        approvers,
        rules: rules(t, &dossier),
        example,
        contents: match contents {
            Raw::Closed => Reading::Closed,
            Raw::TooLarge => Reading::TooLarge,
            Raw::Open(contents) => Reading::Open(mailtext::shown(t, contents)),
        },
        timeline: happened(site, t, &dossier.journal, MOST_ENTRIES).await,
        sending: sending.map(|progress| told_progress(t, &progress)),
        id,
        row,
        c,
    })
}

fn company(t: &Words, met: desk::company::Company, subject: &str) -> Company {
    let japanese = t.tongue == Tongue::Ja;
    let sentence = met.sentence.map(|(en, ja)| if japanese { ja } else { en });
    let people = met.people.into_iter().map(|one| Companion {
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
            name: parts::subject(t, subject),
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

/// The sender's relation to the recipients; for a decided message, as it was then.
async fn standing(site: &Site, dossier: &Dossier, row: &HeldRow) -> Result<RecipientHistory, DeskError> {
    let then = dossier.journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Released { stood, .. } => stood.as_ref(),
        _ => None,
    });
    match then.filter(|_| row.state == HeldState::Released) {
        Some(stood) => Ok(RecipientHistory::then(stood, &row.risks)),
        None => site.desk.known(&dossier.message).await,
    }
}

fn hits(t: &Words, hits: &[Hit]) -> Vec<String> {
    let mut all: Vec<String> = hits.iter().map(|hit| found(t, hit)).collect();
    all.dedup();
    all.truncate(MOST_ENTRIES);
    all
}

fn rules(t: &Words, dossier: &Dossier) -> Vec<Rule> {
    let verdict = dossier.message.verdict.as_ref();
    let language = language(t);
    let why = |rule: &RuleOutcome| match language {
        Language::Ja => rule.why_ja.clone(),
        Language::En => rule.why.clone(),
    };
    let title = |rule: &RuleOutcome| {
        rule.title.as_ref().map_or(rule.name.as_str(), |own| own.text(language)).to_owned()
    };
    verdict
        .into_iter()
        .flat_map(|verdict| &verdict.rules)
        .filter(|rule| rule.matched)
        .take(50)
        .map(|rule| Rule {
            name: calm(&rule.name, 100),
            title: calm(&title(rule), 100),
            why: calm(&why(rule), LINE),
        })
        .collect()
}

async fn reading(
    site: &Site,
    who: &crate::desk::principal::Principal,
    dossier: &Dossier,
) -> Result<Raw, DeskError> {
    if !who.may_read(&dossier.parties) {
        return Ok(Raw::Closed);
    }
    let Some(written) = site.desk.written(who, &dossier.message, MOST_READ).await? else {
        return Ok(Raw::TooLarge);
    };
    // decoding a large message takes time and must not block other requests
    let raw = written.raw().clone();
    let read = tokio::task::spawn_blocking(move || contents::looked_into(&raw)).await;
    Ok(Raw::Open(read.unwrap_or_default()))
}

/// The contents, before they are put into words.
enum Raw {
    Closed,
    TooLarge,
    Open(contents::Contents),
}
