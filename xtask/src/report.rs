//! The figures of a demo, for people and as JSON.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result, io};
use crate::latency::Latency;

/// What a demo found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Records put onto the stream, the bad ones included.
    pub sent: u64,
    /// Rows in the table.
    pub rows: u64,
    /// Good records without a row.
    pub missing: u64,
    /// Rows more than one for a record.
    pub duplicated: u64,
    /// Rows whose metadata are not what Kinesis answered.
    pub wrong_metadata: u64,
    /// Rows with another column that is not what was put.
    pub wrong_values: u64,
    /// Records that came out of `parse-failure`.
    pub parse_failures: u64,
    /// From the arrival in Kinesis to the commit in Snowflake, in milliseconds.
    /// Null for an interactive table, which has no row timestamp.
    pub latency_ms: Option<Latency>,
    /// From the first record put until the last row was in the table.
    pub seconds: f64,
    /// Shards at the end, closed ones included.
    pub shards: usize,
    /// How the stream was read.
    pub consumer_type: String,
    /// What the rows went to, as on the command line.
    pub destination: String,
}

/// Writes a value as JSON to a file.
pub fn write(value: &impl Serialize, file: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Other(error.to_string()))?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(io(format!("creating {}", folder.display())))?;
    }
    std::fs::write(file, text + "\n").map_err(io(format!("writing {}", file.display())))
}
