//! Claims: taking due deliveries under a lease, and what happens to leases.
//!
//! A copy that cannot be read is set aside when it is due: it is paused, with the reason as its last reply and
//! in the journal, and `queue list` shows it. If it is resumed (after an update, for example), it is tried
//! again.

use super::deliveries::{self, progress_columns};
use super::error::Failure;
use super::{codes, journal, keys, read};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::lifecycle::delivery::{self as rules, Progress};
use crate::rewrite::Delivery;
use crate::store::sql::db::{Connection, Dialect, params};
use crate::store::sql::unsure::Taken;
use crate::store::{Claim, DeliveryId, DeliveryState, Lease};

/// A claim from the writer. The caller decodes the copy.
#[derive(Debug)]
pub(in crate::store) struct RawClaim {
    row: i64,
    message: Id,
    progress: Progress,
    copy: Vec<u8>,
}

impl RawClaim {
    pub(in crate::store) fn lease(&self) -> Lease {
        Lease { delivery: DeliveryId::from_engine(self.row), token: self.progress.token }
    }

    pub(in crate::store) fn message(&self) -> Id {
        self.message
    }

    pub(in crate::store) fn decode(self) -> Result<Claim, Unread> {
        let delivery = match Delivery::from_bytes(&self.copy) {
            Ok(delivery) => delivery,
            Err(why) => {
                tracing::error!(
                    message = %self.message,
                    delivery = keys::number_of(self.row),
                    %why,
                    "a copy cannot be read back: it is put aside, and the others go on"
                );
                let (token, attempt) = (self.progress.token, self.progress.attempts);
                return Err(Unread { row: self.row, token, attempt, why: why.to_string() });
            }
        };
        Ok(Claim {
            lease: self.lease(),
            message: self.message,
            delivery,
            attempt: self.progress.attempts,
            possible_duplicate: self.progress.duplicate,
            queued: self.progress.queued,
        })
    }
}

/// A claimed copy that cannot be read.
#[derive(Debug)]
pub(in crate::store) struct Unread {
    row: i64,
    token: i64,
    attempt: u32,
    why: String,
}

/// Sets copies aside that cannot be read.
pub(in crate::store) fn put_aside(tx: &Connection, unread: &[Unread], now: Timestamp) -> Result<(), Failure> {
    for one in unread {
        let reply = format!("the copy cannot be read back from the database: {}", one.why);
        let ours = deliveries::leased(tx, one.row, one.token)?;
        let Some(ours) = ours.filter(|ours| ours.state == DeliveryState::Sending) else { continue };
        let aside = ours.put_aside(reply);
        deliveries::put(tx, one.row, &aside)?;
        let event = rules::aside(keys::number_of(one.row), &aside, one.attempt);
        journal::append(tx, keys::message_of(one.row), now, &event)?;
    }
    Ok(())
}

/// Claims due deliveries, oldest first. This includes deliveries whose lease expired, because the outcome of
/// their attempt is unknown. Those of `mine` are renewed instead: these attempts are still running, even if the
/// store was too slow to renew their leases. First it takes up those of `unsure` that are in the database.
pub(in crate::store) fn claim(
    tx: &Connection,
    now: Timestamp,
    limit: usize,
    until: Timestamp,
    mine: &[Lease],
    unsure: &[Taken],
) -> Result<Vec<RawClaim>, Failure> {
    // A node whose clock is wrong neither takes over a lease too early nor has one for too long.
    let apart = tx.apart()?;
    let (agreed, until) = (Timestamp(now.0 + apart), Timestamp(until.0 + apart));
    let mut all = take_up(tx, unsure, until)?;
    let limit = limit.saturating_sub(all.len());
    let mut claims = due(tx, now, agreed, limit)?;
    loop {
        let is_mine = |claim: &RawClaim| {
            claim.progress.state == DeliveryState::Sending && mine.contains(&claim.lease())
        };
        let running: Vec<Lease> = claims.iter().filter(|claim| is_mine(claim)).map(RawClaim::lease).collect();
        if running.is_empty() {
            break;
        }
        extend(tx, &running, until)?;
        claims = due(tx, now, agreed, limit)?;
    }
    for claim in &mut claims {
        if claim.progress.state == DeliveryState::Sending {
            interrupted(tx, claim, now, rules::LEASE_LOST)?;
        }
        claim.progress = claim.progress.clone().claimed(until);
        deliveries::put_row(tx, claim.row, &claim.progress)?;
    }
    all.extend(claims);
    Ok(all)
}

const TAKEN: &str = concat!(
    "SELECT d.row, m.id, d.copy, ",
    progress_columns!(),
    " FROM deliveries d JOIN messages m ON m.row = d.row >> 24 \
     WHERE d.row = ?1 AND d.token = ?2 AND d.state = ?3 AND m.id = ?4"
);

/// Those of these leases that were taken, and are still this node's. Their attempts have not begun.
fn take_up(tx: &Connection, unsure: &[Taken], until: Timestamp) -> Result<Vec<RawClaim>, Failure> {
    let mut all = Vec::new();
    for Taken { lease, message } in unsure {
        let mut select = match tx.dialect() {
            Dialect::Sqlite => tx.prepare_cached(TAKEN)?,
            Dialect::Postgres => {
                tx.prepare_cached(&format!("{TAKEN} AND d.node = current_setting('sekisho.node', true)"))?
            }
        };
        let row = lease.delivery.for_engine();
        let mut rows = select.query(params![row, lease.token, codes::SENDING, message.as_str()])?;
        for mut claim in collect(&mut rows)? {
            claim.progress.due = Some(until);
            deliveries::put(tx, claim.row, &claim.progress)?;
            all.push(claim);
        }
    }
    Ok(all)
}

