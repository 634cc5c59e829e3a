//! Taking back delayed mail that has not left, and undoing that; undoing the return of a held mail.

use super::encode::HoldRow;
use super::error::Failure;
use super::transactions::whole_mail;
use super::{
    accept, asks, decide, deliveries, effects, groups, hooks, journal, notices, read, repeats, terms,
};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::lifecycle::deciding::{self, Undo, Withdrawn};
use crate::lifecycle::delivery::TAKEN_BACK;
use crate::lifecycle::repeats as rules;
use crate::lifecycle::taking;
use crate::message::Fork;
use crate::store::forks::{Again, HoldWaiting};
use crate::store::sql::db::{Connection, OptionalExtension};
use crate::store::{HeldState, StoreError};

/// Takes back the waiting copies of a delayed mail: those without an attempt that are not yet due. Returns how
/// many.
pub(in crate::store) fn take(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut copies = Vec::new();
    for message in whole_mail(tx, id)? {
        copies.push((message, withdraw(tx, message, at)?));
    }
    effects::write(tx, taking::taken_back(read::row_of(tx, id)?, &copies, by, at), at)?;
    Ok(copies.iter().map(|(_, copies)| copies).sum())
}

fn withdraw(tx: &Connection, message: i64, at: Timestamp) -> Result<usize, Failure> {
    deliveries::change(tx, message, |copy| copy.withdrawn(at, TAKEN_BACK))
}

/// Sends the waiting copies of a delayed mail now: those without an attempt that are not yet due. Returns how
/// many.
pub(in crate::store) fn send_now(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut all = 0;
    for message in whole_mail(tx, id)? {
        let copies = deliveries::change(tx, message, |copy| copy.sent_now(at))?;
        if copies > 0 {
            journal::append(tx, message, at, &taking::sent_now(by))?;
        }
        all += copies;
    }
    Ok(all)
}

/// Holds the waiting copies of a delayed mail: its first transaction becomes the item, the others its members.
pub(in crate::store) fn hold_waiting(
    tx: &Connection,
    wish: &HoldWaiting,
    row: &HoldRow,
) -> Result<usize, Failure> {
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

/// Takes back a fork that arrives after its delayed mail was taken back.
pub(in crate::store) fn like_its_first(
    tx: &Connection,
    message: i64,
    first: i64,
    at: Timestamp,
) -> Result<(), Failure> {
    let by: Option<String> = tx
        .prepare_cached("SELECT by FROM taken WHERE message = ?1 AND undone = 0")?
        .query_row([first], |row| row.get(0))
        .optional()?;
    let Some(by) = by else { return Ok(()) };
    let copies = withdraw(tx, message, at)?;
    effects::write(tx, taking::taken_back_late(message, copies, &by, at), at)
}

/// Whether a message was sent again since, in one of these transactions of its mail.
fn sent_again(tx: &Connection, message: i64, whole_mail: &[i64]) -> Result<bool, Failure> {
    let mut select = tx.prepare_cached("SELECT fork, coalesce(keys, people) FROM messages WHERE row = ?1")?;
    let mut load = |row: i64| -> Result<(Option<Fork>, String), Failure> {
        let (fork, people) =
            select.query_row([row], |found| Ok((found.get::<_, Option<Vec<u8>>>(0)?, found.get(1)?)))?;
        Ok((fork.and_then(|octets| Fork::from_octets(&octets)), people))
    };
    let (fork, people) = load(message)?;
    let later = whole_mail.iter().filter(|other| **other > message);
    let later: Vec<(Option<Fork>, String)> = later.map(|other| load(*other)).collect::<Result<_, _>>()?;
    let later = later.iter().map(|(fork, people)| (*fork, repeats::recipients(people)));
    Ok(rules::sent_again(fork, repeats::recipients(&people), later))
}

/// Sends a delayed mail that was taken back after all: when it was due before, or now. Returns how many copies.
pub(in crate::store) fn untake(tx: &Connection, id: Id, by: &str, at: Timestamp) -> Result<usize, Failure> {
    let mut all = 0;
    let whole = whole_mail(tx, id)?;
    for message in whole.iter().copied() {
        let mut taken = tx.prepare_cached("SELECT at FROM taken WHERE message = ?1 AND undone = 0")?;
        let taken: Option<i64> = taken.query_row([message], |row| row.get(0)).optional()?;
        let Some(taken) = taken.map(Timestamp) else { continue };
        if !taking::can_be_undone(taken, at, sent_again(tx, message, &whole)?) {
            continue;
        }
        tx.prepare_cached("UPDATE taken SET undone = 1 WHERE message = ?1")?.put([message])?;
        all += deliveries::change(tx, message, |copy| copy.restored(at))?;
        journal::append(tx, message, at, &Event::Undone { by: by.to_owned() })?;
    }
    Ok(all)
}

/// Holds an item again that its sender took back.
pub(in crate::store) fn hold_again(tx: &Connection, again: &Again) -> Result<(), Failure> {
    let item = read::row_of(tx, again.id)?;
    let hold = decide::hold(tx, item, again.id)?;
    let members = groups::members(tx, item, HeldState::Returned)?;
    // Transactions that joined the item after it was taken back may have been sent again since, too.
    let mut others = whole_mail(tx, again.id)?;
    others.retain(|message| !members.contains(message));
    let mut anew = false;
    for member in &members {
        anew |= sent_again(tx, *member, &others)?;
    }
    let waiting = groups::waiting_beside(tx, item)?;
    let effects = deciding::hold_again(item, &hold, members, undo(again), anew, waiting);
    effects::write(tx, effects.map_err(StoreError::from)?, again.at)?;
    if waiting.is_none() {
        asks::again(tx, item, again.at)?;
    }
    Ok(())
}

fn undo(again: &Again) -> Undo<'_> {
    Undo { by: &again.by, at: again.at, expires: again.expires }
}

/// Holds an item again whose release has not left: withdraws its copies, and what was to follow from it.
pub(in crate::store) fn undo_release(tx: &Connection, again: &Again) -> Result<(), Failure> {
    let item = read::row_of(tx, again.id)?;
    let hold = decide::hold(tx, item, again.id)?;
    let released = hold.decided_at.unwrap_or(Timestamp(0));
    let whole = whole_mail(tx, again.id)?;
    let (mut members, mut anew) = (Vec::new(), false);
    for member in groups::members(tx, item, HeldState::Released)? {
        let mut copies = Withdrawn::default();
        deliveries::change(tx, member, |copy| {
            let is_open = !copy.state.is_final();
            copies.open += usize::from(is_open || copy.was_tried_since(released));
            let undone = copy.undone(again.at);
            copies.withdrawn += usize::from(is_open && undone.is_some());
            undone
        })?;
        members.push((member, copies));
        // A copy that an operator dropped may have been sent again, also as a member of this item.
        anew |= sent_again(tx, member, &whole)?;
    }
    let waiting = groups::waiting_beside(tx, item)?;
    let effects = deciding::undo_release(item, &hold, &members, undo(again), anew, waiting);
    effects::write(tx, effects.map_err(StoreError::from)?, again.at)?;
    if waiting.is_none() {
        asks::again(tx, item, again.at)?;
    }
    Ok(())
}
