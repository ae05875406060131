//! The account's state at one moment, for a page or a test.

use serde::Serialize;

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
    /// Rows stored.
    pub rows_inserted: u64,
    /// Rows read.
    pub rows_parsed: u64,
    /// Rows refused.
    pub rows_error_count: u64,
    /// Message of the last refused row.
    pub last_error_message: Option<String>,
}
