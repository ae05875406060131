//! Things worth knowing about a destination before anything goes wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog;
use crate::core::Core;
use crate::names;
use crate::request::Destination;
use bulletin::Level;

/// The login may need its time, or the user's help.
const AGAIN: Duration = Duration::from_secs(30);

/// Says once that rows which the service rejects will not be kept. Without the right to ask nothing is said.
pub(crate) async fn error_logging(core: Arc<Core>, destination: Destination) {
    while core.api.ready().await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
    core.trips.pass("notice");
    let Ok(_turn) = core.opens.acquire().await else { return };
    let Ok(Some(target)) = catalog::target(&core.api, &destination).await else { return };
    let Ok(Some(table)) = catalog::table(&core.api, &target).await else { return };
    if table.error_logging == Some(false) {
        let label = names::label(&target.table);
        let text = format!(
            "{label} has no error logging: rows that Snowflake rejects are counted here and kept nowhere. ALTER TABLE … SET \
             ERROR_LOGGING = TRUE keeps them in ERROR_TABLE(<table>)"
        );
        core.messages.say(Level::Warn, &format!("error-logging/{label}"), text);
    }
}
