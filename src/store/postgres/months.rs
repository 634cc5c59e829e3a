//! Contents and the journal are parted by month, so that the space of a month that was purged comes back at once.
//!
//! Both are keyed by the numbers of messages, and the numbers of a month begin at one of its own ([`Month::base`]): so
//! the bounds of a month's part are known before it begins, and never move. Each relay lets the numbers go on at those
//! of a new month when it notes the time ([`turn`]), but only once that month has its parts; until then rows stand
//! with those of the month before. So do those of a relay that has not heard of the new month, or of an older version.
//! For any other number there is a rest, which is empty unless something went wrong. So no clock and no failure here
//! keeps a message out.
//!
//! The parts of the next months are made when a relay starts and when it purges ([`ahead`]). A purge takes away those
//! of past months of which nothing is left ([`clear`]).

use super::connect::{Place, Use};
use super::session::Session;
use crate::clock::Timestamp;
use crate::store::sql::db::{Connection, Value, params};
use crate::store::sql::error::{Error, Failure};
use crate::store::sql::keys::NUMBER_BITS;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A month has 2 to this power of numbers. If it needs more, it goes on with those of the next.
const BITS: u32 = 30;
/// The days from the Unix epoch to the first month, January 2026.
const DAYS_BEFORE: i64 = 20_454;
const DAY: i64 = 86_400_000;
/// The last month with numbers of its own: those of its journal, and the bound behind them, are below 2^63.
const LAST: i64 = 510;
/// For how many months after the present one parts are made ahead.
const AHEAD: i64 = 2;

/// Once the lock of all writers is taken, a change of the tables waits for readers, and lasts, at most so long: mail
/// waits for it. Whatever takes longer is tried again at the next purge.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '500ms'";

/// The tables that are parted, the column of their key, and by how much that is shifted.
const TABLES: [(&str, &str, u32); 2] = [("contents", "message", 0), ("journal", "row", NUMBER_BITS)];

/// The highest number that a message has, or had before it was purged.
const REACHED: &str =
    "greatest((SELECT row FROM messages ORDER BY row DESC LIMIT 1), (SELECT message FROM last_purged))";

/// A month: how many came before it since January 2026, which stands for all before it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Month(i64);

impl Month {
    /// The month of a time, in UTC.
    pub(in crate::store) fn of(at: Timestamp) -> Self {
        let (mut days, mut month) = (at.0.div_euclid(DAY) - DAYS_BEFORE, Self(0));
        while month.0 < LAST && days >= month.days() {
            days -= month.days();
            month = month.after(1);
        }
        month
    }

    /// The first number of its messages.
    pub(in crate::store) fn base(self) -> i64 {
        self.0 << BITS
    }

    pub(super) fn after(self, months: i64) -> Self {
        Self(self.0 + months)
    }

    /// Until 2099, a year that four divides is a leap year.
    fn days(self) -> i64 {
        match self.0 % 12 {
            1 if (self.0 / 12 + 2026) % 4 == 0 => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        }
    }

    pub(super) fn begins(self) -> Timestamp {
        let days: i64 = (0..self.0).map(|month| Self(month).days()).sum();
        Timestamp((DAYS_BEFORE + days) * DAY)
    }

    /// The name of a table's part for it.
    pub(super) fn part(self, table: &str) -> String {
        format!("{table}_{}_{:02}", 2026 + self.0 / 12, self.0 % 12 + 1)
    }
}

/// Lets the numbers of messages go on at those of the month, if it has begun by the database's clock and has its parts.
/// Other relays follow as soon as they see such a number, or when they note the time themselves. After a clock was set
/// back, nothing happens: numbers only grow.
pub(in crate::store) fn turn(tx: &Connection, now: Timestamp) -> Result<(), Failure> {
    let month = Month::of(now);
    let Some(draft) = tx.draft().filter(|draft| draft.month.get() < Some(month)) else { return Ok(()) };
    let last_before = month.base() - 1;
    tx.prepare_cached(
        "UPDATE last_purged SET message = ?1 WHERE message < ?1 AND now_in_millis() >= ?2 \
         AND to_regclass(?3) IS NOT NULL AND to_regclass(?4) IS NOT NULL",
    )?
    .execute(params![last_before, month.begins().0, month.part("contents"), month.part("journal")])?;
    if tx.prepare_cached("SELECT 1 FROM last_purged WHERE message >= ?1")?.exists([last_before])? {
        tx.forget_numbers();
        draft.month.set(Some(month));
    }
    Ok(())
}

