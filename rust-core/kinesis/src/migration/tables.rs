//! The two tables of a migration: the application's own (main), and `<application>_migration` (side), which holds the
//! rows while the main table is made anew, because a table's keys cannot be changed.
//!
//! The marker row of the side table has Apache NiFi's own attributes, so that NiFi's processor understands a half-done
//! migration of ours and keeps away while we hold the lock, and the other way round.

use super::lease::Lease;
use crate::api::{Answer, ShardId};
use crate::store::{Rows, ShardRow, StreamRow};
use record::SequenceNumber;
use std::collections::BTreeSet;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Main,
    Side,
}

/// Key schema of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// (streamName, shardId)
    Current,
    /// (leaseKey): the Kinesis Client Library's.
    Legacy,
    /// Something else; its keys, for the message.
    Foreign(String),
}

/// Where a table is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Creating,
    Active,
    Deleting,
}

/// What DescribeTable says; `None` when there is no table.
pub(crate) type Look = Option<(Layout, Life)>;

/// The row `__migration__` of our stream in the side table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Marker {
    /// `migrationStatus` is `COMPLETE`: the side table has all rows.
    pub(crate) complete: bool,
    /// `migrationOwner`
    pub(crate) migrator: Option<String>,
    /// `renameOwner`: who may change tables now.
    pub(crate) owner: Option<String>,
    /// `renameStartedAt`, epoch milliseconds; kept fresh by us.
    pub(crate) started: Option<i64>,
    /// `migrationEpoch`: grows when the lock changes hands. An addition of ours.
    pub(crate) epoch: Option<u64>,
    /// `migrationBeats`: grows while the holder lives. An addition of ours.
    pub(crate) beats: Option<u64>,
    /// `tableSwapped`: the main table has all rows; only the side table is left to delete. An addition of ours.
    pub(crate) swapped: bool,
}

/// The lock, held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) owner: String,
    pub(crate) epoch: u64,
}

/// All of the side table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Side {
    pub(crate) marker: Option<Marker>,
    /// Rows of our stream.
    pub(crate) rows: Rows,
    /// Other streams with rows.
    pub(crate) others: BTreeSet<String>,
}

impl Side {
    /// Why the table is not the side table of our migration, if so.
    pub(crate) fn foreign(&self) -> Option<String> {
        if !self.others.is_empty() {
            let names: Vec<&str> = self.others.iter().map(String::as_str).collect();
            return Some(format!("it has rows of {}", names.join(", ")));
        }
        if !self.rows.nodes.is_empty() {
            return Some("nodes of another application use it".to_owned());
        }
        let empty = self.rows.shards.is_empty() && self.rows.stream.is_none();
        (self.marker.is_none() && !empty).then(|| "it has rows but no mark of a migration".to_owned())
    }
}

/// A row to write.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) shard: ShardId,
    pub(crate) row: ShardRow,
    /// `sequenceNumber` must still be this in the table.
    pub(crate) seen: Option<SequenceNumber>,
}

/// The calls of a migration.
pub(crate) trait MigrationStore: Send + Sync {
    /// DescribeTable.
    fn look(&self, which: Which) -> Answer<'_, Look>;
    /// CreateTable in the current layout; a table that exists already is no error.
    fn make(&self, which: Which) -> Answer<'_, ()>;
    /// DeleteTable, in one attempt; a table that is gone is no error.
    fn unmake(&self, which: Which) -> Answer<'_, ()>;
    /// Scan of the legacy table with consistent reads: one page and where the next one begins.
    fn leases(&self, from: Option<String>) -> Answer<'_, (Vec<Lease>, Option<String>)>;
    /// GetItem of the marker with a consistent read.
    fn marker(&self) -> Answer<'_, Option<Marker>>;
    /// Scan of the side table with consistent reads, all pages.
    fn side(&self) -> Answer<'_, Side>;
    /// Query of the main table with consistent reads, all pages.
    fn main(&self) -> Answer<'_, Rows>;
    /// Takes the lock if the marker is still as `seen`. `false`: it is not.
    fn take<'a>(&'a self, seen: Option<&'a Marker>, owner: &'a str, now_ms: i64) -> Answer<'a, bool>;
    /// Sign of life of the holder. `false`: the lock is not ours any more. So for the next two.
    fn beat<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool>;
    /// Marks the side table as complete.
    fn complete<'a>(&'a self, lock: &'a Lock, rows: usize, now_ms: i64) -> Answer<'a, bool>;
    /// Marks the main table as complete.
    fn swapped<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool>;
    /// Writes positions into a row and leaves its lease alone. `false`: the position is not the one seen.
    fn copy<'a>(&'a self, which: Which, copy: &'a Copy, now_ms: i64) -> Answer<'a, bool>;
    /// Writes the stream's decision unless there is one.
    fn copy_stream(&self, which: Which, row: StreamRow) -> Answer<'_, ()>;
}
