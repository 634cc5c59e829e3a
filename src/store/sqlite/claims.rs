//! Claims: taking due deliveries under a lease, and what becomes of leases.
//!
//! A copy that cannot be read back is put aside when it would be sent: paused, with the reason as its
//! last reply and in the journal. `queue list` shows it; resumed (after an update, say) it is tried again.

use super::error::Failure;
use super::{codes, journal, read, schema};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::journal::Event;
use crate::rewrite::Delivery;
use crate::store::{Claim, DeliveryState, Lease};
use rusqlite::{Connection, params};

/// A claim as the writer hands it over: the copy is decoded by whoever asked.
#[derive(Debug)]
pub(super) struct RawClaim {
    row: i64,
    message: Id,
    state: i64,
    token: i64,
    attempt: u32,
    duplicate: bool,
    queued: i64,
    copy: Vec<u8>,
}

impl RawClaim {
    pub(super) fn decode(self) -> Result<Claim, Unread> {
        let delivery = match Delivery::from_bytes(&self.copy) {
            Ok(delivery) => delivery,
            Err(why) => {
                let (row, token) = (self.row, self.token);
                tracing::error!(
                    message = %self.message,
                    delivery = schema::number_of(row),
                    %why,
                    "a copy cannot be read back: it is put aside, and the others go on"
                );
                return Err(Unread { row, token, attempt: self.attempt, why: why.to_string() });
            }
        };
        Ok(Claim {
            lease: Lease { delivery: self.row, token: self.token },
            message: self.message,
            delivery,
            attempt: self.attempt,
            possible_duplicate: self.duplicate,
            queued: Timestamp(self.queued),
        })
    }
}

/// A claimed copy that cannot be read back.
#[derive(Debug)]
pub(super) struct Unread {
    row: i64,
    token: i64,
    attempt: u32,
    why: String,
}

/// Puts copies aside that cannot be read back.
pub(super) fn put_aside(tx: &Connection, unread: &[Unread], now: Timestamp) -> Result<(), Failure> {
    for one in unread {
        let reply = format!("the copy cannot be read back from the database: {}", one.why);
        let updated = tx
            .prepare_cached(
                "UPDATE deliveries SET state = ?3, due = NULL, attempts = attempts - 1, reply = ?4 \
                 WHERE row = ?1 AND token = ?2 AND state = ?5",
            )?
            .execute(params![one.row, one.token, codes::PAUSED, reply, codes::SENDING])?;
        if updated == 0 {
            continue;
        }
        let event = Event::Attempt {
            delivery: schema::number_of(one.row),
            recipients: Vec::new(),
            state: DeliveryState::Paused.to_string(),
            reply,
            attempt: one.attempt,
            possible_duplicate: false,
        };
        journal::append(tx, schema::message_of(one.row), now, &event)?;
    }
    Ok(())
}

/// Takes due deliveries, oldest first. One whose lease ran out is taken too: nobody knows how that
/// attempt ended. But the `mine` are still under way, whatever the store was too slow to renew: theirs
/// are lengthened.
pub(super) fn claim(
    tx: &Connection,
    now: Timestamp,
    limit: usize,
    until: Timestamp,
    mine: &[Lease],
) -> Result<Vec<RawClaim>, Failure> {
    renew(tx, mine, until)?;
    let mut claims = due(tx, now, limit)?;
    let mut take = tx.prepare_cached(
        "UPDATE deliveries SET state = ?2, due = ?3, token = ?4, attempts = ?5, duplicate = ?6 WHERE row = ?1",
    )?;
    for claim in &mut claims {
        if claim.state == codes::SENDING {
            interrupted(tx, claim, now, "the lease ran out before the attempt was recorded")?;
            claim.duplicate = true;
        }
        claim.token += 1;
        claim.attempt += 1;
        take.execute(params![
            claim.row,
            codes::SENDING,
            until.0,
            claim.token,
            claim.attempt,
            claim.duplicate
        ])?;
    }
    Ok(claims)
}

