//! How statements and values are written for PostgreSQL, and how its values are read.

use crate::store::sql::db::{Owned, ToValue, Value};
use crate::store::sql::error::Error;
use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// Functions that have another name in SQLite.
const NAMES: [(&str, &str); 4] = [
    ("group_concat(", "string_agg("),
    ("instr(", "strpos("),
    ("char(10)", "chr(10)"),
    // Defined in our schema.
    ("json_each(", "texts_of("),
];

/// Translates a statement from SQLite's dialect: parameters and function names; hints about indexes are removed.
pub(super) fn translated(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut words = sql.split(' ').peekable();
    while let Some(word) = words.next() {
        if word == "INDEXED" && words.peek() == Some(&"BY") {
            words.next();
            words.next();
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let mut letters = word.chars().peekable();
        while let Some(letter) = letters.next() {
            let is_parameter = letter == '?' && letters.peek().is_some_and(char::is_ascii_digit);
            text.push(if is_parameter { '$' } else { letter });
        }
    }
    NAMES.iter().fold(text, |text, (one, other)| text.replace(one, other))
}

/// The type of a parameter.
pub(super) fn of_value(value: &Value<'_>) -> Type {
    match value {
        Value::Null => Type::UNKNOWN,
        Value::Integer(_) => Type::INT8,
        Value::Text(_) | Value::Broken(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    }
}

type Written = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Owned {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        self.value().to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Value::Integer(number) if *ty == Type::BOOL => (*number != 0).to_sql(ty, out),
            Value::Integer(number) => number.to_sql(ty, out),
            // PostgreSQL does not allow NUL in a text.
            Value::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Blob(octets) | Value::Broken(octets) => octets.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The value of a column.
pub(in crate::store) fn cell(row: &Row, column: usize) -> Result<Value<'_>, Error> {
    let Raw(value) = row.try_get(column)?;
    value.ok_or(Error::Column(column))
}

/// A column of any of the types that we use.
struct Raw<'a>(Option<Value<'a>>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, octets: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT8 => octets.try_into().ok().map(|octets| Value::Integer(i64::from_be_bytes(octets))),
            Type::INT4 => {
                octets.try_into().ok().map(|octets| Value::Integer(i64::from(i32::from_be_bytes(octets))))
            }
            Type::BOOL => Some(Value::Integer(i64::from(octets != [0]))),
            Type::NUMERIC => whole(octets).map(Value::Integer),
            Type::TEXT | Type::VARCHAR | Type::UNKNOWN => Some(Value::Text(std::str::from_utf8(octets)?)),
            Type::BYTEA => Some(Value::Blob(octets)),
            _ => None,
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(Value::Null)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Decodes an integer from the binary form of a `numeric`, the type of sums: digits to the base 10,000.
fn whole(octets: &[u8]) -> Option<i64> {
    let word = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
    let (digits, weight, sign) = (word(0)?, i64::from(word(2)?.cast_signed()), word(4)?);
    let mut number: i64 = 0;
    for place in 0..=weight {
        let at = usize::try_from(place).ok()?;
        let digit = if at < usize::from(digits) { word(8 + 2 * at)? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(i64::from(digit))?;
    }
    Some(if sign == 0 { number } else { -number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_written_as_the_other_engine_writes_them() {
        assert_eq!(
            translated("SELECT a FROM t INDEXED BY t_a JOIN u WHERE a = ?1 AND (b IN (?2, ?10))"),
            "SELECT a FROM t JOIN u WHERE a = $1 AND (b IN ($2, $10))"
        );
    }

    #[test]
    fn sums_are_whole_numbers() {
        for (octets, number) in [
            (&[0, 0, 0, 0, 0, 0, 0, 0][..], 0),
            (&[0, 1, 0, 0, 0, 0, 0, 0, 0, 7], 7),
            (&[0, 1, 0, 1, 0, 0, 0, 0, 0, 3], 30_000),
            (&[0, 2, 0, 1, 0x40, 0, 0, 0, 0, 1, 0, 2], -10_002),
        ] {
            assert_eq!(whole(octets), Some(number), "{octets:?}");
        }
    }
}
