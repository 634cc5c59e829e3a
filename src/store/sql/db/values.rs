//! Values of columns and parameters, for both engines.

use super::super::error::Error;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A column, by number.
pub(in crate::store) trait Column {
    fn at(&self) -> usize;
}

impl Column for usize {
    fn at(&self) -> usize {
        *self
    }
}

/// The value of a column or of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// A text that is not valid UTF-8.
    Broken(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(in crate::store) fn as_str(self) -> Result<&'a str, Error> {
        if let Value::Text(text) = self { Ok(text) } else { Err(Error::Kind("a text")) }
    }

    pub(in crate::store) fn as_blob(self) -> Result<&'a [u8], Error> {
        if let Value::Blob(octets) = self { Ok(octets) } else { Err(Error::Kind("octets")) }
    }

    pub(in crate::store) fn as_str_or_null(self) -> Result<Option<&'a str>, Error> {
        if self == Value::Null { Ok(None) } else { self.as_str().map(Some) }
    }

    pub(in crate::store) fn as_blob_or_null(self) -> Result<Option<&'a [u8]>, Error> {
        if self == Value::Null { Ok(None) } else { self.as_blob().map(Some) }
    }

    /// The octets of a text, valid UTF-8 or not.
    pub(in crate::store) fn as_bytes(self) -> Result<&'a [u8], Error> {
        match self {
            Value::Text(text) => Ok(text.as_bytes()),
            Value::Broken(octets) | Value::Blob(octets) => Ok(octets),
            Value::Null | Value::Integer(_) => Err(Error::Kind("a text")),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Broken(text) => ValueRef::Text(text),
            Value::Blob(octets) => ValueRef::Blob(octets),
        }))
    }
}

/// A type that a column can be read into.
pub(in crate::store) trait FromValue: Sized {
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(number) } else { None }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|number| number.try_into().ok())
    }
}

impl FromValue for u8 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).and_then(|number| number.try_into().ok())
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(octets) = value { Some(octets.to_vec()) } else { None }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(octets) = value { octets.try_into().ok() } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// A type that can be a parameter.
pub(in crate::store) trait ToValue {
    fn value(&self) -> Value<'_>;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl ToValue for $number {
            fn value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        })+
    };
}
numbers!(i64, i32, u32, bool);

impl ToValue for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

/// The parameters of a statement, in order.
pub(in crate::store) trait Params {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R;
}

impl Params for [&str; 0] {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(&[])
    }
}

macro_rules! arrays {
    ($($length:literal),+) => {
        $(impl<T: ToValue> Params for [T; $length] {
            fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
                then(&self.each_ref().map(ToValue::value))
            }
        })+
    };
}
arrays!(1, 2, 3, 4, 5, 6);

impl Params for &[Value<'_>] {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(self)
    }
}

/// Builds parameters of different types.
macro_rules! params {
    ($($param:expr),* $(,)?) => {
        &[$($crate::store::sql::db::ToValue::value(&$param)),*][..]
    };
}
pub(in crate::store) use params;

/// A value that outlives its row, or a parameter of a statement built at run time.
#[derive(Clone, Debug)]
pub(in crate::store) enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    pub(in crate::store) fn of(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Broken(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            Value::Blob(octets) => Self::Blob(octets.to_vec()),
        }
    }
}

impl From<i64> for Owned {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<String> for Owned {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl ToValue for Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(octets) => Value::Blob(octets),
        }
    }
}

impl Params for &Vec<Owned> {
    fn with<R>(&self, then: impl FnOnce(&[Value<'_>]) -> R) -> R {
        then(&self.iter().map(ToValue::value).collect::<Vec<_>>())
    }
}

/// Turns a missing row into `None`.
pub(in crate::store) trait OptionalExtension<T> {
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExtension<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRows) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
