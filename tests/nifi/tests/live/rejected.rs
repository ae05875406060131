//! Rows that Snowflake rejects and payloads that are no rows, on their way out of the flow.

use std::sync::Arc;
use std::time::Duration;

use local_cloud::Receipt;
use nifi_harness::Connector;
use nifi_harness::rest::{Connection, wait_for};
use serde_json::json;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const ARRIVAL: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(10);
const RECORDS: u64 = 5_000;
/// Each of so many does not fit the table.
const BAD: u64 = 1_000;
const ERRORS: &str = "channel.status.row.errors.added";
/// No rows, put among them: cut short, two values, an array, no UTF-8, nothing.
const NO_ROWS: [&[u8]; 5] = [b"{\"id\": 1, \"a", b"{}{}", b"[1]", b"{\"a\":\"\xff\xfe\x00\"}", b""];

/// A payload and where Kinesis stored it.
type Put = (&'static [u8], Receipt);

/// With *Invalid Rows* Rows and a warehouse, `invalid` gets the rejected rows and no others. A `parse-failure` that is
/// connected gets each payload that is no row, byte for byte, with its position and the reason.
pub async fn only_the_rejected_rows_are_invalid_and_what_is_no_row_can_be_kept(world: Arc<World>) -> Outcome {
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
    let failures = keep_failures(&connector).await?;
    rest.start_group(&connector.group).await?;
    let no_rows = put(&world, &settings.stream)?;
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
    check_failures(&connector, &failures, &no_rows).await?;
    connector.remove().await?;
    Ok(Verdict::Passed)
}

fn row(n: u64) -> String {
    match n % BAD == BAD / 2 {
        true => format!("{{\"id\":{n},\"amount\":\"no number {n}\"}}"),
        false => format!("{{\"id\":{n},\"amount\":{n}}}"),
    }
}

/// Puts rows that fit, rows that do not, and between them payloads that are no rows, which are returned.
fn put(world: &World, stream: &str) -> Result<Vec<Put>, Box<dyn std::error::Error + Send + Sync>> {
    let mut no_rows = Vec::new();
    for n in 0..RECORDS {
        world.cloud.kinesis().put(stream, "key", row(n))?;
        if let Some(payload) = NO_ROWS.get(usize::try_from(n / BAD)?).filter(|_| n % BAD == BAD / 3) {
            no_rows.push((*payload, world.cloud.kinesis().put(stream, "odd", *payload)?));
        }
    }
    Ok(no_rows)
}

/// Connects `parse-failure`, which the delivered flow discards.
async fn keep_failures(connector: &Connector) -> nifi_harness::Result<Connection> {
    let Connector { rest, group, consumer, .. } = connector;
    rest.terminate_only(consumer, &[]).await?;
    let funnel = rest.add_funnel(group).await?;
    let (from, to) = ((consumer.as_str(), "PROCESSOR"), (funnel.as_str(), "FUNNEL"));
    rest.connect(group, from, &["parse-failure"], to, 0).await
}

async fn check_failures(connector: &Connector, kept: &Connection, sent: &[Put]) -> Outcome {
    let rest = &connector.rest;
    let mut queued = rest.flow_files(&kept.id).await?;
    ensure!(queued.len() == sent.len(), "{} payloads of {} at parse-failure", queued.len(), sent.len());
    for (payload, receipt) in sent {
        let mut found = None;
        for (at, flow_file) in queued.iter().enumerate() {
            let attributes = rest.attributes(&kept.id, &flow_file.uuid).await?;
            if attributes.get("aws.kinesis.first.sequence.number") == Some(&receipt.sequence_number) {
                found = Some((at, attributes));
            }
        }
        let Some((at, attributes)) = found else { return Err(format!("{receipt:?} is missing").into()) };
        let flow_file = queued.remove(at);
        // NiFi shows no content where there is none.
        let content = match flow_file.size {
            0 => Vec::new(),
            _ => rest.content(&kept.id, &flow_file.uuid).await?,
        };
        ensure!(content == *payload, "{content:?} instead of {payload:?}");
        let attribute = |name: &str| attributes.get(name).map_or("", String::as_str);
        ensure!(attribute("aws.kinesis.shard.id") == receipt.shard_id, "{attributes:?}");
        ensure!(attribute("aws.kinesis.partition.key") == "odd", "{attributes:?}");
        ensure!(!attribute("record.error.message").is_empty(), "{attributes:?}");
    }
    let counted = connector.parse_failures().await?;
    ensure!(counted == u64::try_from(sent.len())?, "{counted} parse failures are counted");
    Ok(Verdict::Passed)
}
