//! Queries: one message, lists, searches, figures.

use super::encode::{Meta, from_json, from_people, sender_of};
use super::error::Failure;
use super::terms::{EVERYTHING, folded};
use super::{codes, keys, observed};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Address;
use crate::policy::facts::Disclosed;
use crate::records::{Reason, told};
use crate::rewrite::Delivery;
use crate::store::sql::db::{Connection, OptionalExtension, Row, params};
use crate::store::{
    Awaited, Body, HeldFilter, HeldRow, HeldState, HoldKind, Message, MessageRow, Spent, StoreError,
    StoredMessage, Summary,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The maximum number of ledger entries read for one Message-ID.
const ENTRIES_OF_ONE_ID: usize = 1_000;

/// Parses an id from a row.
pub(in crate::store) fn id(text: &str) -> Result<Id, StoreError> {
    text.parse().map_err(|error| StoreError::Unreadable(format!("{error}")))
}

pub(in crate::store) fn recipients(copy: &[u8]) -> Result<Vec<String>, StoreError> {
    let delivery =
        Delivery::from_bytes(copy).map_err(|error| StoreError::Unreadable(format!("the copy: {error}")))?;
    Ok(delivery.recipients().iter().map(|to| to.address.as_str().to_owned()).collect())
}

/// The recipients of an encoded copy for a list; none if the copy cannot be read, so that it does not hide the
/// others.
pub(in crate::store) fn recipients_or_none(copy: &[u8]) -> Vec<String> {
    recipients(copy).unwrap_or_default()
}

pub(in crate::store) fn row_of(db: &Connection, id: Id) -> Result<i64, Failure> {
    let row = db
        .prepare_cached("SELECT row FROM messages WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    row.ok_or_else(|| StoreError::NotFound(id.to_string()).into())
}

pub(in crate::store) fn id_of(db: &Connection, row: i64) -> Result<Id, Failure> {
    let text: String = db
        .prepare_cached("SELECT id FROM messages WHERE row = ?1")?
        .query_row([row], |found| found.get(0))?;
    Ok(id(&text)?)
}

/// Reads a whole message.
pub(in crate::store) fn message(db: &Connection, id: Id) -> Result<StoredMessage, Failure> {
    struct Raw {
        row: i64,
        received: i64,
        subject: String,
        message_id: String,
        file: Option<String>,
        size: i64,
        meta: String,
        needles: String,
        header: Vec<u8>,
        body: Option<Vec<u8>>,
    }
    let raw = db
        .prepare_cached(
            "SELECT m.row, m.received, m.subject, m.message_id, c.file, c.size, c.meta, c.needles, \
             c.header, c.body FROM messages m JOIN contents c ON c.message = m.row WHERE m.id = ?1",
        )?
        .query_row([id.as_str()], |row| {
            Ok(Raw {
                row: row.get(0)?,
                received: row.get(1)?,
                subject: row.get(2)?,
                message_id: row.get(3)?,
                file: row.get(4)?,
                size: row.get(5)?,
                meta: row.get(6)?,
                needles: row.get(7)?,
                header: row.get(8)?,
                body: row.get(9)?,
            })
        })
        .optional()?;
    let Some(raw) = raw else {
        row_of(db, id)?;
        return Err(StoreError::NotFound(format!("{id}: its content is past its time")).into());
    };
    let Meta { origin, envelope, verdict } = from_json(&raw.meta)?;
    let needles: Vec<Address> = from_json(&raw.needles)?;
    let body = match raw.file {
        Some(name) => Body::Stored { name, size: u64::try_from(raw.size).unwrap_or(0), as_is: false },
        None => Body::Inline(Bytes::from(raw.body.unwrap_or_default())),
    };
    Ok(StoredMessage {
        message: Message {
            id,
            received: Timestamp(raw.received),
            origin,
            envelope,
            header: Bytes::from(raw.header),
            body,
            subject: raw.subject,
            message_id: raw.message_id,
            verdict,
            needles: Arc::new(needles),
        },
        held: held_of(db, raw.row)?,
    })
}

const HELD: &str = "SELECT m.id, m.people, m.subject, m.received, h.kind, h.expires, h.reasons, h.hits, \
     h.state, h.decided_by, h.decided_at, h.decision, \
     (SELECT group_concat(a.approver, char(10)) FROM held_approvers a WHERE a.message = h.message), \
     (SELECT id FROM messages WHERE row = h.item), (SELECT id FROM messages WHERE row = h.adds_to), \
     h.members, h.awaited, h.undo_until, h.item FROM held h";
/// Its row of the message; an index may be named before it.
const ITS_MESSAGE: &str = "JOIN messages m ON m.row = h.message";

pub(in crate::store) fn held_of(db: &Connection, message: i64) -> Result<Option<HeldRow>, Failure> {
    let mut select = db.prepare_cached(&format!("{HELD} {ITS_MESSAGE} WHERE h.message = ?1"))?;
    let mut rows = select.query([message])?;
    Ok(match rows.next()? {
        Some(row) => held_or_put_aside(db, &row)?,
        None => None,
    })
}

fn held_row(db: &Connection, row: &Row<'_>) -> Result<HeldRow, Failure> {
    let (sender, mut recipients) = from_people(&row.get::<_, String>(1)?);
    let message = id(&row.get::<_, String>(0)?)?;
    let item: Option<String> = row.get(13)?;
    let item = item.map_or(Ok(message), |item| id(&item))?;
    let members: i64 = row.get(15)?;
    if members > 1 && item == message {
        recipients = all_recipients(db, row.get(18)?)?;
    }
    let awaited: Vec<Awaited> = from_json(&row.get::<_, String>(16)?)?;
    let reasons: Vec<Reason> = from_json(&row.get::<_, String>(6)?)?;
    let unknown = |what: &str| StoreError::Unreadable(format!("a held message has an unknown {what}"));
    let kind = codes::to_hold(row.get(4)?).ok_or_else(|| unknown("kind"))?;
    let (risks, reasons, reasons_ja) = told(reasons, kind);
    Ok(HeldRow {
        id: message,
        sender,
        subject: row.get(2)?,
        recipients,
        risks,
        reasons,
        reasons_ja,
        kind,
        hits: from_json(&row.get::<_, String>(7)?)?,
        received: Timestamp(row.get(3)?),
        expires: Timestamp(row.get(5)?),
        state: codes::to_held(row.get(8)?).ok_or_else(|| unknown("state"))?,
        decided_by: row.get(9)?,
        decided_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        decision: row.get(11)?,
        approvers: row.get::<_, Option<String>>(12)?.unwrap_or_default().lines().map(str::to_owned).collect(),
        item,
        addendum_to: row.get::<_, Option<String>>(14)?.map(|text| id(&text)).transpose()?,
        members: usize::try_from(members).unwrap_or(1),
        awaited: awaited.into_iter().map(|one| one.key).collect(),
        undo_until: row.get::<_, Option<i64>>(17)?.map(Timestamp),
    })
}

/// All recipients of an item, in all its transactions, each once.
pub(in crate::store) fn all_recipients(db: &Connection, item: i64) -> Result<Vec<String>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT m.people FROM held h JOIN messages m ON m.row = h.message WHERE h.item = ?1 \
         ORDER BY h.message",
    )?;
    let mut rows = select.query([item])?;
    let (mut seen, mut all) = (HashSet::new(), Vec::new());
    while let Some(row) = rows.next()? {
        for recipient in from_people(&row.get::<_, String>(0)?).1 {
            if seen.insert(super::queue::key(&recipient)) {
                all.push(recipient);
            }
        }
    }
    Ok(all)
}

