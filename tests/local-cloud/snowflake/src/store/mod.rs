//! Rows in SQLite: one storage table per table, one transaction per commit.

mod saved;
mod tables;

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;

use crate::locks::lock;

pub(crate) use saved::{Saved, forget_channel, save_catalog, save_channel};
pub(crate) use tables::{add_column, create_table, drop_table};

/// The database behind all tables.
pub(crate) struct Store {
    writer: Mutex<Connection>,
    /// A second connection for queries, so that they do not hold up commits; only a file can have one.
    reader: Option<Mutex<Connection>>,
}

impl Store {
    /// Opens the file, or a database in memory.
    pub(crate) fn open(
        file: Option<&Path>,
        prepare: impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<Self> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = file.map_or_else(Connection::open_in_memory, Connection::open)?;
            if file.is_some() {
                connection.pragma_update(None, "journal_mode", "WAL")?;
            }
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            connection.set_prepared_statement_cache_capacity(64);
            prepare(&connection)?;
            Ok(connection)
        };
        let writer = open()?;
        tables::create_system_tables(&writer)?;
        let reader = if file.is_some() { Some(Mutex::new(open()?)) } else { None };
        Ok(Store { writer: Mutex::new(writer), reader })
    }

    /// The connection that changes things. Held for a whole statement or commit.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writer)
    }

    /// A connection for queries.
    pub(crate) fn reader(&self) -> MutexGuard<'_, Connection> {
        lock(self.reader.as_ref().unwrap_or(&self.writer))
    }
}
