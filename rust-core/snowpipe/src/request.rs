//! What a caller says about a FlowFile before its content is read.

use std::collections::BTreeMap;

use record::ShardedNumber;

use crate::error::{ConfigError, SinkError};
use crate::properties::Properties;

/// The object rows go to, names as the user writes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Database name.
    pub database: String,
    /// Schema name.
    pub schema: String,
    /// Table or pipe.
    pub object: Object,
}

/// Table or pipe of a [`Destination`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// A table; rows go through its default pipe.
    Table(String),
    /// A pipe of the user's.
    Pipe(String),
}

impl Destination {
    /// Reads `Database`, `Schema` and `Table` or `Pipe`.
    ///
    /// # Errors
    /// Names the property that is missing.
    pub fn from_properties(map: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties::new(map);
        let object = match (p.text("Pipe"), p.text("Table")) {
            (Some(pipe), None) => Object::Pipe(pipe.to_owned()),
            (None, Some(table)) => Object::Table(table.to_owned()),
            (None, None) => return Err(ConfigError::new("Table", "a table or a pipe is required")),
            (Some(pipe), Some(table)) => match p.text("Destination Type") {
                Some("PIPE") => Object::Pipe(pipe.to_owned()),
                _ => Object::Table(table.to_owned()),
            },
        };
        Ok(Self {
            database: p.required("Database")?.to_owned(),
            schema: p.required("Schema")?.to_owned(),
            object,
        })
    }
}

/// One FlowFile that is to be published.
#[derive(Debug, Clone)]
pub struct UploadRequest {
    /// Where its rows go.
    pub destination: Destination,
    /// Name of the channel before sanitising.
    pub channel_group: String,
    /// Token of the first row.
    pub start: Option<ShardedNumber>,
    /// Token of the last row.
    pub end: Option<ShardedNumber>,
    /// Token of the row before the first one; `0` when there is none. Without it gaps are not noticed.
    pub previous: Option<ShardedNumber>,
    /// Size of the content in bytes.
    pub size: u64,
    /// Number of rows, when known.
    pub records: Option<u64>,
}

impl UploadRequest {
    /// Reads `Database`, `Schema`, `Table`|`Pipe`, `Channel Group`, `Offset Token Start`, `Offset Token End`,
    /// `Offset Token Previous`, `Size` and `Records`. Which tokens are needed is decided by the sink's resolution.
    ///
    /// # Errors
    /// Names the value that is missing or malformed.
    pub fn from_properties(map: &BTreeMap<String, String>) -> Result<Self, SinkError> {
        let p = Properties::new(map);
        Ok(Self {
            destination: Destination::from_properties(map)?,
            channel_group: p.text("Channel Group").unwrap_or("SHARED").to_owned(),
            start: token(&p, "Offset Token Start")?,
            end: token(&p, "Offset Token End")?,
            previous: token(&p, "Offset Token Previous")?,
            size: p.number("Size", 0)?,
            records: p.text("Records").and_then(|text| text.parse().ok()),
        })
    }
}

fn token(p: &Properties, name: &str) -> Result<Option<ShardedNumber>, ConfigError> {
    p.text(name)
        .map(|text| {
            text.parse().map_err(|_| ConfigError::new(name, format!("\"{text}\" is not a decimal number")))
        })
        .transpose()
}
