//! Lists of held messages: pages of those that match a scope and filters.
//!
//! A condition is a list of terms, and a term in one state is a range of rows in the order of messages. One
//! condition leads: its ranges are merged, newest first, and each message they yield is checked against the
//! others until the page is full. The rarest condition leads, so that few messages need to be checked.

use super::error::Failure;
use super::terms::{AS_IS, EVERYTHING, LONGEST, MOST_ADDRESSES, Phrase, folded, person, phrase, scope_terms};
use super::{codes, lines, read, since};
use crate::id::Id;
use crate::store::sql::db::{Connection, Dialect, OptionalExtension, Owned, Row};
use crate::store::{HeldPage, HeldQuery, HeldRow, HeldState, Order, Scope, StoreError};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A condition with fewer rows than this is rare, and leads.
const FEW: i64 = 2_000;
/// The maximum number of rows in a page.
const MOST: usize = 500;
/// The maximum that is counted.
const MOST_COUNTED: usize = 10_000;

/// A query has a condition that nothing can meet.
struct Impossible;

/// One condition: the message has one of these terms, or its subject contains this text.
#[derive(Default)]
struct Condition {
    terms: Vec<String>,
    phrase: Option<Phrase>,
    /// Whether the names of attachments may contain the text, too.
    files: bool,
}

fn conditions(query: &HeldQuery) -> Result<Vec<Condition>, Impossible> {
    let by = |terms: Vec<String>| Condition { terms, ..Condition::default() };
    let mut all = vec![by(scope_terms(&query.scope))];
    for (part, wanted) in [("s", &query.sender), ("r", &query.recipient)] {
        if let Some(text) = wanted.as_deref().filter(|text| !text.trim().is_empty()) {
            all.push(by(vec![format!("{part}:{}", person(text).ok_or(Impossible)?)]));
        }
    }
    if let Some(rule) = query.rule.as_deref().filter(|text| !text.trim().is_empty()) {
        all.push(by(vec![format!("u:{}", rule.trim())]));
    }
    if query.as_is {
        all.push(by(vec![AS_IS.to_owned()]));
    }
    if let Some(found) = query.subject.as_deref().and_then(phrase) {
        all.push(Condition { phrase: Some(found), ..Condition::default() });
    }
    if let Some(text) = query.text.as_deref().filter(|text| !text.trim().is_empty()) {
        let person = person(text).filter(|person| person.contains('.') || !person.starts_with('@'));
        let terms = person.iter().flat_map(|person| [format!("s:{person}"), format!("r:{person}")]);
        all.push(Condition { terms: terms.collect(), phrase: phrase(text), files: true });
    }
    Ok(all)
}

/// A statement under construction: its text and its parameters.
struct Sql {
    dialect: Dialect,
    text: String,
    values: Vec<Owned>,
}

impl Sql {
    fn new(db: &Connection) -> Self {
        Self { dialect: db.dialect(), text: String::new(), values: Vec::new() }
    }

    fn value(&mut self, value: impl Into<Owned>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// An expression: the pairs of a table contain a phrase.
    fn matches(&self, table: &str, phrase: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("{table} MATCH {phrase}"),
            // The first part uses the index; the second checks the order of the pairs.
            Dialect::Postgres => {
                format!(
                    "pairs_of({table}.pairs) @> pairs_of({phrase}) AND strpos(' ' || pairs || ' ', {phrase}) > 0"
                )
            }
        }
    }

    /// Adds a query for the messages that meet a condition within the bounds, newest first: one range for each
    /// term and state, merged.
    fn lead(&mut self, condition: &Condition, states: &[HeldState], bounds: (i64, i64)) {
        let (low, high) = (self.value(bounds.0), self.value(bounds.1));
        let mut first = true;
        let mut union = |sql: &mut Self| {
            if !std::mem::take(&mut first) {
                sql.push(" UNION ");
            }
        };
        for term in &condition.terms {
            let term = self.value(term.clone());
            for state in states {
                union(self);
                let _ = write!(
                    self.text,
                    "SELECT message FROM held_terms WHERE term = {term} AND state = {} AND message \
                     BETWEEN {low} AND {high}",
                    codes::held(*state)
                );
            }
        }
        if let Some(phrase) = &condition.phrase {
            let phrase = self.value(phrase.sought(self.dialect));
            for table in condition.tables() {
                union(self);
                let matches = self.matches(table, &phrase);
                // The sum keeps PostgreSQL from reading all numbers within the bounds beside the index of pairs.
                let number = match self.dialect {
                    Dialect::Sqlite => "rowid",
                    Dialect::Postgres => "rowid + 0",
                };
                let _ = write!(
                    self.text,
                    "SELECT rowid AS message FROM {table} WHERE {matches} AND {number} BETWEEN {low} AND {high}"
                );
            }
        }
    }

