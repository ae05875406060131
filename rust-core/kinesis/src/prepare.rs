//! What is said about a table that cannot be used as it is.

use crate::store::TableState;

/// By name of the table.
pub(crate) fn unusable(table: &str, state: &TableState) -> String {
    match state {
        TableState::Legacy => format!(
            "Table \"{table}\" is a lease table of the Kinesis Client Library (key leaseKey), as older releases of \
             Apache NiFi made it. Its positions are taken over at the first start, by way of table \
             \"{table}_migration\"."
        ),
        TableState::Foreign(keys) => format!(
            "Table \"{table}\" exists and has other keys ({keys}) than a checkpoint table (streamName, shardId). It \
             is left alone. Use another Application Name."
        ),
        _ => String::new(),
    }
}
