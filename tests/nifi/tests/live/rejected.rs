//! Rows that Snowflake rejects, on their way out of the flow.

use std::sync::Arc;
use std::time::Duration;

use nifi_harness::rest::wait_for;
use serde_json::json;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const ARRIVAL: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(10);
const RECORDS: u64 = 5_000;
/// Each of so many does not fit the table.
const BAD: u64 = 1_000;
const ERRORS: &str = "channel.status.row.errors.added";

/// With *Invalid Rows* Rows and a warehouse, `invalid` gets the rejected rows and no others.
pub async fn only_the_rejected_rows_are_invalid(world: Arc<World>) -> Outcome {
    let (settings, _producer) = world.prepare("rejected", 1).await?;
    world.sql.query(&format!("ALTER TABLE {} ADD COLUMN AMOUNT NUMBER", settings.full_table())).await?;
    let connector = world.import(&settings).await?;
    let rest = &connector.rest;
    rest.set_parameters(&connector.context, &settings.parameters(&world.endpoints)?).await?;
    let rows = json!({ "Invalid Rows": "ROWS", "Warehouse": "COMPUTE_WH" });
    rest.set_properties(&connector.publisher, rows).await?;
    let findings = rest.verify_processor(&connector.publisher).await?;
    let told = findings.iter().find(|finding| finding.step == "Rejected Rows");
    ensure!(told.is_some_and(|finding| finding.outcome == "SUCCESSFUL"), "{findings:?}");
    rest.start_group(&connector.group).await?;
    let row = |n: u64| match n % BAD == BAD / 2 {
        true => format!("{{\"id\":{n},\"amount\":\"no number {n}\"}}"),
        false => format!("{{\"id\":{n},\"amount\":{n}}}"),
    };
    for n in 0..RECORDS {
        world.cloud.kinesis().put(&settings.stream, "key", row(n))?;
    }
    let bad = RECORDS / BAD;
    world.wait_for_rows(&settings, RECORDS - bad, ARRIVAL).await?;
    let mut connections = rest.connections(&connector.group).await?;
    connections.retain(|connection| connection.selected_relationships.iter().any(|name| name == "invalid"));
    wait_for("rejected rows", ARRIVAL, || async {
        let mut rows = 0;
        for connection in &connections {
            for flow_file in rest.flow_files(&connection.id).await? {
                let attributes = rest.attributes(&connection.id, &flow_file.uuid).await?;
                rows += attributes.get(ERRORS).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok((rows >= bad).then_some(()))
    })
    .await?;
    connector.stop(STOP).await?;
    let (mut found, mut counted) = (Vec::new(), 0);
    for connection in &connections {
        for flow_file in rest.flow_files(&connection.id).await? {
            let attributes = rest.attributes(&connection.id, &flow_file.uuid).await?;
            let said = attributes.get("snowpipe.streaming.message").cloned().unwrap_or_default();
            ensure!(said.contains("100038 Numeric value"), "{said}");
            counted += attributes.get(ERRORS).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            let content = String::from_utf8(rest.content(&connection.id, &flow_file.uuid).await?)?;
            found.extend(content.lines().map(str::to_owned));
        }
    }
    let exactly = (0..RECORDS).filter(|n| n % BAD == BAD / 2).map(row).collect::<Vec<_>>();
    let same = found.len() == exactly.len()
        && exactly.iter().all(|row| {
            let own = row.trim_matches(['{', '}']);
            found.iter().filter(|line| line.contains(own)).count() == 1
        });
    ensure!(same, "{found:?}");
    ensure!(counted == bad, "{counted} rows are said to be rejected, {bad} are");
    ensure!(world.rows(&settings).await? == RECORDS - bad, "rows in the table");
    connector.remove().await?;
    Ok(Verdict::Passed)
}
