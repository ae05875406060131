//! The account's state at one moment, for a page or a test.

use serde::Serialize;

use crate::account::Account;
use crate::streaming::Channel;

/// Tables and channels at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Tables, by name.
    pub tables: Vec<TableView>,
    /// Channels, by pipe and name.
    pub channels: Vec<ChannelView>,
}

/// One table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableView {
    /// Database.
    pub database: String,
    /// Schema.
    pub schema: String,
    /// Table.
    pub name: String,
    /// Column names and types.
    pub columns: Vec<(String, String)>,
    /// Rows in the table.
    pub rows: u64,
    /// Rows in its error table.
    pub error_rows: u64,
    /// When rows were last committed, milliseconds since 1970.
    pub last_commit_ms: Option<i64>,
}

/// One channel.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChannelView {
    /// `DATABASE.SCHEMA.PIPE`.
    pub pipe: String,
    /// Channel name.
    pub name: String,
    /// `SUCCESS`, or why the channel must be opened again.
    pub status: String,
    /// Offset token of the last committed append.
    pub committed_offset_token: Option<String>,
    /// Offset token of the last accepted append.
    pub accepted_offset_token: Option<String>,
    /// Appends accepted and not yet committed.
    pub pending_appends: usize,
    /// Their uncompressed bytes.
    pub pending_bytes: u64,
    /// Milliseconds that the oldest of them has waited.
    pub lag_ms: i64,
    /// Mean time from an append to its commit, in milliseconds.
    pub latency_ms: i64,
    /// Rows stored.
    pub rows_inserted: u64,
    /// Rows read.
    pub rows_parsed: u64,
    /// Rows refused.
    pub rows_error_count: u64,
    /// Message of the last refused row.
    pub last_error_message: Option<String>,
    /// When it was opened first, milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last opened or written to.
    pub last_used_ms: i64,
    /// The newest committed appends, oldest first.
    #[serde(skip)]
    pub committed: Vec<CommittedRange>,
}

/// A committed append, for tests that check ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommittedRange {
    /// First offset token, when the client sent it.
    pub start: Option<String>,
    /// Last offset token.
    pub end: Option<String>,
}

pub(crate) fn take(account: &Account) -> Snapshot {
    let catalog = account.catalog();
    let tables = catalog.tables().map(|(path, table)| {
        let counts = account.counts(table.id);
        TableView {
            database: path.database,
            schema: path.schema,
            name: path.name,
            columns: table.columns.iter().map(|c| (c.name.clone(), c.data_type.to_string())).collect(),
            rows: counts.rows,
            error_rows: counts.error_rows,
            last_commit_ms: counts.last_commit_ms,
        }
    });
    let now_ms = account.clock().now_ms();
    let channels = account.channels.all().iter().map(|channel| view(channel, now_ms)).collect();
    Snapshot { tables: tables.collect(), channels }
}

fn view(channel: &Channel, now_ms: i64) -> ChannelView {
    let state = channel.state();
    ChannelView {
        pipe: channel.key.pipe.to_string(),
        name: channel.name.clone(),
        status: state.status.code().to_owned(),
        committed_offset_token: state.progress.committed.clone(),
        accepted_offset_token: state.accepted.clone(),
        pending_appends: state.pending.len(),
        pending_bytes: state.pending.iter().map(|append| u64::try_from(append.body.len()).unwrap_or(0)).sum(),
        lag_ms: state.pending.front().map_or(0, |append| (now_ms - append.accepted_ms).max(0)),
        latency_ms: state.progress.latency_ms,
        rows_inserted: state.progress.rows_inserted,
        rows_parsed: state.progress.rows_parsed,
        rows_error_count: state.progress.rows_errors,
        last_error_message: state.progress.last_error.as_ref().map(|error| error.message.clone()),
        created_ms: channel.created_ms,
        last_used_ms: state.last_used_ms,
        committed: state.history.ranges(),
    }
}

pub(crate) fn violations(account: &Account) -> Vec<String> {
    let mut found = account.channels.past_violations();
    for channel in account.channels.all() {
        let state = channel.state();
        let own = state.history.violations().iter();
        found.extend(own.map(|violation| format!("{} {}: {violation}", channel.key.pipe, channel.name)));
    }
    found
}
