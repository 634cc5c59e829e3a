//! What a quick group of requests writes before anything of it is sent.
//!
//! A group is first run quickly: without savepoints, assuming that each row that should be there is there, and with
//! the rows of each statement collected, so that one statement writes those of many requests ([`many`]). If an
//! assumption turns out wrong, or a request is refused after it wrote, the group is rolled back and run again with a
//! savepoint for each request, waiting for each answer. So the quick way decides nothing.
//!
//! Only writes that do not depend on each other's order are collected. Whatever else is said to the database is said
//! after what was collected before it.

use super::months::Month;
use crate::store::sql::chain::Added;
use crate::store::sql::db::{Owned, ToValue, Value};
use bytes::{BufMut, BytesMut};
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

/// How many deleted rows the table of touched rows may hold: some thirty pages.
const FORGOTTEN: usize = 8_192;

/// The state of a group. One that is not quick collects only entries of the chain.
#[derive(Default)]
pub(in crate::store) struct Draft {
    quick: Cell<bool>,
    /// Whether the present request wrote anything.
    wrote: Cell<bool>,
    rows: RefCell<Vec<Rows>>,
    /// Whether the transaction writes something before it ends, even if it wrote nothing.
    must_write: Cell<bool>,
    /// Entries of the chain, which are numbered and linked when the group ends.
    pub(in crate::store) added: RefCell<Vec<Added>>,
    /// How many rows were deleted from the table of touched rows since it was made or truncated.
    forgotten: Cell<usize>,
    /// The number of the next message, as long as nobody else can have used it.
    pub(in crate::store) next_message: Cell<Option<i64>>,
    /// The last month at whose numbers those of messages are known to go on.
    pub(in crate::store) month: Cell<Option<Month>>,
}

/// Rows that one statement writes.
pub(super) struct Rows {
    pub(super) sql: String,
    pub(super) values: Vec<Vec<Owned>>,
    /// Whether each of them must write exactly one row.
    pub(super) one_each: bool,
}

impl Draft {
    /// Begins a group.
    pub(in crate::store) fn begin(&self, quick: bool) {
        self.quick.set(quick);
        self.must_write.set(false);
        self.rows.borrow_mut().clear();
        self.added.borrow_mut().clear();
    }

    pub(in crate::store) fn is_quick(&self) -> bool {
        self.quick.get()
    }

    /// Begins a request.
    pub(in crate::store) fn begin_request(&self) {
        self.wrote.set(false);
    }

    pub(in crate::store) fn wrote(&self) -> bool {
        self.wrote.get()
    }

    /// Whether the table of touched rows should be truncated instead of deleting so many rows more from it.
    pub(in crate::store) fn forgets(&self, rows: usize) -> bool {
        let all = self.forgotten.get() + rows;
        self.forgotten.set(if all > FORGOTTEN { 0 } else { all });
        all > FORGOTTEN
    }

    /// Makes the transaction write something before it ends.
    pub(in crate::store) fn write_something(&self) {
        self.must_write.set(true);
    }

    /// Forgets how the numbers of messages go on: another node may have used them, or what was written was undone.
    pub(in crate::store) fn forget_numbers(&self) {
        self.next_message.set(None);
        self.month.set(None);
    }

    pub(super) fn must_write(&self) -> bool {
        self.must_write.take()
    }

    pub(super) fn writes(&self) {
        self.wrote.set(true);
    }