pub(super) const DUE: &str = "SELECT d.row, m.id, d.state, d.token, d.attempts, d.duplicate, d.queued, d.copy \
     FROM deliveries d INDEXED BY deliveries_open JOIN messages m ON m.row = d.row >> 24 \
     WHERE d.state < 5 AND d.due <= ?1 ORDER BY d.due LIMIT ?2";

fn due(tx: &Connection, now: Timestamp, limit: usize) -> Result<Vec<RawClaim>, Failure> {
    let mut select = tx.prepare_cached(DUE)?;
    let mut rows = select.query(params![now.0, codes::number(limit)])?;
    collect(&mut rows)
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<RawClaim>, Failure> {
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        claims.push(RawClaim {
            row: row.get(0)?,
            message: read::id(&row.get::<_, String>(1)?)?,
            state: row.get(2)?,
            token: row.get(3)?,
            attempt: row.get(4)?,
            duplicate: row.get(5)?,
            queued: row.get(6)?,
            copy: row.get(7)?,
        });
    }
    Ok(claims)
}

/// Writes down that nobody knows how an attempt ended.
fn interrupted(tx: &Connection, claim: &RawClaim, now: Timestamp, why: &str) -> Result<(), Failure> {
    let event = Event::Attempt {
        delivery: schema::number_of(claim.row),
        recipients: read::recipients_or_none(&claim.copy),
        state: DeliveryState::Uncertain.to_string(),
        reply: why.to_owned(),
        attempt: claim.attempt,
        possible_duplicate: claim.duplicate,
    };
    journal::append(tx, schema::message_of(claim.row), now, &event)
}

/// Lengthens leases; gives back those that are no longer ours.
pub(super) fn renew(tx: &Connection, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, Failure> {
    let mut update =
        tx.prepare_cached("UPDATE deliveries SET due = ?4 WHERE row = ?1 AND token = ?2 AND state = ?3")?;
    let mut lost = Vec::new();
    for lease in leases {
        if update.execute([lease.delivery, lease.token, codes::SENDING, until.0])? == 0 {
            lost.push(*lease);
        }
    }
    Ok(lost)
}

/// After a crash: whatever was being sent is uncertain, and due at once.
pub(super) fn recover(tx: &Connection, now: Timestamp) -> Result<usize, Failure> {
    let left = {
        let mut select = tx.prepare_cached(
            "SELECT d.row, m.id, d.state, d.token, d.attempts, d.duplicate, d.queued, d.copy \
             FROM deliveries d INDEXED BY deliveries_open JOIN messages m ON m.row = d.row >> 24 \
             WHERE d.state < 5 AND d.state = ?1",
        )?;
        let mut rows = select.query([codes::SENDING])?;
        collect(&mut rows)?
    };
    let mut update =
        tx.prepare_cached("UPDATE deliveries SET state = ?2, due = ?3, duplicate = 1 WHERE row = ?1")?;
    for claim in &left {
        interrupted(tx, claim, now, "the relay stopped while this copy was on its way")?;
        update.execute([claim.row, codes::UNCERTAIN, now.0])?;
    }
    Ok(left.len())
}

pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM (SELECT * FROM (SELECT due FROM deliveries \
     INDEXED BY deliveries_open WHERE state < 5 AND due IS NOT NULL ORDER BY due LIMIT 1) UNION ALL SELECT * \
     FROM (SELECT due FROM notices WHERE state = 0 AND due IS NOT NULL ORDER BY due LIMIT 1))";

/// When the next delivery or notice becomes due (the end of a lease counts: after it the delivery
/// can be claimed).
pub(super) fn next_due(db: &Connection) -> Result<Option<Timestamp>, Failure> {
    let first: Option<i64> = db.prepare_cached(NEXT_DUE)?.query_row([], |row| row.get(0))?;
    Ok(first.map(Timestamp))
}
