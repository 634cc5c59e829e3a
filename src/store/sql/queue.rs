//! The queue for operators: lists, and the commands retry, drop, pause and resume.

use super::deliveries::{self, progress_columns};
use super::encode::sender_of;
use super::error::Failure;
use super::{codes, journal, keys, notices, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::lifecycle::delivery::Progress;
use crate::message::Address;
use crate::store::sql::db::{Connection, Row, params};
use crate::store::{DeliveryState, QueueChange, QueueFilter, QueueRow, StoreError};
use std::collections::BTreeMap;

/// The maximum number of deliveries changed in one transaction, so that commits of mail do not wait long for
/// it.
pub(in crate::store) const BATCH: usize = 250;

const COLUMNS: &str =
    concat!("SELECT d.row, m.id, m.people, m.received, d.copy, ", progress_columns!(), " FROM deliveries d");
/// The index of the first progress column among these.
const PROGRESS: usize = 5;
const JOIN: &str = "JOIN messages m ON m.row = d.row >> 24";

/// A parsed filter.
pub(in crate::store) struct Wanted {
    /// Keys of deliveries, both ends included.
    range: (i64, i64),
    open_only: bool,
    state: Option<i64>,
    sender: Option<String>,
    recipient: Option<String>,
    before: Option<i64>,
}

impl Wanted {
    pub(in crate::store) fn of(db: &Connection, filter: &QueueFilter) -> Result<Self, Failure> {
        let range = match &filter.id {
            Some(text) => range(db, text)?,
            None => (0, i64::MAX),
        };
        let state = filter.state.map(codes::delivery);
        Ok(Self {
            range,
            open_only: state.map_or(!filter.all, |state| state < codes::FIRST_FINAL),
            state,
            sender: filter.sender.as_deref().map(key),
            recipient: filter.recipient.as_deref().map(key),
            before: filter.before.map(|at| at.0),
        })
    }

    /// Whether a row matches. The copy is decoded only if the filter names a recipient.
    fn matches(&self, row: &Row<'_>) -> Result<bool, Failure> {
        let state: i64 = row.get(PROGRESS)?;
        if self.state.is_some_and(|wanted| wanted != state)
            || (self.open_only && state >= codes::FIRST_FINAL)
            || self.before.is_some_and(|before| row.get(3).is_ok_and(|at: i64| at >= before))
        {
            return Ok(false);
        }
        if let Some(sender) = &self.sender
            && key(sender_of(row.get_ref(2)?.as_str()?)) != *sender
        {
            return Ok(false);
        }
        let Some(recipient) = &self.recipient else { return Ok(true) };
        let recipients = read::recipients_or_none(row.get_ref(4)?.as_blob()?);
        Ok(recipients.iter().any(|one| key(one) == *recipient))
    }
}

/// The comparison form of an address, or of other text that was typed (`<>` is the null sender).
pub(in crate::store) fn key(text: &str) -> String {
    let bare = text.trim().trim_start_matches('<').trim_end_matches('>');
    Address::parse(bare).map_or_else(|_| bare.to_lowercase(), |address| address.key().to_owned())
}

/// The deliveries that `MESSAGE` or `MESSAGE.N` refers to.
fn range(db: &Connection, text: &str) -> Result<(i64, i64), Failure> {
    let unknown = || StoreError::NotFound(text.to_owned());
    let (message, number) = match text.split_once('.') {
        Some((message, number)) => (message, Some(number.parse::<i64>().map_err(|_| unknown())?)),
        None => (text, None),
    };
    let message = read::row_of(db, message.parse::<Id>().map_err(|_| unknown())?)?;
    match number {
        None => Ok((keys::base(message), keys::last(message))),
        Some(number) if number > 0 && keys::message_of(keys::base(message) + number) == message => {
            let row = keys::base(message) + number;
            Ok((row, row))
        }
        Some(_) => Err(unknown().into()),
    }
}

/// Calls `take` for each matching delivery, oldest first, until it returns `false`. This may read every row, so
/// it is work for a reader.
fn each(
    db: &Connection,
    wanted: &Wanted,
    mut take: impl FnMut(&Row<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let everything = wanted.range == (0, i64::MAX);
    let text = if everything && wanted.open_only {
        // The index of open deliveries stays small, however long the history is.
        format!(
            "{COLUMNS} INDEXED BY deliveries_open {JOIN} WHERE d.state < 5 AND d.row BETWEEN ?1 AND ?2 \
             ORDER BY d.row"
        )
    } else {
        format!("{COLUMNS} {JOIN} WHERE d.row BETWEEN ?1 AND ?2 ORDER BY d.row")
    };
    let mut select = db.prepare_cached(&text)?;
    let mut rows = select.query([wanted.range.0, wanted.range.1])?;
    while let Some(row) = rows.next()? {
        if wanted.matches(&row)? && !take(&row)? {
            break;
        }
    }
    Ok(())
}

/// Deliveries that match the filter, oldest first.
pub(in crate::store) fn list(db: &Connection, filter: &QueueFilter) -> Result<Vec<QueueRow>, Failure> {
    let wanted = Wanted::of(db, filter)?;
    let limit = filter.limit.unwrap_or(usize::MAX);
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    each(db, &wanted, |row| {
        found.push(queue_row(row)?);
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// All deliveries of a message, in order.
pub(in crate::store) fn of_message(db: &Connection, id: Id) -> Result<Vec<QueueRow>, Failure> {
    list(db, &QueueFilter { id: Some(id.to_string()), all: true, ..QueueFilter::default() })
}

fn queue_row(row: &Row<'_>) -> Result<QueueRow, Failure> {
    let message = read::id(&row.get::<_, String>(1)?)?;
    let Progress { state, due, attempts, reply, duplicate, .. } = deliveries::progress(row, PROGRESS)?;
    Ok(QueueRow {
        id: format!("{message}.{}", keys::number_of(row.get(0)?)),
        message,
        sender: sender_of(row.get_ref(2)?.as_str()?).to_owned(),
        recipients: read::recipients_or_none(row.get_ref(4)?.as_blob()?),
        state,
        attempts,
        last_reply: reply,
        // While a delivery is being sent (also if it was dropped meanwhile), this is the end of its lease.
        due: due.filter(|_| !matches!(state, DeliveryState::Sending | DeliveryState::Dropped)),
        received: Timestamp(row.get(3)?),
        possible_duplicate: duplicate,
        would: None,
    })
}

/// The keys of the deliveries that match the filter and that a change applies to, oldest first.
pub(in crate::store) fn pick(
    db: &Connection,
    filter: &QueueFilter,
    change: QueueChange,
) -> Result<Vec<i64>, Failure> {
    let wanted = Wanted::of(db, filter)?;
    let limit = filter.limit.unwrap_or(usize::MAX);
    let mut picked = Vec::new();
    each(db, &wanted, |row| {
        // Whether a change applies does not depend on the time.
        let concerned = deliveries::progress(row, PROGRESS)?.changed(change, Timestamp(0)).is_some();
        if concerned && picked.len() < limit {
            picked.push(row.get(0)?);
        }
        Ok(picked.len() < limit)
    })?;
    Ok(picked)
}

/// Changes those of these deliveries that still match the filter. Returns how many.
pub(in crate::store) fn change(
    tx: &Connection,
    filter: &QueueFilter,
    change: QueueChange,
    by: &str,
    now: Timestamp,
    picked: &[i64],
) -> Result<usize, Failure> {
    let wanted = Wanted::of(tx, filter)?;
    let mut look = tx.prepare_cached(&format!("{COLUMNS} {JOIN} WHERE d.row = ?1"))?;
    let mut messages: BTreeMap<i64, usize> = BTreeMap::new();
    for row in picked {
        let mut found = look.query([row])?;
        let Some(found) = found.next()? else { continue };
        if !wanted.matches(&found)? {
            continue;
        }
        if let Some(next) = deliveries::progress(&found, PROGRESS)?.changed(change, now) {
            deliveries::put(tx, *row, &next)?;
            *messages.entry(keys::message_of(*row)).or_default() += 1;
        }
    }
    let changed = messages.values().sum();
    for (message, deliveries) in messages {
        let verb = verb(change).to_owned();
        journal::append(tx, message, now, &Event::Queue { by: by.to_owned(), verb, deliveries })?;
        if change == QueueChange::Drop {
            notices::settle(tx, message, now)?;
        }
    }
    Ok(changed)
}

fn verb(change: QueueChange) -> &'static str {
    match change {
        QueueChange::Retry => "retry",
        QueueChange::Drop => "drop",
        QueueChange::Pause => "pause",
        QueueChange::Resume => "resume",
    }
}

/// The write that `ready` tests the store with.
pub(in crate::store) fn probe(tx: &Connection) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE probe SET beat = beat + 1 WHERE row = 1")?.execute(params![])?;
    Ok(())
}
