//! Rows that reach their table through a SELECT: custom pipes and interactive tables.

use rusqlite::Connection;

use super::errors::RowError;
use crate::catalog::{Pipe, Table};

/// The compiled SELECT.
pub(crate) struct Mapping {
    insert: String,
}

impl Mapping {
    /// The mapping of a pipe or table; `None` when rows are matched by name.
    pub(crate) fn of(_table: &Table, _custom: Option<&Pipe>) -> rusqlite::Result<Option<Self>> {
        Ok(None)
    }

    /// Stores what the SELECT makes of one row.
    pub(crate) fn store(
        &self,
        _connection: &Connection,
        _table: &Table,
        _row: &str,
        _hidden: (i64, i64, &Option<String>),
    ) -> rusqlite::Result<Result<u64, RowError>> {
        let _ = &self.insert;
        Ok(Ok(0))
    }
}