/// Held items, newest first. Other members are found only by their id.
pub(in crate::store) fn held(db: &Connection, filter: &HeldFilter) -> Result<Vec<HeldRow>, Failure> {
    let mut select = db.prepare_cached(&held_text(filter))?;
    let limit = filter.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(i64::MAX);
    let mut rows = select.query(params![
        filter.id.as_ref().map(Id::as_str),
        filter.state.map(codes::held),
        filter.expired_by.map(|at| at.0),
        limit
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(held_or_put_aside(db, &row)?);
    }
    Ok(found)
}

/// The reason shown in place of reasons that cannot be read, in both languages.
pub(in crate::store) fn unreadable(error: &dyn std::fmt::Display) -> Reason {
    Reason::said(
        format!("Part of this held message cannot be read back from the database: {error}"),
        "この保留メールの一部をデータベースから読み戻せません".to_owned(),
    )
}

/// The statement for a filter; it uses each of its four parameters. The query for expired holds runs every half
/// minute and must find its rows by an index, which a condition that may be absent would prevent.
pub(in crate::store) fn held_text(filter: &HeldFilter) -> String {
    let mut index = "";
    let which = match (&filter.id, filter.state, filter.expired_by) {
        (Some(_), ..) => {
            "m.id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR h.state = ?2) AND (CAST(?3 AS BIGINT) IS NULL OR h.expires < ?3)"
        }
        (None, Some(HeldState::Held), Some(_)) => {
            index = "INDEXED BY held_open";
            "CAST(?1 AS TEXT) IS NULL AND h.state = 0 AND h.state = ?2 AND h.expires < ?3 AND h.item = h.message"
        }
        _ => {
            "CAST(?1 AS TEXT) IS NULL AND h.item = h.message AND (CAST(?2 AS BIGINT) IS NULL OR h.state = ?2) \
             AND (CAST(?3 AS BIGINT) IS NULL OR h.expires < ?3)"
        }
    };
    format!("{HELD} {index} {ITS_MESSAGE} WHERE {which} ORDER BY h.message DESC LIMIT ?4")
}

/// One row of a list. If part of it cannot be read, its reasons say so, and its columns still determine when it
/// expires. Only a row without a readable id is left out.
fn held_or_put_aside(db: &Connection, row: &Row<'_>) -> Result<Option<HeldRow>, Failure> {
    let error = match held_row(db, row) {
        Ok(found) => return Ok(Some(found)),
        Err(Failure::Sql(error)) if error.is_of_engine() => return Err(error.into()),
        Err(Failure::Sql(error)) => error.to_string(),
        Err(Failure::Refused(error)) => error.to_string(),
    };
    let text = |column| row.get::<_, String>(column).unwrap_or_default();
    tracing::error!(id = text(0), %error, "a held message cannot be read back: it is shown as far as it can be");
    let Ok(message) = id(&text(0)) else { return Ok(None) };
    let (sender, recipients) = from_people(&text(1));
    let (risks, reasons, reasons_ja) = told(vec![unreadable(&error)], HoldKind::Unsafe);
    Ok(Some(HeldRow {
        id: message,
        sender,
        subject: text(2),
        recipients,
        risks,
        reasons,
        reasons_ja,
        kind: HoldKind::Unsafe,
        hits: Vec::new(),
        received: Timestamp(row.get(3)?),
        expires: Timestamp(row.get(5)?),
        state: codes::to_held(row.get(8)?).unwrap_or(HeldState::Held),
        decided_by: row.get(9).unwrap_or_default(),
        decided_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        decision: row.get(11).unwrap_or_default(),
        approvers: text(12).lines().map(str::to_owned).collect(),
        item: id(&text(13)).unwrap_or(message),
        addendum_to: id(&text(14)).ok(),
        members: usize::try_from(row.get::<_, i64>(15)?).unwrap_or(1),
        awaited: Vec::new(),
        undo_until: row.get::<_, Option<i64>>(17)?.map(Timestamp),
    }))
}

/// The ledger's entries for these Message-IDs. A mail whose copies were all taken back or failed disclosed
/// nobody.
pub(in crate::store) fn disclosed(
    db: &Connection,
    message_ids: &[String],
) -> Result<Vec<Disclosed>, Failure> {
    let weeks: (Option<i64>, Option<i64>) = db
        .prepare_cached("SELECT (SELECT min(week) FROM ledger), (SELECT max(week) FROM ledger)")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = weeks else { return Ok(Vec::new()) };
    let mut select = db.prepare_cached(
        "SELECT disclosed FROM ledger l WHERE week = ?1 AND message_id = ?2 AND coalesce( \
         (SELECT min(state) FROM deliveries WHERE row BETWEEN l.message << 24 \
         AND (l.message << 24) + 16777215), 0) < 6 ORDER BY message LIMIT ?3",
    )?;
    let mut found = Vec::new();
    for message_id in message_ids {
        for week in first..=last {
            let mut rows = select.query(params![week, message_id, codes::number(ENTRIES_OF_ONE_ID)])?;
            while let Some(row) = rows.next()? {
                found.push(from_json(&row.get::<_, String>(0)?)?);
            }
        }
    }
    Ok(found)
}

/// A search reads at most this many messages, the newest ones.
const LOOKED_AT: i64 = 500_000;

/// Finds messages by our id, or else by Message-ID, an address, or words of the subject; newest first.
pub(in crate::store) fn find(db: &Connection, text: &str, limit: usize) -> Result<Vec<MessageRow>, Failure> {
    const COLUMNS: &str = "SELECT row, id, received, people, subject, message_id, action, keys FROM messages";
    let text = text.trim();
    let ours = text.split_once('.').map_or(text, |(message, _)| message);
    if let Ok(ours) = ours.parse::<Id>() {
        let mut select = db.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        if let Some(row) = select.query([ours.as_str()])?.next()? {
            return Ok(vec![message_row(db, &row)?]);
        }
    }
    let wanted = Sought::of(text);
    let mut select = db.prepare_cached(&format!("{COLUMNS} ORDER BY row DESC LIMIT ?1"))?;
    let mut rows = select.query([LOOKED_AT])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if found.len() == limit {
            break;
        }
        if wanted.is(&row)? {
            found.push(message_row(db, &row)?);
        }
    }
    Ok(found)
}

