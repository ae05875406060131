//! The processing strategies, as what lies in the queue behind the consumer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nifi_harness::Connector;
use nifi_harness::rest::wait_for;
use serde_json::json;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const ARRIVAL: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);
const BETWEEN: &str = " <\u{1F600}>\n";
const PAYLOADS: [&[u8]; 4] = [b"no JSON", b"", b"\xff\x00\n\r\xfe", b"{\"a\":1}"];
/// Enough that FlowFiles of single records need several to a session.
const MORE: usize = 3_000;

/// Content and attributes of the FlowFiles at the head of the queue.
type FlowFiles = Vec<(Vec<u8>, BTreeMap<String, String>)>;

pub async fn every_strategy_gives_upstream_s_content_and_attributes(world: Arc<World>) -> Outcome {
    let (settings, _producer) = world.prepare("strategies", 1).await?;
    let connector = world.import(&settings).await?;
    connector.rest.set_parameters(&connector.context, &settings.parameters(&world.endpoints)?).await?;
    let mut numbers = Vec::new();
    for (n, payload) in PAYLOADS.iter().enumerate() {
        let receipt = world.cloud.kinesis().put(&settings.stream, &format!("key-{n}"), *payload)?;
        numbers.push(receipt.sequence_number);
    }
    for strategy in ["LINE_DELIMITED", "DEMARCATOR"] {
        let between = if strategy == "DEMARCATOR" { BETWEEN.as_bytes() } else { b"\n" };
        let found = run(&connector, strategy, 1).await?;
        let [(content, attributes)] = found.as_slice() else { return Err("not one FlowFile".into()) };
        ensure!(*content == PAYLOADS.join(between), "{strategy}: {content:?}");
        range(attributes, &settings.stream, [&numbers[0], &numbers[3]], 3)?;
        ensure!(attributes.get("record.count").map(String::as_str) == Some("4"), "{attributes:?}");
    }
    for n in 0..MORE {
        world.cloud.kinesis().put(&settings.stream, "key", format!("record {n}"))?;
    }
    let found = run(&connector, "FLOW_FILE", PAYLOADS.len() + MORE).await?;
    for (n, (content, attributes)) in found.iter().take(PAYLOADS.len()).enumerate() {
        ensure!(content == PAYLOADS[n], "{n}: {content:?}");
        range(attributes, &settings.stream, [&numbers[n], &numbers[n]], n)?;
        ensure!(attributes.get("record.count").map(String::as_str) == Some("1"), "{attributes:?}");
    }
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// Runs the consumer alone, as a new application, until `count` FlowFiles lie behind it.
async fn run(
    connector: &Connector,
    strategy: &str,
    count: usize,
) -> Result<FlowFiles, Box<dyn std::error::Error + Send + Sync>> {
    let rest = &connector.rest;
    let properties = json!({
        "Application Name": format!("strategies-{strategy}"),
        "Processing Strategy": strategy,
        "Message Demarcator": if strategy == "DEMARCATOR" { json!(BETWEEN) } else { json!(null) },
        "Wire Format": if strategy == "FLOW_FILE" { "JSON" } else { "CBOR" },
    });
    rest.set_properties(&connector.consumer, properties).await?;
    for processor in rest.validated_processors(&connector.group).await? {
        ensure!(processor.validation_status == "VALID", "{strategy}: {:?}", processor.validation_errors);
    }
    rest.schedule_processor(&connector.consumer, "RUNNING").await?;
    wait_for("FlowFiles of the strategy", ARRIVAL, || async {
        let queued = rest.queued(&connector.group).await?.flow_files_queued;
        Ok((usize::try_from(queued).unwrap_or(0) >= count).then_some(()))
    })
    .await?;
    connector.stop(STOP).await?;
    let queued = rest.queued(&connector.group).await?.flow_files_queued;
    ensure!(usize::try_from(queued)? == count, "{strategy}: {queued} FlowFiles instead of {count}");
    let connection = rest.connections(&connector.group).await?.into_iter();
    let mut connection = connection.filter(|c| c.destination.id == connector.publisher);
    let connection = connection.next().ok_or("no connection to the publisher")?.id;
    let mut found = Vec::new();
    for flow_file in rest.flow_files(&connection).await?.iter().take(PAYLOADS.len()) {
        // NiFi refuses to show the content of a FlowFile without any.
        let content = match flow_file.size {
            0 => Vec::new(),
            _ => rest.content(&connection, &flow_file.uuid).await?,
        };
        found.push((content, rest.attributes(&connection, &flow_file.uuid).await?));
    }
    rest.empty_queues(&connector.group).await?;
    Ok(found)
}

/// Upstream's attributes for records `first` to `last`, and ours.
fn range(attributes: &BTreeMap<String, String>, stream: &str, ends: [&str; 2], last: usize) -> Outcome {
    let [first_number, last_number] = ends;
    let expected = [
        ("aws.kinesis.stream.name", stream.to_owned()),
        ("aws.kinesis.shard.id", "shardId-000000000000".to_owned()),
        ("aws.kinesis.partition.key", format!("key-{last}")),
        ("aws.kinesis.first.sequence.number", first_number.to_owned()),
        ("aws.kinesis.first.subsequence.number", "0".to_owned()),
        ("aws.kinesis.last.sequence.number", last_number.to_owned()),
        ("aws.kinesis.last.subsequence.number", "0".to_owned()),
        ("aws.kinesis.first.sharded.sequence.number", format!("{first_number}{:020}", 0)),
        ("aws.kinesis.last.sharded.sequence.number", format!("{last_number}{:020}", 0)),
    ];
    for (name, value) in expected {
        ensure!(attributes.get(name) == Some(&value), "{name} is not {value}: {attributes:?}");
    }
    for name in [
        "aws.kinesis.approximate.arrival.timestamp.ms",
        "aws.kinesis.lineage.id",
        "aws.kinesis.previous.sharded.sequence.number",
        "kinesis.millis.behind",
    ] {
        ensure!(attributes.contains_key(name), "no {name}: {attributes:?}");
    }
    for name in ["mime.type", "record.error.message"] {
        ensure!(!attributes.contains_key(name), "{name}: {attributes:?}");
    }
    Ok(Verdict::Passed)
}