/// Looks after the parts, by connections of its own.
#[derive(Clone)]
pub(in crate::store) struct Months {
    place: Arc<Place>,
    node: String,
}

impl Months {
    pub(super) fn new(place: &Arc<Place>, node: &str) -> Self {
        Self { place: Arc::clone(place), node: node.to_owned() }
    }

    /// Makes and takes away parts. What fails is logged, and tried again the next time. It blocks.
    pub(in crate::store) fn look_after(&self, now: Timestamp) {
        match self.place.connect(Use::Setup, &self.node) {
            Ok(session) => {
                ahead(&session, now);
                clear(&session);
            }
            Err(error) => tracing::warn!(%error, "the parts of the next months are not looked after"),
        }
    }
}

/// A part of a table.
struct Part {
    table: &'static str,
    key: &'static str,
    name: String,
    /// The messages from this one on; `None` for those from the beginning, and the rest.
    from: Option<i64>,
    /// The messages below this one; `None` for the rest.
    below: Option<i64>,
    /// Whether it has any space.
    spacious: bool,
}

/// The parts of all tables.
fn parts(session: &Session) -> Result<Vec<Part>, Error> {
    let mut all = Vec::new();
    for (table, key, shift) in TABLES {
        let rows = session.query(
            "SELECT c.relname::text, (substring(bound FROM 'FROM \\([^0-9M]*([0-9]+)'))::BIGINT >> ?2::INT, \
             (substring(bound FROM 'TO \\([^0-9M]*([0-9]+)'))::BIGINT >> ?2::INT, pg_relation_size(c.oid) > 0 \
             FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, pg_get_expr(c.relpartbound, c.oid) bound \
             WHERE i.inhparent = to_regclass(?1) ORDER BY c.relname",
            &[Value::Text(table), Value::Integer(shift.into())],
        )?;
        all.extend(rows.iter().map(|row| Part {
            table,
            key,
            name: row.get(0),
            from: row.get(1),
            below: row.get(2),
            spacious: row.get(3),
        }));
    }
    Ok(all)
}

/// Makes the parts of this month and the next ones, unless they are there; and those that numbers come to if they are
/// ahead of the month, because one had more mail than numbers.
pub(super) fn ahead(session: &Session, now: Timestamp) {
    make(session, now, false);
}

/// The same for an empty database into which a store is copied: its messages may be of any month, and their parts could
/// not be made once they stand in the rest.
pub(super) fn for_copying(session: &Session) {
    make(session, Timestamp(i64::MAX), true);
}

fn make(session: &Session, now: Timestamp, all: bool) {
    let there = wanted(session, now).and_then(|months| Ok((months, parts(session)?)));
    let (mut months, parts) = match there {
        Ok(there) => there,
        Err(error) => return tracing::warn!(%error, "the parts of the journal cannot be listed"),
    };
    if all
        && let (Some(first), Some(last)) =
            (parts.iter().filter_map(|part| part.below).min(), months.last().copied())
    {
        months.extend((first >> BITS..last.0).map(Month));
    }
    for (table, _, shift) in TABLES {
        for month in &months {
            let (from, below) = (month.base(), month.after(1).base());
            let overlaps = |part: &Part| {
                part.table == table
                    && part.below.is_some_and(|other| other > from)
                    && part.from.is_none_or(|other| other < below)
            };
            if parts.iter().any(overlaps) {
                continue;
            }
            let name = month.part(table);
            let attach = format!(
                "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({}) TO ({})",
                from << shift,
                below << shift
            );
            let made =
                change(session, &format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"), |session| {
                    session.batch(&attach)
                });
            noted("made", &name, made);
        }
    }
}

/// The months that want parts. The present one is that by the relay's clock or the database's, whichever is behind: if
/// one of them is wrong, no month is taken that did not begin.
fn wanted(session: &Session, now: Timestamp) -> Result<BTreeSet<Month>, Error> {
    let rows = session.query(&format!("SELECT now_in_millis(), {REACHED}"), &[])?;
    let (theirs, reached): (i64, i64) = rows.first().map_or((now.0, 0), |row| (row.get(0), row.get(1)));
    let (present, numbered) = (Month::of(Timestamp(now.0.min(theirs))), Month(reached >> BITS));
    let ahead = |month: Month| (0..=AHEAD).map(move |months| month.after(months));
    Ok([present, present.max(numbered)].into_iter().flat_map(ahead).filter(|month| month.0 <= LAST).collect())
}

