//! Items: what people decide on, with its forks.

use super::encode::{HoldRow, from_json, to_json};
use super::error::Failure;
use super::{codes, journal, notices, read, repeats};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::lifecycle::QUIET;
use crate::lifecycle::forks::{self, Grounds};
use crate::message::Fork;
use crate::message::fork::{ForkGroup, Variant};
use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::{Awaited, ForkRelation, GroupItem, GroupItems, HeldState, NoticeKind, StoreError};

/// The held messages of a mail, and what was decided on them.
pub(in crate::store) fn group_items(db: &Connection, group: &ForkGroup) -> Result<GroupItems, Failure> {
    let mut select = db.prepare_cached(
        "SELECT h.message, m.id, h.state, h.adds_to, h.way, h.decided_at FROM held h \
         JOIN messages m ON m.row = h.message WHERE h.mail = ?1 ORDER BY h.message",
    )?;
    let mut rows = select.query([group.octets()])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let way: Option<String> = row.get(4)?;
        let item = GroupItem {
            id: read::id(&row.get::<_, String>(1)?)?,
            state: state_of(row.get(2)?)?,
            addendum: row.get::<_, Option<i64>>(3)?.is_some(),
            release: way.as_deref().map(from_json).transpose()?,
            variants: variants(db, row.get(0)?)?,
        };
        items.push((item, row.get::<_, Option<i64>>(5)?.map(Timestamp)));
    }
    Ok(forks::group_items(items))
}

pub(in crate::store) fn state_of(code: i64) -> Result<HeldState, StoreError> {
    codes::to_held(code)
        .ok_or_else(|| StoreError::Unreadable("a held message has an unknown state".to_owned()))
}

/// The different contents of an item's members.
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

/// The members of an item that are in this state.
pub(in crate::store) fn members(db: &Connection, item: i64, state: HeldState) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached("SELECT message FROM held WHERE item = ?1 AND state = ?2")?;
    let rows = select.query_map([item, codes::held(state)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The ids of an item's members that share its state, starting with the item itself.
pub(in crate::store) fn member_ids(db: &Connection, item: Id) -> Result<Vec<Id>, Failure> {
    let item = read::row_of(db, item)?;
    let mut select = db.prepare_cached(
        "SELECT m.id FROM held h JOIN messages m ON m.row = h.message WHERE h.item = ?1 \
         AND h.state = (SELECT state FROM held WHERE message = ?1) ORDER BY h.message <> h.item, h.message",
    )?;
    let rows = select.query_map([item], |row| row.get::<_, String>(0))?;
    let ids: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(ids.iter().map(|text| read::id(text)).collect::<Result<_, _>>()?)
}

/// The state of the item that a held message is to join.
pub(in crate::store) fn state_of_item(tx: &Connection, hold: &HoldRow) -> Result<Option<HeldState>, Failure> {
    let Some(item) = hold.relation.joins else { return Ok(None) };
    let state: Option<i64> = tx
        .prepare_cached("SELECT h.state FROM held h JOIN messages m ON m.row = h.message WHERE m.id = ?1")?
        .query_row([item.as_str()], |row| row.get(0))
        .optional()?;
    Ok(state.and_then(codes::to_held))
}

/// Makes a held message an item of its own.
pub(in crate::store) fn begin(
    tx: &Connection,
    message: i64,
    hold: &HoldRow,
    fork: Option<&Fork>,
) -> Result<(), Failure> {
    let adds_to = hold.relation.adds_to.map(|item| read::row_of(tx, item)).transpose()?;
    tx.prepare_cached("UPDATE held SET mail = ?2, adds_to = ?3, awaited = ?4 WHERE message = ?1")?.execute(
        params![message, fork.map(|fork| fork.group.octets()), adds_to, to_json(&hold.relation.awaited)?],
    )?;
    Ok(())
}

/// What joining an item depends on. Its reasons and hits are in stored form.
struct Item {
    state: HeldState,
    received: Timestamp,
    grounds: Grounds<serde_json::Value>,
    awaited: Vec<Awaited>,
}

/// Makes a held message a member of an item, whose decision it shares.
pub(in crate::store) fn join(
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
    // The disclosures of a mail count once, however many forks it has.
    tx.prepare_cached("UPDATE messages SET prevented = 0 WHERE row = ?1")?.execute([message])?;
    let Item { state, received, grounds: own, awaited } = load(tx, item)?;
    let awaited = forks::still_awaited(awaited, repeats::recipients(people));
    let grounds = forks::joined(own, state, grounds(hold.kind, &hold.reasons, &hold.hits)?);
    tx.prepare_cached(
        "UPDATE held SET members = members + 1, awaited = ?2, reasons = ?3, hits = ?4, kind = ?5 \
         WHERE message = ?1",
    )?
    .execute(params![
        item,
        to_json(&awaited)?,
        to_json(&grounds.reasons)?,
        to_json(&grounds.hits)?,
        codes::hold(grounds.kind),
    ])?;
    tx.prepare_cached(
        "INSERT INTO held_approvers (approver, message) SELECT approver, ?2 FROM held_approvers \
         WHERE message = ?1 ON CONFLICT DO NOTHING",
    )?
    .execute([message, item])?;
    // Lists show items, so the terms of a member must lead to its item.
    tx.prepare_cached(
        "INSERT INTO held_terms (term, state, message) SELECT t.term, i.state, i.message \
         FROM held_terms t, held i WHERE t.message = ?1 AND i.message = ?2 ON CONFLICT DO NOTHING",
    )?
    .execute([message, item])?;
    tx.prepare_cached("DELETE FROM held_terms WHERE message = ?1")?.execute([message])?;
    tx.prepare_cached("DELETE FROM held_subjects WHERE rowid = ?1")?.execute([message])?;
    let complete = forks::is_complete(&awaited);
    for kind in forks::WAIT_FOR_ITEM {
        notices::move_kind(tx, item, kind, |due| forks::put_off(due, received, now, complete))?;
    }
    Ok(())
}

/// Another item of the same mail that waits for a decision.
pub(in crate::store) fn waiting_beside(db: &Connection, item: i64) -> Result<Option<i64>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT other.message FROM held h JOIN held other ON other.mail = h.mail \
         WHERE h.message = ?1 AND other.message <> ?1 AND other.state = 0 ORDER BY other.message LIMIT 1",
    )?;
    Ok(select.query_row([item], |row| row.get(0)).optional()?)
}

