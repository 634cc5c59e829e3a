//! Taking back what is still here: delayed mail, and the undoing of it; the undoing of a held mail's
//! return.

use super::encode::HoldRow;
use super::error::Failure;
use super::{accept, asks, codes, encode, groups, hooks, journal, notices, read, repeats, schema, terms};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::message::Fork;
use crate::store::forks::{Again, HoldWaiting};
use crate::store::{HeldState, NoticeKind, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;
use std::time::Duration;

/// Transactions of one mail are looked for from so long before the one that is named.
const BEFORE: Duration = Duration::from_hours(1);
/// How long taking back can be undone.
const UNDO: Duration = Duration::from_hours(24);
/// What a delivery says whose release was undone,
const UNDONE: &str = "the release was undone before it left";
/// or that was taken back.
const REPLY: &str = "taken back by its sender before it was sent";

/// Reads from the index of ids: by their rows it would begin with the oldest message there is.
pub(super) const WHOLE_MAIL: &str =
    "SELECT row FROM messages WHERE id >= ?1 AND id < ?3 AND substr(fork, 1, 24) = ?2 ORDER BY +row";

/// All transactions of the mail that a message is one of.
fn whole_mail(tx: &Connection, id: Id) -> Result<Vec<i64>, Failure> {
    let message = read::row_of(tx, id)?;
    let (received, fork): (i64, Option<Vec<u8>>) = tx
        .prepare_cached("SELECT received, fork FROM messages WHERE row = ?1")?
        .query_row([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(fork) = fork.and_then(|octets| Fork::from_octets(&octets)) else { return Ok(vec![message]) };
    let around = [Timestamp(received).minus(BEFORE), Timestamp(received).plus(repeats::SPAN)];
    let [first, end] = around.map(|at| Id::new(at, 0));
    let mut select = tx.prepare_cached(WHOLE_MAIL)?;
    let rows =
        select.query_map(params![first.as_str(), fork.group.octets(), end.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The same as ids.
pub(super) fn transactions(db: &Connection, id: Id) -> Result<Vec<Id>, Failure> {
    whole_mail(db, id)?.into_iter().map(|row| read::id_of(db, row)).collect()
}

/// Takes back what waits of a delayed mail: it was never tried, and is not yet due. How many copies.
pub(super) fn take(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut all = 0;
    for message in whole_mail(tx, id)? {
        let copies = withdraw(tx, message, at)?;
        if copies > 0 {
            mark(tx, message, by, at)?;
            journal::append(tx, message, at, &Event::TakenBack { by: by.to_owned() })?;
        }
        all += copies;
    }
    if all > 0 {
        // One notice, with the link that undoes it, for all transactions of the mail.
        notices::put(tx, read::row_of(tx, id)?, NoticeKind::TakenBack, Some(at.0))?;
    }
    Ok(all)
}

fn withdraw(tx: &Connection, message: i64, at: Timestamp) -> Result<usize, Failure> {
    withdraw_saying(tx, message, at, REPLY)
}

fn withdraw_saying(tx: &Connection, message: i64, at: Timestamp, reply: &str) -> Result<usize, Failure> {
    Ok(tx
        .prepare_cached(
            "UPDATE deliveries SET token = token + 1, state = ?4, due = NULL, reply = ?5 \
             WHERE row BETWEEN ?1 AND ?2 AND state = ?6 AND attempts = 0 AND due > ?3",
        )?
        .execute(params![
            schema::base(message),
            schema::last(message),
            at.0,
            codes::DROPPED,
            reply,
            codes::WAITING
        ])?)
}

fn mark(tx: &Connection, message: i64, by: &str, at: Timestamp) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO taken (message, at, by) VALUES (?1, ?2, ?3) \
         ON CONFLICT (message) DO UPDATE SET at = ?2, by = ?3, undone = 0",
    )?
    .execute(params![message, at.0, by])?;
    Ok(())
}

/// Lets what waits of a delayed mail go now: it was never tried, and is not yet due. How many copies.
pub(super) fn send_now(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut all = 0;
    for message in whole_mail(tx, id)? {
        let copies = tx
            .prepare_cached(
                "UPDATE deliveries SET due = ?3 \
                 WHERE row BETWEEN ?1 AND ?2 AND state = ?4 AND attempts = 0 AND due > ?3",
            )?
            .execute(params![schema::base(message), schema::last(message), at.0, codes::WAITING])?;
        if copies > 0 {
            let how = "split, before its time".to_owned();
            let event = Event::Released { by: by.to_owned(), how, dropped: Vec::new(), stood: None };
            journal::append(tx, message, at, &event)?;
        }
        all += copies;
    }
    Ok(all)
}

/// Holds what waits of a delayed mail: its first transaction becomes the item, the others its members.
pub(super) fn hold_waiting(tx: &Connection, wish: &HoldWaiting, row: &HoldRow) -> Result<usize, Failure> {
    let (mut all, mut item) = (0, None);
    for message in whole_mail(tx, wish.id)? {
        let copies = withdraw(tx, message, wish.at)?;
        if copies == 0 {
            continue;
        }
        all += copies;
        accept::held(tx, message, row)?;
        terms::describe_stored(tx, message)?;
        if let Some(item) = item {
            let people: String = tx
                .prepare_cached("SELECT coalesce(keys, people) FROM messages WHERE row = ?1")?
                .query_row([message], |found| found.get(0))?;
            groups::join(tx, message, item, row, &people, wish.at)?;
        } else {
            let fork: Option<Vec<u8>> = tx
                .prepare_cached("SELECT fork FROM messages WHERE row = ?1")?
                .query_row([message], |found| found.get(0))?;
            let fork = fork.and_then(|octets| Fork::from_octets(&octets));
            groups::begin(tx, message, row, fork.as_ref())?;
            hooks::held(tx, message, wish.at.0)?;
            item = Some(message);
        }
    }
    if let Some(item) = item {
        journal::append(tx, item, wish.at, &wish.event)?;
        for notice in &wish.notices {
            notices::put(tx, item, notice.kind, Some(notice.due.0))?;
        }
    }
    Ok(all)
}

/// A sibling of a delayed mail that was taken back is taken back as it comes.
pub(super) fn like_its_first(
    tx: &Connection,
    message: i64,
    first: i64,
    at: Timestamp,
) -> Result<(), Failure> {
    let by: Option<String> = tx
        .prepare_cached("SELECT by FROM taken WHERE message = ?1 AND undone = 0")?
        .query_row([first], |row| row.get(0))
        .optional()?;
    if let Some(by) = by
        && withdraw(tx, message, at)? > 0
    {
        mark(tx, message, &by, at)?;
        journal::append(tx, message, at, &Event::TakenBack { by })?;
    }
    Ok(())
}

/// Whether a message was sent again since, to somebody it was for: then undoing that it was taken back
/// would bring them two.
fn sent_again(tx: &Connection, message: i64, whole_mail: &[i64]) -> Result<bool, Failure> {
    let mut select = tx.prepare_cached("SELECT fork, coalesce(keys, people) FROM messages WHERE row = ?1")?;
    let mut load = |row: i64| -> Result<(Option<Vec<u8>>, String), Failure> {
        Ok(select.query_row([row], |found| Ok((found.get(0)?, found.get(1)?)))?)
    };
    let (fork, people) = load(message)?;
    let people: HashSet<&str> = repeats::recipients(&people).collect();
    for other in whole_mail.iter().filter(|other| **other > message) {
        let (same, others) = load(*other)?;
        if same == fork && repeats::recipients(&others).any(|to| people.contains(to)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets a delayed mail that was taken back go after all: due when it was, or now. How many copies.
pub(super) fn untake(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut all = 0;
    let whole = whole_mail(tx, id)?;
    for message in whole.iter().copied() {
        if sent_again(tx, message, &whole)? {
            continue;
        }
        let undone = tx
            .prepare_cached("UPDATE taken SET undone = 1 WHERE message = ?1 AND undone = 0 AND at > ?2")?
            .execute(params![message, at.minus(UNDO).0])?;
        if undone == 0 {
            continue;
        }
        all += tx
            .prepare_cached(
                "UPDATE deliveries SET state = ?5, due = max(queued, ?3), reply = '' \
                 WHERE row BETWEEN ?1 AND ?2 AND state = ?4 AND reply = ?6",
            )?
            .execute(params![
                schema::base(message),
                schema::last(message),
                at.0,
                codes::DROPPED,
                codes::WAITING,
                REPLY
            ])?;
        journal::append(tx, message, at, &Event::Undone { by: by.to_owned() })?;
    }
    Ok(all)
}

/// State, until when it can be undone, who decided and when.
type Returned = (i64, Option<i64>, Option<String>, Option<i64>);

/// Holds an item again that its sender took back.
pub(super) fn hold_again(tx: &Connection, again: &Again) -> Result<(), Failure> {
    let item = read::row_of(tx, again.id)?;
    let found: Option<Returned> = tx
        .prepare_cached("SELECT state, undo_until, decided_by, decided_at FROM held WHERE message = ?1")?
        .query_row([item], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((state, until, by, at)) = found else {
        return Err(StoreError::NotFound(format!("{} among the held ones", again.id)).into());
    };
    let state = codes::to_held(state).unwrap_or(HeldState::Held);
    let late = until.is_none_or(|until| until <= again.at.0);
    let members: Vec<i64> = {
        let mut select = tx.prepare_cached("SELECT message FROM held WHERE item = ?1 AND state = ?2")?;
        let rows = select.query_map([item, codes::held(HeldState::Returned)], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    // Of the transactions that came to it after it was taken back, too, some may have been sent again since.
    let mut others = whole_mail(tx, again.id)?;
    others.retain(|message| !members.contains(message));
    let mut anew = false;
    for member in &members {
        anew |= sent_again(tx, *member, &others)?;
    }
    if state != HeldState::Returned || late || anew {
        let (by, at) = (by.unwrap_or_default(), Timestamp(at.unwrap_or_default()));
        return Err(StoreError::Decided { state, by, at }.into());
    }
    tx.prepare_cached("UPDATE notices SET state = 2 WHERE message = ?1 AND kind IN (?2, ?3) AND state = 0")?
        .execute(params![item, codes::notice(NoticeKind::Returned), codes::notice(NoticeKind::TakenBack)])?;
    let undone = Event::Undone { by: again.by.clone() };
    // One mail waits as one item: where another addendum came meanwhile, this one becomes part of it.
    if let Some(waiting) = groups::waiting_beside(tx, item)? {
        for member in &members {
            journal::append(tx, *member, again.at, &undone)?;
        }
        return groups::move_into(tx, &members, waiting, again.at);
    }
    tx.prepare_cached(
        "UPDATE held SET state = 0, decided_by = NULL, decided_at = NULL, decision = NULL, undo_until = NULL, \
         expires = ?2 WHERE item = ?1 AND state = ?3",
    )?
    .execute(params![item, again.expires.0, codes::held(HeldState::Returned)])?;
    hooks::held(tx, item, again.at.0)?;
    asks::again(tx, item, again.at)?;
    tx.prepare_cached("UPDATE messages SET prevented = 0 WHERE row = ?1")?.execute([item])?;
    for member in members {
        journal::append(tx, member, again.at, &undone)?;
    }
    Ok(())
}

/// Holds an item again whose release has not left: its copies are withdrawn, and what was to follow from it.
pub(super) fn undo_release(tx: &Connection, again: &Again) -> Result<(), Failure> {
    let item = read::row_of(tx, again.id)?;
    let found: Option<Returned> = tx
        .prepare_cached("SELECT state, undo_until, decided_by, decided_at FROM held WHERE message = ?1")?
        .query_row([item], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((state, until, by, at)) = found else {
        return Err(StoreError::NotFound(format!("{} among the held ones", again.id)).into());
    };
    let state = codes::to_held(state).unwrap_or(HeldState::Held);
    let at = Timestamp(at.unwrap_or_default());
    let decided = || StoreError::Decided { state, by: by.clone().unwrap_or_default(), at };
    if state != HeldState::Released || until.is_none_or(|until| until <= again.at.0) {
        return Err(decided().into());
    }
    let members: Vec<i64> = {
        let mut select = tx.prepare_cached("SELECT message FROM held WHERE item = ?1 AND state = ?2")?;
        let rows = select.query_map([item, codes::held(HeldState::Released)], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for member in &members {
        let open: i64 = tx
            .prepare_cached("SELECT count(*) FROM deliveries WHERE row BETWEEN ?1 AND ?2 AND state < 5")?
            .query_row([schema::base(*member), schema::last(*member)], |row| row.get(0))?;
        // All of it or nothing: a copy that is on its way stays, and so does the release.
        if withdraw_saying(tx, *member, again.at, UNDONE)? != usize::try_from(open).unwrap_or(usize::MAX) {
            return Err(decided().into());
        }
        tx.prepare_cached(
            "DELETE FROM ledger WHERE message = ?1 AND week = ?2 AND message_id = \
             (SELECT message_id FROM messages WHERE row = ?1)",
        )?
        .execute([*member, encode::week(at)])?;
    }
    tx.prepare_cached("UPDATE notices SET state = 2 WHERE message = ?1 AND kind = ?2 AND state = 0")?
        .execute(params![item, codes::notice(NoticeKind::Released)])?;
    tx.prepare_cached(
        "UPDATE held SET state = 0, decided_by = NULL, decided_at = NULL, decision = NULL, way = NULL, \
         undo_until = NULL, expires = ?2 WHERE item = ?1 AND state = ?3",
    )?
    .execute(params![item, again.expires.0, codes::held(HeldState::Released)])?;
    hooks::held(tx, item, again.at.0)?;
    asks::again(tx, item, again.at)?;
    tx.prepare_cached("UPDATE messages SET prevented = 0 WHERE row = ?1")?.execute([item])?;
    for member in members {
        journal::append(tx, member, again.at, &Event::Undone { by: again.by.clone() })?;
    }
    Ok(())
}