/// Takes away the parts of past months of which nothing is left. That of all before the first month stays, for a copied
/// store may fill it, and so does the rest; their space is freed.
pub(super) fn clear(session: &Session) {
    let parts = match parts(session) {
        Ok(parts) => parts,
        Err(error) => return tracing::warn!(%error, "the parts of the journal cannot be listed"),
    };
    for part in parts {
        match is_over(session, &part) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => {
                tracing::debug!(%error, part = part.name, "whether a part of the journal is empty is not known");
                continue;
            }
        }
        let taken = change(session, "", |session| take(session, &part));
        noted("taken away", &part.name, taken);
    }
}

/// Whether nothing is left in a part, and nothing will come: numbers have passed it, and for the journal there is no
/// message any more of which it could speak.
fn is_over(session: &Session, part: &Part) -> Result<bool, Error> {
    let (Some(from), Some(below)) = (part.from, part.below) else {
        return Ok(part.spacious && is_empty(session, part)?);
    };
    let passed = session.query(&format!("SELECT 1 WHERE ?1 <= {REACHED}"), &[Value::Integer(below)])?;
    if passed.is_empty() {
        return Ok(false);
    }
    let spoken_of = "SELECT 1 FROM messages WHERE row >= ?1 AND row < ?2 LIMIT 1";
    if part.table == "journal"
        && !session.query(spoken_of, &[Value::Integer(from), Value::Integer(below)])?.is_empty()
    {
        return Ok(false);
    }
    is_empty(session, part)
}

/// Whether a part has no row. Its index says so, of which a vacuum leaves little; the rows may fill many pages.
fn is_empty(session: &Session, part: &Part) -> Result<bool, Error> {
    let Part { key, name, .. } = part;
    Ok(session.query(&format!("SELECT 1 FROM {name} ORDER BY {key} LIMIT 1"), &[])?.is_empty())
}

/// Takes a part away, or frees its space, unless a row came. Nobody writes meanwhile.
fn take(session: &Session, part: &Part) -> Result<(), Error> {
    let Part { table, name, from, .. } = part;
    let locked = if from.is_some() { format!("ONLY {table}") } else { name.clone() };
    session.batch(&format!("LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE"))?;
    if !is_empty(session, part)? {
        return Ok(());
    }
    session.batch(&match from {
        Some(_) => format!("DROP TABLE {name}"),
        None => format!("TRUNCATE {name}"),
    })
}

/// Changes the tables in one transaction: first what nobody waits for, then, with the lock of all writers, the rest.
fn change(
    session: &Session,
    before: &str,
    briefly: impl FnOnce(&Session) -> Result<(), Error>,
) -> Result<(), Error> {
    let changed = session
        .batch(&format!("BEGIN; SET LOCAL lock_timeout = '5s'; {before}"))
        .and_then(|()| session.batch(super::WRITERS_LOCK))
        .and_then(|()| session.batch(BRIEFLY))
        .and_then(|()| briefly(session));
    if changed.is_err() {
        let _ = session.batch("ROLLBACK");
        return changed;
    }
    session.batch("COMMIT")
}

fn noted(what: &str, part: &str, done: Result<(), Error>) {
    match done {
        Ok(()) => tracing::info!(part, "a part of the tables was {what}"),
        Err(error) => tracing::info!(%error, part, "a part of the tables could not be {what}: mail goes on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_numbers_of_their_own() {
        let month = |at: &str| Month::of(Timestamp(at.parse::<i64>().unwrap() * 1_000));
        for (at, number) in [
            ("0", 0),
            ("1769903999", 0), // 31 January 2026, 23:59:59
            ("1769904000", 1),
            ("1835395199", 25), // 28 February 2028, 23:59:59
            ("1835481599", 25), // 29 February
            ("1835481600", 26),
            ("9999999999", LAST),
        ] {
            assert_eq!(month(at), Month(number), "{at}");
        }
        for number in 0..=LAST {
            let month = Month(number);
            assert_eq!(Month::of(month.begins()), month);
            assert_eq!(Month::of(Timestamp(month.after(1).begins().0 - 1)), month);
            let below = month.after(1).base();
            assert!(
                month.base() < below
                    && below << NUMBER_BITS >> NUMBER_BITS == below
                    && below << NUMBER_BITS > 0
            );
        }
        assert_eq!(
            (Month(10).part("journal"), Month(24).part("x")),
            ("journal_2026_11".into(), "x_2028_01".into())
        );
    }
}
