//! Accepting a message: its rows, in one transaction.

use super::encode::{self, CopyRow, HoldRow, LedgerRow, MessageRows, to_json};
use super::error::Failure;
use super::groups;
use super::repeats::{self, First, Repeats};
use super::{chain, circles, codes, hooks, journal, keys, notices, read, taken, transactions};
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::lifecycle::forks::{self, About};
use crate::store::sql::db::{Connection, params};
use crate::store::{Body, DeliveryState, StoreError};
use std::collections::HashSet;

/// The result of accepting a message.
#[derive(Clone, Debug)]
pub(in crate::store) struct Accepted {
    /// Its row number.
    pub(in crate::store) row: i64,
    /// Recipients that were left out because they had the same message before, in comparison form.
    pub(in crate::store) known: HashSet<String>,
    /// Recipients who may have an earlier copy that was given up: theirs are marked as possible duplicates.
    pub(in crate::store) uncertain: HashSet<String>,
}

/// Inserts the message, without the recipients that had the same message before.
pub(in crate::store) fn insert(
    tx: &Connection,
    rows: &MessageRows,
    repeats: &mut Repeats,
) -> Result<Accepted, Failure> {
    if let Some(ended) = rows.circles {
        circles::unchanged(tx, ended)?;
    }
    let Found { known, uncertain, first, mail, again } = before(tx, rows, repeats)?;
    let row = if known.is_empty() && uncertain.is_empty() {
        let whole =
            Whom { people: &rows.people, keys: rows.keys.as_deref(), meta: &rows.meta, copies: &rows.copies };
        insert_rows(tx, rows, first.as_ref(), &whole)?
    } else {
        let people = encode::people_without(&rows.people, &known);
        let keys = rows.keys.as_ref().map(|keys| encode::people_without(keys, &known));
        let meta = encode::meta_without(&rows.meta, &known)?;
        let copies: Vec<Option<CopyRow>> = rows
            .copies
            .iter()
            .map(|copy| encode::without(copy, &known, &uncertain))
            .collect::<Result<_, _>>()?;
        let copies: Vec<CopyRow> = copies.into_iter().flatten().collect();
        let rest = Whom { people: &people, keys: keys.as_deref(), meta: &meta, copies: &copies };
        insert_rows(tx, rows, first.as_ref(), &rest)?
    };
    if let Some(mail) = mail {
        transactions::note(tx, row, mail)?;
    }
    if let Some(fork) = &rows.fork {
        if first.is_none()
            && let Some(other) = repeats.namesake(tx, &fork.group)?
        {
            let event = Event::Namesake { of: other.id };
            journal::append(tx, row, Timestamp(rows.received), &event)?;
        }
        let people = rows.keys.as_ref().unwrap_or(&rows.people);
        // A recipient that was left out is found only with the earlier message.
        let kept = repeats::recipients(people).filter(|line| !known.contains(*line));
        repeats.put(row, rows.received, fork, kept, again);
    }
    Ok(Accepted { row, known, uncertain })
}

/// How a message relates to earlier ones.
#[derive(Default)]
struct Found {
    /// Recipients for whom this fork was received before.
    known: HashSet<String>,
    /// Recipients who may have an earlier copy of it.
    uncertain: HashSet<String>,
    /// The first transaction of this mail.
    first: Option<First>,
    /// The row of an earlier transaction of it, even if it was returned to its sender since.
    mail: Option<i64>,
    /// It was returned to its sender and sent again, so earlier messages do not matter.
    again: bool,
}