/// What a search looks for.
struct Sought {
    message_id: String,
    line: String,
    /// Folded like subjects; empty if nothing was asked for.
    words: String,
}

impl Sought {
    fn of(text: &str) -> Self {
        let bare = text.trim_start_matches('<').trim_end_matches('>');
        let key =
            Address::parse(bare).map_or_else(|_| bare.to_lowercase(), |address| address.key().to_owned());
        Self { message_id: bare.to_owned(), line: format!("\n{key}\n"), words: folded(text) }
    }

    fn is(&self, row: &Row<'_>) -> Result<bool, Failure> {
        let text = |column| -> Result<&str, Failure> {
            Ok(row.get_ref(column)?.as_str_or_null()?.unwrap_or_default())
        };
        if text(5)? == self.message_id {
            return Ok(true);
        }
        let keys = text(7)?;
        let people = if keys.is_empty() { text(3)? } else { keys };
        Ok(people.contains(&self.line) || (!self.words.is_empty() && folded(text(4)?).contains(&self.words)))
    }
}

fn message_row(db: &Connection, row: &Row<'_>) -> Result<MessageRow, Failure> {
    let (sender, recipients) = from_people(&row.get::<_, String>(3)?);
    let (would, would_reasons) = observed::of(db, row.get(0)?)?.unzip();
    Ok(MessageRow {
        id: id(&row.get::<_, String>(1)?)?,
        received: Timestamp(row.get(2)?),
        sender,
        recipients,
        subject: row.get(4)?,
        message_id: row.get(5)?,
        action: row.get(6)?,
        would,
        would_reasons: would_reasons.unwrap_or_default(),
    })
}

