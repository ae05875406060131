//! What is stored and where it came from, beyond what SQL shows.

use std::collections::HashMap;

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::account::Account;
use crate::catalog::{Path, Table};
use crate::snapshot;
use crate::streaming::{Ascent, Channel};
use crate::values::{Cell, display};

/// A part of a table, in the order of commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRows {
    /// `DATABASE.SCHEMA.TABLE` as resolved.
    pub table: String,
    /// The rows.
    pub rows: Vec<StoredRow>,
    /// What to ask for to get the rows that follow; absent at the end.
    pub next: Option<i64>,
}

/// A row and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRow {
    /// Number within the table; later rows have higher ones.
    pub row: i64,
    /// Number of the commit that made it visible.
    pub commit: i64,
    /// When that was, in UTC.
    pub committed_at: Option<String>,
    /// `DATABASE.SCHEMA.PIPE` it came through; absent for rows of SQL statements.
    pub pipe: Option<String>,
    /// Name of the channel; absent for rows of SQL statements.
    pub channel: Option<String>,
    /// Offset token of its append.
    pub offset_token: Option<String>,
    /// Its values by column, as SQL would print them; `null` for NULL.
    pub values: Map<String, Value>,
}

/// The rows of a table after row number `after`, at most `limit`; `None` when there is no such table.
pub(crate) fn rows(
    account: &Account,
    path: &Path,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Option<StoredRows>> {
    let catalog = account.catalog();
    let Some(table) = catalog.table(path) else { return Ok(None) };
    let columns: String = table.columns.iter().map(|column| format!(", t.{}", column.stored())).collect();
    let statement = format!(
        "SELECT t.rowid, t._c, t._ch, t._t, c.at{columns} FROM {} t LEFT JOIN _commits c ON c.id = t._c \
         WHERE t.rowid > ? ORDER BY t.rowid LIMIT ?",
        table.stored()
    );
    let names = account.channels.names();
    let connection = account.store.reader();
    let mut select = connection.prepare(&statement)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = select.query_map([after, limit], |row| stored(row, table, &names))?;
    let rows = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows.last().filter(|_| full).map(|row| row.row);
    Ok(Some(StoredRows { table: path.to_string(), rows, next }))
}

fn stored(
    row: &rusqlite::Row<'_>,
    table: &Table,
    names: &HashMap<i64, (String, String)>,
) -> rusqlite::Result<StoredRow> {
    let channel: Option<i64> = row.get(2)?;
    let from = channel.map(|id| name_of(names, id));
    let value = |(at, column): (usize, &crate::catalog::Column)| {
        let cell: Cell<'static> = row.get(at + 5)?;
        Ok((column.name.clone(), display(&cell, &column.data_type).map_or(Value::Null, Value::from)))
    };
    Ok(StoredRow {
        row: row.get(0)?,
        commit: row.get(1)?,
        committed_at: row.get(4)?,
        pipe: from.as_ref().map(|(pipe, _)| pipe.clone()),
        channel: from.map(|(_, channel)| channel),
        offset_token: row.get(3)?,
        values: table.columns.iter().enumerate().map(value).collect::<rusqlite::Result<_>>()?,
    })
}

/// Pipe and name of a channel; a number when it was gone before this process began.
fn name_of(names: &HashMap<i64, (String, String)>, id: i64) -> (String, String) {
    names.get(&id).cloned().unwrap_or_else(|| (String::new(), format!("channel {id}, gone")))
}

/// What is wrong with appends: those noted when they were committed, and those that the stored rows show.
pub(crate) fn violations(account: &Account) -> rusqlite::Result<Vec<String>> {
    let mut found = snapshot::violations(account);
    let catalog = account.catalog();
    let names = account.channels.names();
    let connection = account.store.reader();
    for (path, table) in catalog.tables() {
        found.extend(table_violations(&connection, &path, table, &names)?);
    }
    for channel in account.channels.all() {
        found.extend(behind(&channel));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Appends of a table's channels whose tokens do not ascend, or whose rows were stored by more than one commit.
fn table_violations(
    connection: &Connection,
    path: &Path,
    table: &Table,
    names: &HashMap<i64, (String, String)>,
) -> rusqlite::Result<Vec<String>> {
    let statement = format!(
        "SELECT _ch, _t, count(DISTINCT _c) FROM {} WHERE _ch IS NOT NULL AND _t IS NOT NULL \
         GROUP BY _ch, _t ORDER BY min(rowid)",
        table.stored()
    );
    let mut select = connection.prepare(&statement)?;
    let mut appends = select.query([])?;
    let mut last: HashMap<(String, String), Ascent> = HashMap::new();
    let mut found = Vec::new();
    while let Some(append) = appends.next()? {
        let (id, token, commits): (i64, String, u64) = (append.get(0)?, append.get(1)?, append.get(2)?);
        let (pipe, channel) = name_of(names, id);
        if commits > 1 {
            found.push(format!(
                "{path}: rows of {pipe} {channel} with token {token} were stored {commits} times"
            ));
        }
        if let Some(text) = last.entry((pipe.clone(), channel.clone())).or_default().step(&token) {
            found.push(format!("{path}: in {pipe} {channel} {text}"));
        }
    }
    Ok(found)
}

/// A committed token above the last accepted one would be a token that nobody sent.
fn behind(channel: &Channel) -> Option<String> {
    let state = channel.state();
    let mut ascent = Ascent::default();
    ascent.step(state.accepted.as_deref()?);
    let committed = state.progress.committed.as_deref()?;
    if state.accepted.as_deref() == Some(committed) || ascent.step(committed).is_some() {
        return None;
    }
    Some(format!("{} {}: {committed} is committed and was never accepted", channel.key.pipe, channel.name))
}