    /// Adds an expression: a message has one of a condition's terms.
    fn has(&mut self, condition: &Condition, message: &str, states: &[HeldState]) {
        self.push("(FALSE");
        for term in &condition.terms {
            let term = self.value(term.clone());
            for state in states {
                let _ = write!(
                    self.text,
                    " OR EXISTS (SELECT 1 FROM held_terms t WHERE t.term = {term} AND t.state = {} AND \
                     t.message = {message})",
                    codes::held(*state)
                );
            }
        }
        self.push(")");
    }

    /// Adds an expression: a message meets a condition.
    fn meets(&mut self, condition: &Condition, message: &str, states: &[HeldState]) {
        self.push("(");
        self.has(condition, message, states);
        if let Some(phrase) = &condition.phrase {
            let phrase = self.value(phrase.sought(self.dialect));
            for table in condition.tables() {
                let matches = self.matches(table, &phrase);
                let _ = write!(self.text, " OR {message} IN (SELECT rowid FROM {table} WHERE {matches})");
            }
        }
        self.push(")");
    }
}

impl Condition {
    /// Whether nothing can meet it: a person without an address has no mail.
    fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.phrase.is_none()
    }

    /// The tables in which its text is looked up.
    fn tables(&self) -> &'static [&'static str] {
        if self.files { &["held_subjects", "held_files"] } else { &["held_subjects"] }
    }

    /// Whether a subject, or the names of attachments, meet it; both are folded.
    fn is_in(&self, subject: &str, files: &str) -> bool {
        self.phrase.as_ref().is_some_and(|phrase| {
            subject.contains(&phrase.text) || (self.files && files.contains(&phrase.text))
        })
    }
}

/// A page of held messages, in the order asked for.
pub(in crate::store) fn page(db: &Connection, query: &HeldQuery) -> Result<HeldPage, Failure> {
    let limit = query.limit.clamp(1, MOST);
    let found = found(db, query, limit + 1)?;
    let mut lines = lines::of(db, &found[..found.len().min(limit)])?;
    let next = if found.len() > limit { lines.last().map(|line| line.id) } else { None };
    if query.order == Order::Deadline {
        // They already come nearly in the order of their deadlines: holds last equally long, unless that
        // setting was changed or a decision was undone.
        lines.sort_by_key(|line| line.expires);
    }
    Ok(HeldPage { lines, next })
}

/// How many match, counted up to `most`.
pub(in crate::store) fn count(db: &Connection, query: &HeldQuery, most: usize) -> Result<usize, Failure> {
    let most = most.clamp(1, MOST_COUNTED);
    let Some(search) = search(db, query, most)? else { return Ok(0) };
    if search.read.is_empty() {
        // The database counts, so that it need not send each number.
        let sql = format!("SELECT count(*) FROM ({}) c", search.sql.text);
        let count: i64 = db.prepare_cached(&sql)?.query_row(&search.sql.values, |row| row.get(0))?;
        return Ok(usize::try_from(count).unwrap_or(0));
    }
    Ok(search.found(db, most)?.len())
}

/// The first messages that match a query, at most `most`.
fn found(db: &Connection, query: &HeldQuery, most: usize) -> Result<Vec<i64>, Failure> {
    search(db, query, most)?.map_or(Ok(Vec::new()), |search| search.found(db, most))
}

/// A statement that yields the messages of a query in their order, and what it leaves to check.
struct Search {
    sql: Sql,
    /// Conditions that are checked by reading; if there are none, the statement yields only as many as were asked for.
    read: Vec<Condition>,
}

