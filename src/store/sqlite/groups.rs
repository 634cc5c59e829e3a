//! Items: what people decide on, with the transactions that brought it.

use super::encode::{HoldRow, from_json, to_json};
use super::error::Failure;
use super::{codes, journal, notices, read, repeats};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Fork;
use crate::message::fork::{Group, Variant};
use crate::store::{Awaited, GroupStanding, HeldState, ItemStanding, NoticeKind, Place, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

/// Nobody is told of a mail before it was quiet for so long,
const QUIET: Duration = Duration::from_secs(30);
/// and at the latest so long after its first transaction.
const LONGEST: Duration = Duration::from_mins(3);

/// What was held of a mail, and what became of it.
pub(super) fn standing(db: &Connection, group: &Group) -> Result<GroupStanding, Failure> {
    let mut select = db.prepare_cached(
        "SELECT h.message, m.id, h.state, h.adds_to, h.way, coalesce(h.decided_at, 0) FROM held h \
         JOIN messages m ON m.row = h.message WHERE h.mail = ?1 ORDER BY h.message",
    )?;
    let mut rows = select.query([group.octets()])?;
    let mut standing = GroupStanding::default();
    while let Some(row) = rows.next()? {
        let (message, state, decided): (i64, i64, i64) = (row.get(0)?, row.get(2)?, row.get(5)?);
        let _ = write!(standing.token, "{message}:{state}:{decided};");
        let way: Option<String> = row.get(4)?;
        standing.items.push(ItemStanding {
            id: read::id(&row.get::<_, String>(1)?)?,
            state: state_of(state)?,
            addendum: row.get::<_, Option<i64>>(3)?.is_some(),
            way: way.as_deref().map(from_json).transpose()?,
            variants: variants(db, message)?,
        });
    }
    Ok(standing)
}

fn state_of(code: i64) -> Result<HeldState, StoreError> {
    codes::to_held(code)
        .ok_or_else(|| StoreError::Unreadable("a held message has an unknown state".to_owned()))
}

/// The contents that an item's members have.
fn variants(db: &Connection, item: i64) -> Result<Vec<Variant>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT DISTINCT m.fork FROM held h JOIN messages m ON m.row = h.message WHERE h.item = ?1",
    )?;
    let mut rows = select.query([item])?;
    let mut variants = Vec::new();
    while let Some(row) = rows.next()? {
        let fork: Option<Vec<u8>> = row.get(0)?;
        if let Some(fork) = fork.and_then(|octets| Fork::from_octets(&octets)) {
            variants.push(fork.variant);
        }
    }
    Ok(variants)
}