/// Looks for earlier messages. Refuses a message if all its recipients had it before, or if what its plan was
/// based on has changed.
fn before(tx: &Connection, rows: &MessageRows, repeats: &Repeats) -> Result<Found, Failure> {
    let Some(fork) = &rows.fork else { return Ok(Found::default()) };
    let people = rows.keys.as_ref().unwrap_or(&rows.people);
    let before = repeats.known(tx, fork, rows.received, repeats::recipients(people))?;
    before.something_new(repeats::recipients(people)).map_err(StoreError::from)?;
    if let Some(hold) = &rows.hold {
        if let Some(expected) = &hold.relation.expected {
            forks::unmoved(expected, &groups::group_items(tx, &fork.group)?).map_err(StoreError::from)?;
        }
        let item = groups::state_of_item(tx, hold)?;
        forks::joinable(item, before.back).map_err(StoreError::from)?;
    }
    let first = repeats.first_of(tx, &fork.group)?;
    let (mail, again) = (first.as_ref().map(|first| first.row), before.back);
    let first = first.filter(|_| !again);
    Ok(Found { known: before.known, uncertain: before.uncertain, first, mail, again })
}

/// The recipients of a message, in every form in which they are stored.
struct Whom<'a> {
    people: &'a str,
    keys: Option<&'a str>,
    meta: &'a str,
    copies: &'a [CopyRow],
}

fn insert_rows(
    tx: &Connection,
    rows: &MessageRows,
    first: Option<&First>,
    whom: &Whom<'_>,
) -> Result<i64, Failure> {
    let answered = rows.answers.map(|notice| notices::open(tx, notice)).transpose()?;
    let item = rows.hold.as_ref().and_then(|hold| hold.relation.joins);
    let joined = item.map(|item| read::row_of(tx, item)).transpose()?;
    let counts = rows.counts.clone().once(first.is_none());
    let message = next_row(tx)?;
    tx.prepare_cached(
        "INSERT INTO messages (row, id, received, people, keys, message_id, subject, action, exposures, \
         prevented, events, fork, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .put_row(params![
        message,
        rows.id.as_str(),
        rows.received,
        whom.people,
        whom.keys,
        rows.message_id,
        rows.subject,
        counts.action,
        codes::from_count(counts.exposures),
        counts.prevented,
        rows.events,
        rows.fork.map(|fork| fork.octets()),
        rows.sealed,
    ])?;
    if let Some(observed) = &counts.observed {
        tx.prepare_cached(
            "INSERT INTO observed (message, action, prevented, rules) VALUES (?1, ?2, ?3, ?4)",
        )?
        .put_row(params![
            message,
            observed.action,
            codes::from_count(observed.prevented),
            to_json(&observed.rules)?
        ])?;
    }
    chain::accepted(tx, message, rows, whom.people)?;
    content(tx, message, rows, whom.meta)?;
    deliveries(tx, message, 0, whom.copies)?;
    if let Some(hold) = &rows.hold {
        held(tx, message, hold)?;
        super::terms::describe(tx, message, &rows.terms, &rows.subject)?;
        let came = Timestamp(rows.received);
        if let Some(item) = joined {
            groups::join(tx, message, item, hold, whom.keys.unwrap_or(whom.people), came)?;
        } else {
            groups::begin(tx, message, hold, rows.fork.as_ref())?;
            hooks::held(tx, message, rows.received)?;
        }
    }
    if let Some(first) = first {
        taken::like_its_first(tx, message, first.row, Timestamp(rows.received))?;
    }
    if let Some(entry) = &rows.ledger {
        ledger(tx, message, entry)?;
    }
    for notice in &rows.notices {
        let about = forks::about(notice.kind, joined.is_some(), first.is_some());
        match (about, joined, first) {
            (About::Item, Some(item), _) => notices::put(tx, item, notice.kind, Some(notice.due.0))?,
            (About::First, _, Some(first)) => {
                groups::told_once(tx, first, notice.kind, Timestamp(rows.received))?;
            }
            _ => notices::put(tx, message, notice.kind, Some(notice.due.0))?,
        }
    }
    if let (Some((about, kind)), Some(notice)) = (answered, rows.answers) {
        notices::mark_sent(tx, notice)?;
        let event = Event::Noticed { kind: notices::name(kind), notice: rows.id };
        journal::append(tx, about, Timestamp(rows.received), &event)?;
    }
    Ok(message)
}

