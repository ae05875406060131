//! Rows that reach their table through a SELECT: custom pipes and interactive tables.

use rusqlite::{Connection, params};

use super::errors::RowError;
use crate::catalog::{Catalog, Pipe, Table, TableKind};
use crate::sql::{SqlFailure, mapping_statement};
use crate::values::members;

/// The compiled SELECT.
pub(crate) struct Mapping {
    insert: String,
}

impl Mapping {
    /// The mapping of a pipe or table; `None` when rows are matched by name. An error says that the definition does
    /// not fit the table any more.
    pub(crate) fn of(
        catalog: &Catalog,
        table: &Table,
        custom: Option<&Pipe>,
    ) -> Result<Option<Self>, String> {
        let insert = match (custom, &table.kind) {
            (Some(pipe), _) => mapping_statement(catalog, table, &pipe.columns, &pipe.query, pipe.by_name),
            (None, TableKind::Interactive(query)) if !query.is_empty() => {
                mapping_statement(catalog, table, &[], query, false)
            }
            _ => return Ok(None),
        };
        insert.map(|insert| Some(Mapping { insert })).map_err(|error| error.message)
    }

    /// Stores what the SELECT makes of one row: how many rows, or why none.
    pub(crate) fn store(
        &self,
        connection: &Connection,
        row: &str,
        (commit, channel, token): (i64, i64, &Option<String>),
    ) -> rusqlite::Result<Result<u64, RowError>> {
        if let Err(error) = members(row, |_, _| ()) {
            return Ok(Err(RowError::not_json(&error.to_string())));
        }
        let mut insert = connection.prepare_cached(&self.insert)?;
        match insert.execute(params![commit, channel, token, row]) {
            Ok(stored) => Ok(Ok(u64::try_from(stored).unwrap_or(0))),
            Err(error) => match SqlFailure::find(&error) {
                Some(failure) => Ok(Err(RowError::of_mapping(failure))),
                None => Err(error),
            },
        }
    }
}
