//! Storage tables.
//!
//! Beside a table's own columns each row has `_c`, the commit that made it visible, `_ch`, the channel it came
//! through (NULL for SQL), and `_t`, the offset token of its append.

use rusqlite::Connection;

use crate::catalog::{NEXT_NUMBER, Table};

/// Columns that every storage table begins with.
const HIDDEN: &str = "_c INTEGER, _ch INTEGER, _t TEXT";

pub(super) fn create_system_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS _commits (id INTEGER PRIMARY KEY, at TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS _catalog (only INTEGER PRIMARY KEY CHECK (only = 0), content TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS _sequences (t INTEGER, c INTEGER, next INTEGER, PRIMARY KEY (t, c));
         CREATE TABLE IF NOT EXISTS _channels (id INTEGER PRIMARY KEY, content TEXT NOT NULL);",
    )
}

pub(crate) fn create_table(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    let columns: String = table.columns.iter().map(|column| format!(", {}", column.stored())).collect();
    connection.execute_batch(&format!("CREATE TABLE {} ({HIDDEN}{columns})", table.stored()))?;
    create_sequences(connection, table)?;
    create_error_table(connection, table)
}

/// Numbers are given by the storage, since rows come by several ways: from streams, pipes and statements.
fn create_sequences(connection: &Connection, table: &Table) -> rusqlite::Result<()> {
    for column in &table.columns {
        let Some(sequence) = column.default.as_ref().and_then(|default| default.sequence) else { continue };
        let (t, c, stored, name) = (table.id, column.id, table.stored(), column.stored());
        let own = format!("_sequences WHERE t = {t} AND c = {c}");
        connection.execute_batch(&format!(
            "INSERT INTO _sequences VALUES ({t}, {c}, {start});
             CREATE TRIGGER {stored}_{name} AFTER INSERT ON {stored} WHEN NEW.{name} IS {NEXT_NUMBER} BEGIN
             UPDATE {stored} SET {name} = (SELECT next FROM {own}) WHERE rowid = NEW.rowid;
             UPDATE _sequences SET next = next + {step} WHERE t = {t} AND c = {c};
             END",
            start = sequence.start,
            step = sequence.step,
        ))?;
    }
    Ok(())
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
        "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {}; DELETE FROM _sequences WHERE t = {}",
        table.stored(),
        table.stored_errors(),
        table.id
    ))
}
