//! Rows that do not fit, as they are counted and as the error table shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, params};
use serde_json::json;

use super::channel::{Channel, Pending};
use crate::catalog::Table;
use crate::values::Failure;

/// A refused row.
#[derive(Debug)]
pub(crate) struct RowError {
    pub(crate) code: u32,
    pub(crate) message: String,
    /// Column, when one is to blame.
    pub(crate) source: Option<String>,
    /// Whether the row is a JSON object at all.
    pub(crate) is_json: bool,
}

impl RowError {
    pub(crate) fn of_column(failure: Failure, column: &str) -> Self {
        RowError { code: failure.code, message: failure.message, source: Some(column.into()), is_json: true }
    }

    pub(crate) fn of_mapping(failure: Failure) -> Self {
        RowError { code: failure.code, message: failure.message, source: None, is_json: true }
    }

    pub(crate) fn missing(column: &str) -> Self {
        let message = format!("NULL result in a non-nullable column '{column}'");
        RowError { code: 100_072, message, source: Some(column.into()), is_json: true }
    }

    pub(crate) fn not_json(why: &str) -> Self {
        let message = format!("Error parsing JSON: {why}");
        RowError { code: 100_069, message, source: None, is_json: false }
    }
}

/// Writes a refused row to the error table.
pub(crate) fn log(
    connection: &Connection,
    table: &Table,
    channel: &Channel,
    append: &Pending,
    row: &[u8],
    error: &RowError,
    commit: i64,
) -> rusqlite::Result<()> {
    let text = std::str::from_utf8(row);
    let (data, kind) = match text {
        Ok(text) if error.is_json => (text.to_owned(), "json"),
        Ok(text) => (serde_json::Value::from(text).to_string(), "json-invalid"),
        Err(_) => (serde_json::Value::from(STANDARD.encode(row)).to_string(), "binary-base64"),
    };
    let metadata = json!({
        "error_code": error.code,
        "error_message": error.message,
        "error_source": error.source,
        "sql_state": "22000",
        "service": "snowpipe_streaming",
        "details": {
            "pipe_name": channel.key.pipe.to_string(),
            "channel_name": channel.name,
            "offset_token_lower_bound": append.start,
            "offset_token_upper_bound": append.end,
            "error_data_truncated": false,
            "error_data_content_type": kind,
        },
    });
    let insert = format!("INSERT INTO {} VALUES (?, sf_now(), ?, ?, ?, ?)", table.stored_errors());
    connection.prepare_cached(&insert)?.execute(params![
        commit,
        Option::<String>::None,
        error.code,
        metadata.to_string(),
        data
    ])?;
    Ok(())
}