/// Moves the members of an item to another item, which waits; the first one is no longer an item.
pub(in crate::store) fn move_into(
    tx: &Connection,
    members: &[i64],
    item: i64,
    now: Timestamp,
) -> Result<(), Failure> {
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
                    relation: ForkRelation::default(),
                    author: row.get(5)?,
                    files: row.get(6)?,
                };
                Ok((hold, row.get::<_, String>(4)?))
            })?;
        tx.prepare_cached(
            "UPDATE held SET mail = NULL, adds_to = NULL, awaited = '[]', members = 1, way = NULL \
             WHERE message = ?1",
        )?
        .execute([member])?;
        // What an addendum adds to is a part of it now: it is the mail's item.
        tx.prepare_cached("UPDATE held SET adds_to = NULL WHERE message = ?1 AND adds_to = ?2")?
            .execute([item, *member])?;
        join(tx, *member, item, &hold, &people, now)?;
        let joined = Event::Joined { item: other, state: HeldState::Held.to_string() };
        journal::append(tx, *member, now, &joined)?;
    }
    Ok(())
}

fn load(tx: &Connection, item: i64) -> Result<Item, Failure> {
    let mut select = tx.prepare_cached(
        "SELECT h.state, h.kind, m.received, h.reasons, h.hits, h.awaited FROM held h \
         JOIN messages m ON m.row = h.message WHERE h.message = ?1",
    )?;
    let mut rows = select.query([item])?;
    let row = rows.next()?.ok_or(crate::store::sql::error::Error::NoRows)?;
    let text = |column| row.get::<_, String>(column);
    Ok(Item {
        state: state_of(row.get(0)?)?,
        received: Timestamp(row.get(2)?),
        grounds: grounds(row.get(1)?, &text(3)?, &text(4)?)?,
        awaited: from_json(&text(5)?)?,
    })
}

fn grounds(kind: i64, reasons: &str, hits: &str) -> Result<Grounds<serde_json::Value>, StoreError> {
    let kind = codes::to_hold(kind)
        .ok_or_else(|| StoreError::Unreadable("a held message has an unknown kind".to_owned()))?;
    Ok(Grounds { kind, reasons: from_json(reasons)?, hits: from_json(hits)? })
}

/// Makes a notice of a split or a delay once for each mail: it belongs to the mail's first transaction.
pub(in crate::store) fn told_once(
    tx: &Connection,
    first: &repeats::First,
    kind: NoticeKind,
    now: Timestamp,
) -> Result<(), Failure> {
    let told: bool = tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM notices WHERE message = ?1 AND kind = ?2)")?
        .query_row(params![first.row, codes::notice(kind)], |row| row.get(0))?;
    if told {
        notices::move_kind(tx, first.row, kind, |due| forks::put_off(due, first.received, now, false))
    } else {
        notices::put(tx, first.row, kind, Some(now.plus(QUIET).0))
    }
}