/// The search for the first messages that match a query, at most `most`; `None` if nothing can.
fn search(db: &Connection, query: &HeldQuery, most: usize) -> Result<Option<Search>, Failure> {
    let Ok(mut conditions) = conditions(query) else { return Ok(None) };
    if conditions.iter().any(Condition::is_empty) {
        return Ok(None);
    }
    let Some(bounds) = bounds(db, query)? else { return Ok(None) };
    let states: Vec<HeldState> = query.state.map_or(codes::HELD_STATES.to_vec(), |state| vec![state]);
    let lead = rarest(db, &conditions, &states, bounds)?;
    conditions.swap(0, lead.at);
    // The index of subjects yields all matches, even if only few messages are in question. For few messages,
    // their subjects are read instead.
    let read = if lead.rare { conditions.split_off(1) } else { Vec::new() };
    let (read, looked_up): (Vec<_>, Vec<_>) = read.into_iter().partition(|one| one.phrase.is_some());
    conditions.extend(looked_up);
    let mut sql = Sql::new(db);
    sql.push("SELECT l.message");
    if !read.is_empty() {
        sql.push(", m.subject, (SELECT files FROM held h WHERE h.message = l.message)");
    }
    for condition in &read {
        sql.push(", ");
        sql.has(condition, "l.message", &states);
    }
    sql.push(" FROM (");
    sql.lead(&conditions[0], &states, bounds);
    // The limit keeps the planner from changing the subquery or its order.
    let order = if query.order == Order::Deadline { "ASC" } else { "DESC" };
    let _ = write!(sql.text, " ORDER BY 1 {order} LIMIT 9223372036854775807) l");
    if !read.is_empty() {
        sql.push(match db.dialect() {
            // SQLite never reorders a CROSS JOIN, so it reads a message only for a row of the subquery.
            Dialect::Sqlite => " CROSS JOIN messages m ON m.row = l.message",
            Dialect::Postgres => " JOIN messages m ON m.row = l.message",
        });
    }
    sql.push(" WHERE TRUE");
    for condition in &conditions[1..] {
        sql.push(" AND ");
        sql.meets(condition, "l.message", &states);
    }
    if let (Some(_), Some(state)) = (&conditions[0].phrase, query.state) {
        // The index of subjects does not know states.
        let everything = sql.value(EVERYTHING.to_owned());
        let _ = write!(
            sql.text,
            " AND EXISTS (SELECT 1 FROM held_terms t WHERE t.term = {everything} AND t.state = {} AND \
             t.message = l.message)",
            codes::held(state)
        );
    }
    if read.is_empty() {
        // PostgreSQL sends all rows at once, and may change their order.
        if db.dialect() == Dialect::Postgres {
            let _ = write!(sql.text, " ORDER BY 1 {order}");
        }
        let _ = write!(sql.text, " LIMIT {most}");
    }
    Ok(Some(Search { sql, read }))
}

