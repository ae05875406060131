//! Finds or makes the checkpoint table.

use crate::core::{Core, within};
use crate::messages::Level;
use crate::store::TableState;
use crate::trouble::{Service, Trouble};
use std::time::Duration;

/// Pause between two looks at a table that is not ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause between two looks at a table that cannot be used.
const LOOK_AT_FOREIGN: Duration = Duration::from_secs(10);

/// Returns when the table can be used. A table of another layout is left alone, and told about, for as long as it is
/// there.
pub(crate) async fn table(core: &Core, limit: Duration) -> Result<(), Trouble> {
    let mut created = false;
    loop {
        let state = within(limit, Service::DynamoDb, "DescribeTable", core.store.table()).await?;
        core.works(Service::DynamoDb);
        match state {
            TableState::Ready => return Ok(()),
            TableState::Missing if created => tokio::time::sleep(LOOK_EVERY).await,
            TableState::Missing => {
                within(limit, Service::DynamoDb, "CreateTable", core.store.create()).await?;
                created = true;
                core.messages.once(
                    Level::Info,
                    format!("Created table \"{}\" for the positions.", core.config.application_name),
                );
            }
            TableState::NotReady(_) => tokio::time::sleep(LOOK_EVERY).await,
            TableState::Legacy | TableState::Foreign(_) => {
                core.messages.say(Level::Error, "table/layout", layout_text(core, &state));
                tokio::time::sleep(LOOK_AT_FOREIGN).await;
            }
        }
    }
}

/// Why a table cannot be used.
pub(crate) fn layout_text(core: &Core, state: &TableState) -> String {
    unusable(&core.config.application_name, state)
}

/// As [`layout_text`], by name.
pub(crate) fn unusable(table: &str, state: &TableState) -> String {
    match state {
        TableState::Legacy => format!(
            "Table \"{table}\" is a lease table of the Kinesis Client Library (key leaseKey), as older releases of \
             Apache NiFi made it. This release does not take over its positions and does not touch it. Use another \
             Application Name."
        ),
        TableState::Foreign(keys) => format!(
            "Table \"{table}\" exists and has other keys ({keys}) than a checkpoint table (streamName, shardId). It \
             is left alone. Use another Application Name."
        ),
        _ => String::new(),
    }
}
