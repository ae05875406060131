//! Parts in the making.

use crate::budget::Permit;
use bytes::Bytes;
use record::Position;
use tokio::time::Instant;

/// What a part will hold.
pub(crate) enum Content {
    /// Many records: NDJSON, or payloads with a separator between them.
    Joined(Vec<u8>),
    /// One payload, byte for byte.
    Alone {
        payload: Bytes,
        /// Why it is no row, without any of its bytes; `None` where it need not be one.
        reject: Option<String>,
    },
}

impl Content {
    /// Bytes of the FlowFile.
    pub(crate) fn len(&self) -> usize {
        match self {
            Content::Joined(bytes) => bytes.len(),
            Content::Alone { payload, .. } => payload.len(),
        }
    }

    /// Bytes of memory.
    pub(crate) fn footprint(&self) -> usize {
        match self {
            Content::Joined(bytes) => bytes.capacity(),
            // Where each record is alone, what is known of it takes as much as a small payload.
            Content::Alone { payload, .. } => payload.len() + size_of::<Draft>(),
        }
    }
}

/// Rejected payloads from between the records of one joined draft, after which it takes no more: all of them are in one
/// batch, and NiFi keeps the FlowFiles of a session in memory.
const ENCLOSED: usize = 1_000;

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
    /// Drafts right before this one whose positions lie between those in it. They leave in the same batch.
    pub(crate) enclosed: usize,
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
    /// More records may be added, up to `full` bytes.
    pub(crate) fn takes_more(&self, full: usize) -> bool {
        matches!(self.content, Content::Joined(_)) && self.content.len() < full && self.enclosed < ENCLOSED
    }

    /// Goes on as rows, not as a rejected payload.
    pub(crate) fn is_success(&self) -> bool {
        !matches!(self.content, Content::Alone { reject: Some(_), .. })
    }
}