impl Search {
    fn found(&self, db: &Connection, most: usize) -> Result<Vec<i64>, Failure> {
        let mut select = db.prepare_cached(&self.sql.text)?;
        let mut rows = select.query(&self.sql.values)?;
        let mut found: Vec<i64> = Vec::new();
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            if meets_all(&row, &self.read)? {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }
}

/// The rows within the times and the page of a query; `None` if there are none.
fn bounds(db: &Connection, query: &HeldQuery) -> Result<Option<(i64, i64)>, Failure> {
    let (mut low, mut high) = (0, i64::MAX);
    if let Some(since) = query.since {
        let Some(row) = since::first_since(db, since)? else { return Ok(None) };
        low = row;
    }
    if let Some(before) = query.before {
        let Some(row) = since::last_before(db, before)? else { return Ok(None) };
        high = row;
    }
    if let Some(after) = query.after {
        match read::row_of(db, after) {
            Ok(row) if query.order == Order::Deadline => low = low.max(row + 1),
            Ok(row) => high = high.min(row - 1),
            Err(Failure::Refused(StoreError::NotFound(_))) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok((low <= high).then_some((low, high)))
}

/// Whether a row meets all conditions that are checked by reading. It has the message, its subject, its
/// attachments, and which of the conditions its terms meet.
fn meets_all(row: &Row<'_>, read: &[Condition]) -> Result<bool, Failure> {
    if read.is_empty() {
        return Ok(true);
    }
    let searched = |text: &str| -> String { folded(text).chars().take(LONGEST).collect() };
    let subject = searched(&row.get::<_, String>(1)?);
    let files = searched(&row.get::<_, Option<String>>(2)?.unwrap_or_default());
    for (at, condition) in read.iter().enumerate() {
        if !condition.is_in(&subject, &files) && !row.get::<_, bool>(3 + at)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The condition that leads.
struct Lead {
    at: usize,
    /// Whether few messages meet it.
    rare: bool,
}

/// Chooses the rarest condition; if none is rare, the one about the subject, or else the scope.
fn rarest(
    db: &Connection,
    conditions: &[Condition],
    states: &[HeldState],
    bounds: (i64, i64),
) -> Result<Lead, Failure> {
    if conditions.len() == 1 {
        return Ok(Lead { at: 0, rare: false });
    }
    // Looking up subjects one by one is slow.
    let by_subject = conditions.iter().position(|condition| condition.phrase.is_some());
    let mut best = (by_subject.unwrap_or(0), FEW);
    // The scope, which may have the most, comes last. Each is counted only as far as the rarest before it.
    for (at, condition) in conditions.iter().enumerate().rev() {
        let mut sql = Sql::new(db);
        let _ = write!(sql.text, "SELECT count(*) FROM (SELECT 1 FROM (");
        sql.lead(condition, states, bounds);
        let most = sql.value(best.1);
        let _ = write!(sql.text, ") l LIMIT {most}) f");
        let count = db
            .prepare_cached(&sql.text.replace(" UNION ", " UNION ALL "))?
            .query_row(&sql.values, |row| row.get(0))?;
        if count < best.1 {
            best = (at, count);
        }
    }
    Ok(Lead { at: best.0, rare: best.1 < FEW })
}

/// The number of items in each state.
pub(in crate::store) fn counts(
    db: &Connection,
    scope: &Scope,
) -> Result<BTreeMap<HeldState, usize>, Failure> {
    let condition = Condition { terms: scope_terms(scope), ..Condition::default() };
    let mut counts: BTreeMap<HeldState, usize> =
        codes::HELD_STATES.into_iter().map(|state| (state, 0)).collect();
    if condition.is_empty() {
        return Ok(counts);
    }
    for state in codes::HELD_STATES {
        let mut sql = Sql::new(db);
        sql.push("SELECT count(*) FROM (");
        sql.lead(&condition, &[state], (0, i64::MAX));
        sql.push(") l");
        let count: i64 = db.prepare_cached(&sql.text)?.query_row(&sql.values, |row| row.get(0))?;
        counts.insert(state, usize::try_from(count).unwrap_or(0));
    }
    Ok(counts)
}

/// These items in full, if they are within the scope.
pub(in crate::store) fn rows(db: &Connection, scope: &Scope, ids: &[Id]) -> Result<Vec<HeldRow>, Failure> {
    let condition = Condition { terms: scope_terms(scope), ..Condition::default() };
    let mut found = Vec::new();
    for id in ids.iter().take(MOST) {
        let mut sql = Sql::new(db);
        let wanted = sql.value(id.as_str().to_owned());
        let _ = write!(sql.text, "SELECT m.row FROM messages m WHERE m.id = {wanted} AND ");
        sql.meets(&condition, "m.row", &codes::HELD_STATES);
        let row: Option<i64> =
            db.prepare_cached(&sql.text)?.query_row(&sql.values, |row| row.get(0)).optional()?;
        if let Some(row) = row {
            found.extend(read::held_of(db, row)?);
        }
    }
    Ok(found)
}

/// Whether one of these approvers was ever asked to decide.
pub(in crate::store) fn was_asked(db: &Connection, addresses: &[String]) -> Result<bool, Failure> {
    // The order makes PostgreSQL use the index, even where nearly all rows have one approver.
    let mut select =
        db.prepare_cached("SELECT 1 FROM held_approvers WHERE approver = ?1 ORDER BY message LIMIT 1")?;
    for address in addresses.iter().take(MOST_ADDRESSES) {
        if select.exists([address])? {
            return Ok(true);
        }
    }
    Ok(false)
}
