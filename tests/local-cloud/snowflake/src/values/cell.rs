//! A value as it is stored, and why a value cannot be.
//!
//! Storage keeps every type sortable and exact: integers that fit 64 bits as INTEGER, other decimals as canonical
//! TEXT, dates and times as fixed-width ISO text, semi-structured values as JSON text, booleans as 0 and 1.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, Value, ValueRef};

/// A stored value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Vec<u8>),
}

impl Cell<'_> {
    /// A float; SQLite has no NaN, so that one is text.
    pub(crate) fn float(value: f64) -> Cell<'static> {
        if value.is_nan() { Cell::Text("NaN".into()) } else { Cell::Real(value) }
    }

    /// Borrows a value of SQLite; text that is not UTF-8 does not occur here.
    pub(crate) fn borrow(value: ValueRef<'_>) -> Cell<'_> {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Int(value),
            ValueRef::Real(value) => Cell::Real(value),
            ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text)),
            ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
        }
    }

    /// The same value, detached from what it borrows.
    pub(crate) fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Null => Cell::Null,
            Cell::Int(value) => Cell::Int(value),
            Cell::Real(value) => Cell::Real(value),
            Cell::Blob(bytes) => Cell::Blob(bytes),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Int(value) => Value::Integer(value),
            Cell::Real(value) => Value::Real(value),
            Cell::Text(text) => Value::Text(text.into_owned()),
            Cell::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

impl FromSql for Cell<'static> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Cell::borrow(value).into_owned())
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Int(value) => ValueRef::Integer(*value),
            Cell::Real(value) => ValueRef::Real(*value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Why a value does not fit a type: Snowflake's error code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u32,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    /// A variant that cannot become the given physical type.
    pub(crate) fn cast(raw: &str, target: &str) -> Self {
        Failure::new(100_071, format!("Failed to cast variant value {} to {target}", shortened(raw)))
    }

    /// Text that is not of the given kind ("Date", "Boolean value", …).
    pub(crate) fn not_recognized(code: u32, what: &str, text: &str) -> Self {
        Failure::new(code, format!("{what} '{}' is not recognized", shortened(text)))
    }
}

/// Messages quote a value, but not a whole document.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain("...".chars()).collect()
}