/// The number of the next message. Numbers are never given twice, not even after a purge.
/// `last_purged` says which were given, and with PostgreSQL also from where they go on in a new month.
fn next_row(tx: &Connection) -> Result<i64, Failure> {
    let next = tx.draft().map(|draft| &draft.next_message);
    let row = match next.and_then(std::cell::Cell::get) {
        Some(row) => row,
        None => tx
            .prepare_cached(
                "SELECT 1 + max(row) FROM (SELECT max(row) AS row FROM messages UNION ALL SELECT message FROM \
                 last_purged) r",
            )?
            .query_row([], |row| row.get(0))?,
    };
    if let Some(next) = next {
        next.set(Some(row + 1));
    }
    Ok(row)
}

fn content(tx: &Connection, message: i64, rows: &MessageRows, meta: &str) -> Result<(), Failure> {
    let (file, body) = match &rows.body {
        Body::Inline(bytes) => (None, Some(bytes.as_ref())),
        Body::Stored { name, .. } => (Some(name.as_str()), None),
    };
    let size = i64::try_from(rows.body.size()).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "INSERT INTO contents (message, file, size, meta, needles, header, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .put_row(params![message, file, size, meta, rows.needles, rows.header.as_ref(), body])?;
    Ok(())
}

/// Inserts copies, numbered after `number`.
pub(in crate::store) fn deliveries(
    tx: &Connection,
    message: i64,
    number: i64,
    copies: &[CopyRow],
) -> Result<(), Failure> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO deliveries (row, state, due, token, attempts, duplicate, queued, recipients, reply, copy) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let mut row = keys::base(message) + number;
    let leased = |copy: &CopyRow| copy.progress.state == DeliveryState::Sending;
    let apart = if copies.iter().any(leased) { tx.apart_lately()? } else { 0 };
    for copy in copies {
        row += 1;
        if keys::message_of(row) != message {
            return Err(StoreError::Unavailable("a message has too many deliveries".to_owned()).into());
        }
        insert.put_row(params![
            row,
            codes::delivery(copy.progress.state),
            copy.progress.due.map(|due| if leased(copy) { due.0 + apart } else { due.0 }),
            copy.progress.token,
            copy.progress.attempts,
            copy.progress.duplicate,
            copy.progress.queued.0,
            codes::number(copy.recipients),
            copy.progress.reply,
            copy.copy
        ])?;
    }
    Ok(())
}

/// Holds the message. If it was held before, it gets a new hold.
pub(in crate::store) fn held(tx: &Connection, message: i64, hold: &HoldRow) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO held (message, item, state, kind, expires, reasons, hits, author, files) \
         VALUES (?1, ?1, 0, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (message) DO UPDATE SET item = ?1, state = 0, \
         kind = ?2, expires = ?3, reasons = ?4, hits = ?5, author = CASE WHEN ?6 = '' THEN held.author ELSE ?6 END, \
         files = CASE WHEN ?7 = '' THEN held.files ELSE ?7 END, decided_by = NULL, decided_at = NULL, \
         decision = NULL, way = NULL, undo_until = NULL, awaited = '[]'",
    )?
    .put(params![
        message,
        hold.kind,
        hold.expires,
        hold.reasons,
        hold.hits,
        hold.author,
        hold.files
    ])?;
    tx.prepare_cached(
        "INSERT INTO held_terms (term, state, message) VALUES ('*', 0, ?1) ON CONFLICT DO NOTHING",
    )?
    .put([message])?;
    let mut assign = tx.prepare_cached(
        "INSERT INTO held_approvers (approver, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for approver in &hold.approvers {
        assign.put(params![approver, message])?;
    }
    Ok(())
}

pub(in crate::store) fn ledger(tx: &Connection, message: i64, entry: &LedgerRow) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO ledger (week, message_id, message, disclosed) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (week, message_id, message) DO UPDATE SET disclosed = ?4",
    )?
    .put(params![entry.week, entry.message_id, message, entry.disclosed])?;
    tx.prepare_cached("INSERT INTO untaught (message) VALUES (?1) ON CONFLICT DO NOTHING")?.put([message])?;
    Ok(())
}