    pub(super) fn add(&self, sql: &str, values: &[Value<'_>], one_each: bool) {
        self.writes();
        let row: Vec<Owned> = values.iter().map(|value| Owned::of(*value)).collect();
        let mut all = self.rows.borrow_mut();
        match all.iter_mut().find(|rows| rows.sql == sql) {
            Some(rows) => rows.values.push(row),
            None => all.push(Rows { sql: sql.to_owned(), values: vec![row], one_each }),
        }
    }

    pub(super) fn take(&self) -> Vec<Rows> {
        std::mem::take(&mut *self.rows.borrow_mut())
    }
}

/// A parameter of many rows.
pub(super) struct Column {
    index: usize,
    /// The type of the array of its values.
    pub(super) array: Type,
}

impl Column {
    /// Takes its values out of the rows.
    pub(super) fn take(&self, rows: &mut [Vec<Owned>]) -> Array {
        let value = |row: &mut Vec<Owned>| {
            row.get_mut(self.index).map_or(Owned::Null, |value| std::mem::replace(value, Owned::Null))
        };
        Array(rows.iter_mut().map(value).collect())
    }
}

/// A statement for one row, made one for many: an `INSERT` of one tuple of parameters, or a statement with a `WHERE`
/// that is about rows of one table. The parameters become arrays. Those that are null in every row become `NULL`,
/// because they have no type.
pub(super) fn many(sql: &str, rows: &[Vec<Owned>]) -> (String, Vec<Column>) {
    let width = rows.first().map_or(0, Vec::len);
    let mut columns = Vec::new();
    let mut names = Vec::with_capacity(width);
    for index in 0..width {
        let array = rows.iter().filter_map(|row| row.get(index)).find_map(|value| match value {
            Owned::Null => None,
            Owned::Integer(_) => Some(Type::INT8_ARRAY),
            Owned::Text(_) => Some(Type::TEXT_ARRAY),
            Owned::Blob(_) => Some(Type::BYTEA_ARRAY),
        });
        names.push(array.as_ref().map_or("NULL".to_owned(), |_| format!("p.p{}", index + 1)));
        columns.extend(array.map(|array| Column { index, array }));
    }
    let (mut arrays, mut parts) = (String::new(), String::new());
    for (number, column) in columns.iter().enumerate() {
        let (comma, index) = (if number == 0 { "" } else { ", " }, column.index + 1);
        let _ = write!(arrays, "{comma}${}", number + 1);
        let _ = write!(parts, "{comma}p{index}");
    }
    let from = format!("unnest({arrays}) AS p ({parts})");
    (spread(&named(sql, &names), &from), columns)
}

/// The statement with names in place of its parameters.
fn named(sql: &str, names: &[String]) -> String {
    let (mut text, mut rest) = (String::with_capacity(2 * sql.len()), sql);
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let name = rest[..digits].parse::<usize>().ok().and_then(|number| names.get(number.wrapping_sub(1)));
        match name {
            Some(name) => text.push_str(name),
            None => text.push_str(&rest[..digits]),
        }
        rest = &rest[digits..];
    }
    text + rest
}

/// Makes the statement read its rows from `from`.
fn spread(sql: &str, from: &str) -> String {
    if let Some((head, rest)) = sql.split_once(" VALUES (")
        && let Some((tuple, tail)) = rest.split_once(')')
    {
        return format!("{head} SELECT {tuple} FROM {from}{tail}");
    }
    let word = if sql.starts_with("UPDATE") { " FROM" } else { "," };
    match sql.split_once(" WHERE ") {
        Some((head, tail)) => format!("{head}{word} {from} WHERE {tail}"),
        None => sql.to_owned(),
    }
}

/// The values of a column.
#[derive(Debug)]
pub(super) struct Array(Vec<Owned>);

impl ToSql for Array {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Kind::Array(member) = ty.kind() else { return Err("the type is not that of an array".into()) };
        let size = |value: &Owned| match value {
            Owned::Null => 4,
            Owned::Integer(_) => 12,
            Owned::Text(text) => 4 + text.len(),
            Owned::Blob(octets) => 4 + octets.len(),
        };
        out.reserve(20 + self.0.iter().map(size).sum::<usize>());
        // One dimension, perhaps with nulls, from 1 on.
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(member.oid());
        out.put_i32(self.0.len().try_into()?);
        out.put_i32(1);
        for value in &self.0 {
            let at = out.len();
            out.put_i32(-1);
            if let IsNull::No = value.value().to_sql(member, out)? {
                let length: i32 = (out.len() - at - 4).try_into()?;
                out[at..at + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_for_one_row_becomes_one_for_many() {
        let row = || vec![Owned::Integer(1), Owned::Null, Owned::Text("a".to_owned())];
        for (one, all) in [
            (
                "INSERT INTO t (a, b, c) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                "INSERT INTO t (a, b, c) SELECT p.p1, NULL, p.p3 FROM unnest($1, $2) AS p (p1, p3) ON CONFLICT DO NOTHING",
            ),
            (
                "UPDATE t SET a = $1 WHERE b = $3 AND EXISTS (SELECT 1 FROM u WHERE c = t.c)",
                "UPDATE t SET a = p.p1 FROM unnest($1, $2) AS p (p1, p3) WHERE b = p.p3 AND EXISTS (SELECT 1 FROM u WHERE c = t.c)",
            ),
            (
                "INSERT INTO t (a) SELECT $1 FROM m WHERE m.c = $3",
                "INSERT INTO t (a) SELECT p.p1 FROM m, unnest($1, $2) AS p (p1, p3) WHERE m.c = p.p3",
            ),
        ] {
            let (text, columns) = many(one, &[row(), row()]);
            assert_eq!(text, all);
            assert_eq!(columns.len(), 2);
        }
    }
}