/// The members of an item that wait for a decision.
pub(super) fn undecided_members(db: &Connection, item: i64) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached("SELECT message FROM held WHERE item = ?1 AND state = 0")?;
    let rows = select.query_map([item], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The ids of an item's members that share its state, itself first.
pub(super) fn member_ids(db: &Connection, item: Id) -> Result<Vec<Id>, Failure> {
    let item = read::row_of(db, item)?;
    let mut select = db.prepare_cached(
        "SELECT m.id FROM held h JOIN messages m ON m.row = h.message WHERE h.item = ?1 \
         AND h.state = (SELECT state FROM held WHERE message = ?1) ORDER BY h.message <> h.item, h.message",
    )?;
    let rows = select.query_map([item], |row| row.get::<_, String>(0))?;
    let ids: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(ids.iter().map(|text| read::id(text)).collect::<Result<_, _>>()?)
}

/// Refuses what was planned on something that is not so any more.
pub(super) fn unmoved(tx: &Connection, hold: &HoldRow, fork: Option<&Fork>) -> Result<(), Failure> {
    match (&hold.place.expected, fork) {
        (Some(expected), Some(fork)) if standing(tx, &fork.group)?.token != *expected => {
            Err(StoreError::Moved.into())
        }
        _ => Ok(()),
    }
}

/// Whether a held message is to join an item that went back to its sender.
pub(super) fn joins_what_went_back(tx: &Connection, hold: &HoldRow) -> Result<bool, Failure> {
    let Some(item) = hold.place.joins else { return Ok(false) };
    let state: Option<i64> = tx
        .prepare_cached("SELECT h.state FROM held h JOIN messages m ON m.row = h.message WHERE m.id = ?1")?
        .query_row([item.as_str()], |row| row.get(0))
        .optional()?;
    Ok(matches!(state.and_then(codes::to_held), Some(HeldState::Returned | HeldState::Expired)))
}

/// Makes a held message an item of its own.
pub(super) fn begin(
    tx: &Connection,
    message: i64,
    hold: &HoldRow,
    fork: Option<&Fork>,
) -> Result<(), Failure> {
    let adds_to = hold.place.adds_to.map(|item| read::row_of(tx, item)).transpose()?;
    tx.prepare_cached("UPDATE held SET mail = ?2, adds_to = ?3, awaited = ?4 WHERE message = ?1")?.execute(
        params![message, fork.map(|fork| fork.group.octets()), adds_to, to_json(&hold.place.awaited)?],
    )?;
    Ok(())
}

/// What an item has to know of a member that joins.
struct Item {
    state: i64,
    kind: i64,
    received: i64,
    reasons: Vec<serde_json::Value>,
    hits: Vec<serde_json::Value>,
    awaited: Vec<Awaited>,
}

/// Makes a held message a member of an item, whose decision it shares.
pub(super) fn join(
    tx: &Connection,
    message: i64,
    item: i64,
    hold: &HoldRow,
    people: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    tx.prepare_cached(
        "UPDATE held SET item = ?2, (state, expires, decided_by, decided_at, decision, undo_until) = \
         (SELECT i.state, i.expires, i.decided_by, i.decided_at, i.decision, i.undo_until FROM held i \
         WHERE i.message = ?2) WHERE message = ?1",
    )?
    .execute([message, item])?;
    // The people of one mail are disclosed to each other once, however it is brought.
    tx.prepare_cached("UPDATE messages SET prevented = 0 WHERE row = ?1")?.execute([message])?;
    let mut known = load(tx, item)?;
    let came: HashSet<&str> = repeats::recipients(people).collect();
    known.awaited.retain(|one| !came.contains(one.key.as_str()));
    if known.state == codes::held(HeldState::Held) {
        merge(&mut known.reasons, &hold.reasons)?;
        merge(&mut known.hits, &hold.hits)?;
    }
    tx.prepare_cached(
        "UPDATE held SET members = members + 1, awaited = ?2, reasons = ?3, hits = ?4, kind = ?5 \
         WHERE message = ?1",
    )?
    .execute(params![
        item,
        to_json(&known.awaited)?,
        to_json(&known.reasons)?,
        to_json(&known.hits)?,
        if known.state == codes::held(HeldState::Held) { known.kind.max(hold.kind) } else { known.kind },
    ])?;
    tx.prepare_cached(
        "INSERT INTO held_approvers (approver, message) SELECT approver, ?2 FROM held_approvers \
         WHERE message = ?1 ON CONFLICT DO NOTHING",
    )?
    .execute([message, item])?;
    // Lists show items: what a member is found by leads to its item.
    tx.prepare_cached(
        "INSERT OR IGNORE INTO held_terms (term, state, message) SELECT t.term, i.state, i.message \
         FROM held_terms t, held i WHERE t.message = ?1 AND i.message = ?2",
    )?
    .execute([message, item])?;
    tx.prepare_cached("DELETE FROM held_terms WHERE message = ?1")?.execute([message])?;
    tx.prepare_cached("DELETE FROM held_subjects WHERE rowid = ?1")?.execute([message])?;
    let complete = !known.awaited.iter().any(|one| one.outside);
    for kind in [NoticeKind::Held, NoticeKind::HeldApprovers] {
        put_off(tx, item, kind, Timestamp(known.received), now, complete)?;
    }
    Ok(())
}

/// Another item of the same mail that waits for a decision.
pub(super) fn waiting_beside(db: &Connection, item: i64) -> Result<Option<i64>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT other.message FROM held h JOIN held other ON other.mail = h.mail \
         WHERE h.message = ?1 AND other.message <> ?1 AND other.state = 0 ORDER BY other.message LIMIT 1",
    )?;
    Ok(select.query_row([item], |row| row.get(0)).optional()?)
}

