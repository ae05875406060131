//! Storage tables.
//!
//! Beside a table's own columns each row has `_c`, the commit that made it visible, `_ch`, the channel it came
//! through (NULL for SQL), and `_t`, the offset token of its append.

use rusqlite::Connection;

use crate::catalog::Table;

/// Columns that every storage table begins with.
const HIDDEN: &str = "_c INTEGER, _ch INTEGER, _t TEXT";

pub(super) fn create_system_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _commits (id INTEGER PRIMARY KEY, at TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS _catalog (only INTEGER PRIMARY KEY CHECK (only = 0), content TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS _channels (id INTEGER PRIMARY KEY, content TEXT NOT NULL);",
    )
}

pub(crate) fn create_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let columns: String = table.columns.iter().map(|column| format!(", {}", column.stored())).collect();
    connection.execute_batch(&format!("CREATE TABLE {} ({HIDDEN}{columns})", table.stored()))?;
    create_error_table(connection, table)
}

/// Adds storage for column number `id`. Storage columns have no type, so values stay as they are given.
pub(crate) fn add_column(connection: &Connection, table: &Table, id: usize) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("ALTER TABLE {} ADD COLUMN c{id}", table.stored()))
}

fn create_error_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {} (_c INTEGER, at TEXT, query_id TEXT, code INTEGER, metadata TEXT, data TEXT)",
        table.stored_errors()
    ))
}

pub(crate) fn drop_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {}",
        table.stored(),
        table.stored_errors()
    ))
}