/// Figures since a time.
pub(in crate::store) fn summary(db: &Connection, since: Timestamp) -> Result<Summary, Failure> {
    // Ids begin with the time and are indexed, so they find the first row. One more hour covers a clock that
    // was set back.
    let from = Id::new(since.minus(Duration::from_hours(1)), 0);
    let mut summary = Summary::default();
    let mut actions = db.prepare_cached(
        "SELECT action, count(*), sum(exposures * prevented), min(row) FROM messages \
         WHERE id >= ?1 AND received >= ?2 GROUP BY action",
    )?;
    let mut rows = actions.query(params![from.as_str(), since.0])?;
    let mut first = i64::MAX;
    while let Some(row) = rows.next()? {
        let action: String = row.get(0)?;
        summary.exposures_prevented += codes::count(row.get(2)?);
        first = first.min(row.get(3)?);
        if action != "own" {
            summary.accepted.insert(action, codes::count(row.get(1)?));
        }
    }
    summary.held = held_by_state(db, first)?;
    deliveries(db, first, &mut summary)?;
    Ok(summary)
}

/// Held items by state: all that wait, and those decided from a message on.
pub(in crate::store) fn held_by_state(db: &Connection, first: i64) -> Result<BTreeMap<String, u64>, Failure> {
    // Each state is a range of an index. Reading the items themselves takes long where many are kept.
    let mut count = db
        .prepare_cached("SELECT count(*) FROM held_terms WHERE term = ?1 AND state = ?2 AND message >= ?3")?;
    let mut found = BTreeMap::new();
    for state in codes::HELD_STATES {
        let from = if state == HeldState::Held { 0 } else { first };
        let number = count.query_row(params![EVERYTHING, codes::held(state), from], |row| row.get(0))?;
        if number > 0 {
            found.insert(state.to_string(), codes::count(number));
        }
    }
    Ok(found)
}