pub(in crate::store) const DUE: &str = concat!(
    "SELECT d.row, m.id, d.copy, ",
    progress_columns!(),
    " FROM deliveries d INDEXED BY deliveries_open JOIN messages m ON m.row = d.row >> 24 \
     WHERE d.state < 5 AND d.due <= ?1 ORDER BY d.due LIMIT ?2"
);

/// The same if the node's clock (`?1`) differs from the one that leases are by (`?3`); `?4` is the later of both, so that
/// what is due later than that is not looked at.
const DUE_APART: &str = concat!(
    "SELECT d.row, m.id, d.copy, ",
    progress_columns!(),
    " FROM deliveries d INDEXED BY deliveries_open JOIN messages m ON m.row = d.row >> 24 \
     WHERE d.state < 5 AND d.due <= ?4 AND d.due <= CASE WHEN d.state = 3 THEN ?3 ELSE ?1 END \
     ORDER BY d.due LIMIT ?2"
);

fn due(tx: &Connection, now: Timestamp, agreed: Timestamp, limit: usize) -> Result<Vec<RawClaim>, Failure> {
    if agreed != now {
        let mut select = tx.prepare_cached(DUE_APART)?;
        let later = now.max(agreed);
        return collect(&mut select.query(params![now.0, codes::number(limit), agreed.0, later.0])?);
    }
    let mut select = tx.prepare_cached(DUE)?;
    let mut rows = select.query(params![now.0, codes::number(limit)])?;
    collect(&mut rows)
}

fn collect(rows: &mut crate::store::sql::db::Rows<'_>) -> Result<Vec<RawClaim>, Failure> {
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        claims.push(RawClaim {
            row: row.get(0)?,
            message: read::id(&row.get::<_, String>(1)?)?,
            copy: row.get(2)?,
            progress: deliveries::progress(&row, 3)?,
        });
    }
    Ok(claims)
}

/// Records that the outcome of an attempt is unknown.
fn interrupted(tx: &Connection, claim: &RawClaim, now: Timestamp, why: &str) -> Result<(), Failure> {
    let recipients = read::recipients_or_none(&claim.copy);
    let event = rules::interrupted(keys::number_of(claim.row), recipients, &claim.progress, why);
    journal::append(tx, keys::message_of(claim.row), now, &event)
}

/// Renews leases. Returns those that were lost.
pub(in crate::store) fn renew(
    tx: &Connection,
    leases: &[Lease],
    until: Timestamp,
) -> Result<Vec<Lease>, Failure> {
    let until = Timestamp(until.0 + tx.apart()?);
    extend(tx, leases, until)
}

fn extend(tx: &Connection, leases: &[Lease], until: Timestamp) -> Result<Vec<Lease>, Failure> {
    let mut update =
        tx.prepare_cached("UPDATE deliveries SET due = ?4 WHERE row = ?1 AND token = ?2 AND state = ?3")?;
    let mut lost = Vec::new();
    for lease in leases {
        if update.execute([lease.delivery.for_engine(), lease.token, codes::SENDING, until.0])? == 0 {
            lost.push(*lease);
        }
    }
    Ok(lost)
}

const LEASED: &str = concat!(
    "SELECT d.row, m.id, d.copy, ",
    progress_columns!(),
    " FROM deliveries d INDEXED BY deliveries_open JOIN messages m ON m.row = d.row >> 24 \
     WHERE d.state < 5 AND d.state = ?1"
);

/// After a crash: makes every delivery that was being sent (by this node, if there are several) uncertain, and
/// due at once.
pub(in crate::store) fn recover(
    tx: &Connection,
    now: Timestamp,
    node: Option<&str>,
) -> Result<usize, Failure> {
    let left = match node {
        None => collect(&mut tx.prepare_cached(LEASED)?.query([codes::SENDING])?)?,
        Some(node) => {
            let mine = format!("{LEASED} AND d.node = ?2");
            collect(&mut tx.prepare_cached(&mine)?.query(params![codes::SENDING, node])?)?
        }
    };
    for claim in &left {
        interrupted(tx, claim, now, rules::RELAY_STOPPED)?;
        deliveries::put(tx, claim.row, &claim.progress.clone().recovered(now))?;
    }
    Ok(left.len())
}

pub(in crate::store) const NEXT_DUE: &str = "SELECT (SELECT due FROM deliveries INDEXED BY deliveries_open \
     WHERE state < 5 AND due IS NOT NULL ORDER BY due LIMIT 1), (SELECT due FROM notices \
     WHERE state = 0 AND due IS NOT NULL ORDER BY due LIMIT 1)";

/// When the next delivery or notice is due. The end of a lease counts, because the delivery can then be
/// claimed.
pub(in crate::store) fn next_due(db: &Connection) -> Result<Option<Timestamp>, Failure> {
    let (delivery, notice): (Option<i64>, Option<i64>) =
        db.prepare_cached(NEXT_DUE)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(delivery.into_iter().chain(notice).min().map(Timestamp))
}
