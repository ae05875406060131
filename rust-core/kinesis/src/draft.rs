//! Parts in the making.

use crate::budget::Permit;
use bytes::Bytes;
use record::Position;
use tokio::time::Instant;

/// What a part will hold.
pub(crate) enum Content {
    /// NDJSON.
    Rows(Vec<u8>),
    /// A payload that is no row, and why.
    Failed {
        /// Byte for byte.
        payload: Bytes,
        /// Without any of the payload's bytes.
        reason: String,
    },
}

impl Content {
    /// Bytes of the FlowFile.
    pub(crate) fn len(&self) -> usize {
        match self {
            Content::Rows(rows) => rows.len(),
            Content::Failed { payload, .. } => payload.len(),
        }
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        match self {
            Content::Rows(rows) => rows.capacity(),
            Content::Failed { payload, .. } => payload.len(),
        }
    }
}

/// A part that has not been handed out yet.
pub(crate) struct Draft {
    pub(crate) content: Content,
    pub(crate) records: u64,
    /// Position of the first record in it.
    pub(crate) first: Position,
    /// Position of the last record in it.
    pub(crate) last: Position,
    /// Everything up to here is in this draft or an earlier one. Beyond `last` when records without content followed.
    pub(crate) covers: Position,
    /// Ends with the end of a Kinesis record, so that a batch may end here.
    pub(crate) whole: bool,
    /// Of the last record.
    pub(crate) partition_key: String,
    /// Of the last record.
    pub(crate) arrival_ms: Option<i64>,
    /// As the service said with the page the last record came in.
    pub(crate) behind_ms: Option<i64>,
    /// When its first record was read.
    pub(crate) since: Instant,
    pub(crate) permit: Permit,
}

impl Draft {
    /// More rows may be added.
    pub(crate) fn is_rows(&self) -> bool {
        matches!(self.content, Content::Rows(_))
    }
}