/// The number of copies delivered since a time, and of their recipients.
pub(in crate::store) fn sent_since(db: &Connection, since: Timestamp) -> Result<(usize, usize), Failure> {
    let number = |number: i64| usize::try_from(number).unwrap_or(0);
    let found = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(recipients), 0) FROM deliveries WHERE state = ?1 AND ended >= ?2",
        )?
        .query_row(params![codes::DELIVERED, since.0], |row| {
            Ok((number(row.get(0)?), number(row.get(1)?)))
        })?;
    Ok(found)
}

/// Copies of clients' mail: those delivered since a time, and the open ones.
pub(in crate::store) fn spent_since(db: &Connection, since: Timestamp) -> Result<Vec<Spent>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT row, ended, due, state, copy FROM deliveries WHERE state < ?1 OR (state = ?2 AND ended >= ?3) \
         ORDER BY row",
    )?;
    let mut rows = select.query(params![codes::FIRST_FINAL, codes::DELIVERED, since.0])?;
    let mut found = Vec::new();
    // A message may have thousands of address lines, so they are read once for all its copies.
    let mut of: Option<(i64, Writer)> = None;
    while let Some(row) = rows.next()? {
        let message = keys::message_of(row.get(0)?);
        let writer = match of.take() {
            Some((known, writer)) if known == message => writer,
            _ => writer_of(db, message)?,
        };
        let sender = match &writer {
            Writer::Client(sender) => sender.clone(),
            Writer::Ourselves => {
                of = Some((message, writer));
                continue;
            }
        };
        of = Some((message, writer));
        // A waiting copy leaves when it is due; for other open copies, now is the best estimate.
        let waits = row.get::<_, i64>(3)? == codes::WAITING;
        let due: Option<i64> = if waits { row.get(2)? } else { None };
        let moment: Option<i64> = row.get(1)?;
        let copy = row.get_ref(4)?.as_blob()?;
        found.push(Spent {
            at: moment.or(due).map(Timestamp),
            sender,
            recipients: recipients_or_none(copy).iter().filter_map(|one| Address::stored(one).ok()).collect(),
        });
    }
    Ok(found)
}

/// Who a message is from.
enum Writer {
    /// A client. The address is MAIL FROM, unless that is the null sender.
    Client(Option<Address>),
    /// This relay: a notice or report.
    Ourselves,
}

fn writer_of(db: &Connection, message: i64) -> Result<Writer, Failure> {
    let mut select = db.prepare_cached("SELECT people FROM messages WHERE row = ?1 AND action <> 'own'")?;
    let mut rows = select.query([message])?;
    let Some(row) = rows.next()? else { return Ok(Writer::Ourselves) };
    let people = row.get_ref(0)?.as_str()?;
    Ok(Writer::Client(Address::stored(sender_of(people)).ok()))
}

/// Counts open deliveries of any age, and final ones of messages from `first` on.
fn deliveries(db: &Connection, first: i64, summary: &mut Summary) -> Result<(), Failure> {
    let from = if first == i64::MAX { first } else { keys::base(first) };
    let mut select = db.prepare_cached(
        "SELECT state, count(*) FROM deliveries INDEXED BY deliveries_open WHERE state < 5 GROUP BY state \
         UNION ALL SELECT state, count(*) FROM deliveries WHERE row >= ?1 AND state >= 5 GROUP BY state",
    )?;
    let mut rows = select.query([from])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = codes::to_delivery(row.get(0)?) {
            summary.deliveries.insert(state.to_string(), codes::count(row.get(1)?));
        }
    }
    Ok(())
}
