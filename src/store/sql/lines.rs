//! Lines of a list of held messages, as its page shows them.

use super::encode::{from_json, from_people, to_json};
use super::error::Failure;
use super::terms::AS_IS;
use super::{codes, read};
use crate::clock::Timestamp;
use crate::records::{Reason, told};
use crate::store::sql::db::{Connection, Row, params};
use crate::store::{HeldLine, StoreError};
use std::collections::HashMap;

/// The number of recipients that a line shows.
const SHOWN: usize = 5;

/// The lines of these messages, in this order; messages that are gone have none.
pub(super) fn of(db: &Connection, messages: &[i64]) -> Result<Vec<HeldLine>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT m.id, m.people, m.subject, m.received, m.exposures, h.kind, h.expires, h.reasons, h.state, \
         h.decided_by, h.decided_at, h.decision, h.members, h.author, h.files, \
         EXISTS (SELECT 1 FROM held_terms t WHERE t.message = h.message AND t.term = ?2), h.message \
         FROM held h JOIN messages m ON m.row = h.message \
         WHERE h.message IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
    )?;
    let mut rows = select.query(params![to_json(&messages)?, AS_IS])?;
    let mut lines = HashMap::new();
    while let Some(row) = rows.next()? {
        let message = row.get(16)?;
        lines.insert(message, read_line(db, message, &row)?);
    }
    Ok(messages.iter().filter_map(|message| lines.remove(message)).collect())
}

fn read_line(db: &Connection, message: i64, row: &Row<'_>) -> Result<HeldLine, Failure> {
    let (sender, mut recipients) = from_people(&row.get::<_, String>(1)?);
    if row.get::<_, i64>(12)? > 1 {
        recipients = read::all_recipients(db, message)?;
    }
    let reasons: Vec<Reason> = from_json(&row.get::<_, String>(7)?).unwrap_or_else(|error| {
        tracing::error!(%error, "why a message is held cannot be read back");
        vec![read::unreadable(&error)]
    });
    let unknown = |what: &str| StoreError::Unreadable(format!("a held message has an unknown {what}"));
    let kind = codes::to_hold(row.get(5)?).ok_or_else(|| unknown("kind"))?;
    let (risks, reasons, reasons_ja) = told(reasons, kind);
    let recipient_count = recipients.len();
    recipients.truncate(SHOWN);
    let files: String = row.get(14)?;
    Ok(HeldLine {
        id: read::id(&row.get::<_, String>(0)?)?,
        sender,
        author: row.get(13)?,
        files: files.lines().count(),
        subject: String::from_utf8_lossy(row.get_ref(2)?.as_bytes()?).into_owned(),
        recipients,
        recipient_count,
        exposures: codes::count(row.get(4)?),
        risks,
        reasons,
        reasons_ja,
        kind,
        received: Timestamp(row.get(3)?),
        expires: Timestamp(row.get(6)?),
        state: codes::to_held(row.get(8)?).ok_or_else(|| unknown("state"))?,
        decided_by: row.get(9)?,
        decided_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        decision: row.get(11)?,
        asked: row.get(15)?,
    })
}
