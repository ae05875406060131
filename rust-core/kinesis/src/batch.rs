//! What a source hands out: batches of parts, settled as a whole.

use crate::budget::Permit;
use bytes::Bytes;

/// Parts that are committed or rolled back together.
pub struct Batch {
    /// Names the batch in [`crate::Source::settle`]; never used twice by one source.
    pub id: u64,
    /// All of one shard, in the order of the shard.
    pub parts: Vec<Part>,
    /// The memory is given back to the budget when the last owner lets the batch go.
    _permits: Vec<Permit>,
}

impl Batch {
    pub(crate) fn new(id: u64, parts: Vec<Part>, permits: Vec<Permit>) -> Self {
        Self { id, parts, _permits: permits }
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("id", &self.id).field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// Content and attributes of one FlowFile.
pub struct Part {
    /// The content is a payload that could not be turned into a row, byte for byte.
    pub failed: bool,
    /// NDJSON rows, payloads as the processing strategy joins them, or the failed payload.
    pub content: Bytes,
    /// Records in `content`; 1 for a failed payload.
    pub records: u64,
    /// All attributes of the FlowFile.
    pub attributes: Vec<(&'static str, String)>,
    /// `kinesis://<stream>/<shard>`
    pub transit_uri: String,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("failed", &self.failed)
            .field("bytes", &self.content.len())
            .field("records", &self.records)
            .field("transit_uri", &self.transit_uri)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// Value of one attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}