/// Makes the members of an item members of another, which waits; it is no item any more.
pub(super) fn move_into(tx: &Connection, members: &[i64], item: i64, now: Timestamp) -> Result<(), Failure> {
    let other = read::id_of(tx, item)?;
    for member in members {
        let (hold, people) = tx
            .prepare_cached(
                "SELECT h.kind, h.expires, h.reasons, h.hits, coalesce(m.keys, m.people), h.author, h.files FROM held h \
                 JOIN messages m ON m.row = h.message WHERE h.message = ?1",
            )?
            .query_row([member], |row| {
                let hold = HoldRow {
                    kind: row.get(0)?,
                    expires: row.get(1)?,
                    reasons: row.get(2)?,
                    hits: row.get(3)?,
                    approvers: Vec::new(),
                    place: Place::default(),
                    author: row.get(5)?,
                    files: row.get(6)?,
                };
                Ok((hold, row.get::<_, String>(4)?))
            })?;
        tx.prepare_cached(
            "UPDATE held SET mail = NULL, adds_to = NULL, awaited = '[]', members = 1 WHERE message = ?1",
        )?
        .execute([member])?;
        join(tx, *member, item, &hold, &people, now)?;
        let joined = Event::Joined { item: other, state: HeldState::Held.to_string() };
        journal::append(tx, *member, now, &joined)?;
    }
    Ok(())
}

fn load(tx: &Connection, item: i64) -> Result<Item, Failure> {
    let raw = tx
        .prepare_cached(
            "SELECT h.state, h.kind, m.received, h.reasons, h.hits, h.awaited FROM held h \
             JOIN messages m ON m.row = h.message WHERE h.message = ?1",
        )?
        .query_row([item], |row| {
            let text = |column| row.get::<_, String>(column);
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, text(3)?, text(4)?, text(5)?))
        })?;
    Ok(Item {
        state: raw.0,
        kind: raw.1,
        received: raw.2,
        reasons: from_json(&raw.3)?,
        hits: from_json(&raw.4)?,
        awaited: from_json(&raw.5)?,
    })
}

fn merge(known: &mut Vec<serde_json::Value>, more: &str) -> Result<(), StoreError> {
    let more: Vec<serde_json::Value> = from_json(more)?;
    for one in more {
        if !known.contains(&one) {
            known.push(one);
        }
    }
    Ok(())
}

/// A transaction more of a mail came: a notice about it that is still open waits until the mail is
/// quiet, or is due at once when nobody is missing. One that is due later for other reasons stays.
pub(super) fn put_off(
    tx: &Connection,
    message: i64,
    kind: NoticeKind,
    first: Timestamp,
    now: Timestamp,
    complete: bool,
) -> Result<(), Failure> {
    let latest = first.plus(LONGEST);
    let due = if complete { now } else { now.plus(QUIET).min(latest) };
    tx.prepare_cached(
        "UPDATE notices SET due = ?3 WHERE message = ?1 AND kind = ?2 AND state = 0 AND due <= ?4",
    )?
    .execute(params![message, codes::notice(kind), due.0, latest.0])?;
    Ok(())
}

/// Tells of a split or a delay once a mail: the notice stands with the mail's first transaction.
pub(super) fn told_once(
    tx: &Connection,
    first: &repeats::Earlier,
    kind: NoticeKind,
    now: Timestamp,
) -> Result<(), Failure> {
    let told: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM notices WHERE message = ?1 AND kind = ?2)")?
        .query_row(params![first.row, codes::notice(kind)], |row| row.get(0))?;
    if told {
        put_off(tx, first.row, kind, first.received, now, false)
    } else {
        notices::put(tx, first.row, kind, Some(now.plus(QUIET).0))
    }
}
