//! Aggregates of the Kinesis Producer Library, well-formed and broken, through a source.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::vectors::{Aggregate, aggregates};
use e2e::{Intake, Rig};
use local_cloud::kpl_aggregate;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const KEY: &str = "key of the Kinesis record";

/// Partition key, sub-sequence and payload of each record that must come out.
fn expected(aggregate: &Aggregate) -> Vec<(&str, usize, &[u8])> {
    match &aggregate.records {
        Some(records) => records
            .iter()
            .enumerate()
            .map(|(index, (key, data))| (key.as_str(), index, data.as_slice()))
            .collect(),
        None => vec![(KEY, 0, &aggregate.data)],
    }
}

/// Whether a payload becomes a row; all others are found whole among the failures.
fn is_row(data: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(data).is_ok_and(|value| value.is_object())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_comes_out_once_with_its_own_position_and_key() {
    let rig = Rig::without_table(1).await.unwrap();
    let corpus = aggregates().unwrap();
    let mut want = Vec::new();
    for aggregate in &corpus {
        let receipt = rig.cloud.kinesis().put(&rig.stream, KEY, aggregate.data.clone()).unwrap();
        for (key, sub_sequence, data) in expected(aggregate) {
            let number = format!("{}{sub_sequence:020}", receipt.sequence_number);
            want.push((aggregate.name.as_str(), number, key, data));
        }
    }
    let mut intake = Intake::start(&rig.source_properties("aggregates")).unwrap();
    intake.run_until(LIMIT, want.len() as u64).await.unwrap();

    let rows: Vec<serde_json::Value> = intake
        .parts()
        .filter(|part| !part.failed)
        .flat_map(|part| record::lines(&part.content))
        .map(|row| serde_json::from_slice(row).unwrap())
        .collect();
    let failed: Vec<_> = intake.parts().filter(|part| part.failed).collect();
    assert_eq!(rows.len() + failed.len(), want.len());
    let (mut rows, mut failed) = (rows.iter(), failed.iter());
    for (name, number, key, data) in want {
        if is_row(data) {
            let metadata = &rows.next().expect(name)["kinesisMetadata"];
            assert_eq!(metadata["shardedSequenceNumber"], number.as_str(), "{name}");
            assert_eq!(metadata["partitionKey"], key, "{name}");
        } else {
            let part = failed.next().expect(name);
            assert_eq!(part.content, data, "{name}");
            assert_eq!(part.attribute("aws.kinesis.first.sharded.sequence.number"), Some(&*number), "{name}");
            assert_eq!(part.attribute("aws.kinesis.partition.key"), Some(key), "{name}");
        }
    }
    intake.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregate_without_records_holds_up_nobody() {
    let rig = Rig::without_table(2).await.unwrap();
    let corpus = aggregates().unwrap();
    let empty = corpus.iter().find(|aggregate| aggregate.name == "no records, with keys").unwrap();
    let shards = rig.cloud.kinesis().shards(&rig.stream).unwrap();
    rig.cloud.kinesis().put_to_shard(&rig.stream, &shards[0].id, KEY, empty.data.clone()).unwrap();
    for shard in &shards {
        rig.cloud.kinesis().put_to_shard(&rig.stream, &shard.id, KEY, r#"{"after":1}"#).unwrap();
    }
    let mut intake = Intake::start(&rig.source_properties("empty-aggregate")).unwrap();
    intake.run_until(LIMIT, 2).await.unwrap();
    assert!(intake.parts().all(|part| !part.failed && part.records == 1));
    intake.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_aggregates_come_apart_completely() {
    let rig = Rig::without_table(1).await.unwrap();
    rig.cloud.kinesis().set_max_record_kib(&rig.stream, 10_240).unwrap();
    let mut want = Vec::new();
    // One mebibyte of small records, five of middling ones, almost ten of large ones.
    for (count, bytes) in [(10_000, 90), (2_500, 2_000), (9, 1_100_000)] {
        let payloads: Vec<Vec<u8>> = (0..count)
            .map(|n| format!("{{\"n\":{n},\"x\":\"{}\"}}", "y".repeat(bytes)).into_bytes())
            .collect();
        let aggregate = kpl_aggregate(payloads.iter().map(|p| ("inner", p.as_slice())));
        let receipt = rig.cloud.kinesis().put(&rig.stream, KEY, aggregate).unwrap();
        want.extend((0..count).map(|n| (n, format!("{}{n:020}", receipt.sequence_number))));
    }
    let mut intake = Intake::start(&rig.source_properties("large")).unwrap();
    intake.run_until(LIMIT, want.len() as u64).await.unwrap();
    let rows = intake.parts().flat_map(|part| record::lines(&part.content));
    let rows = rows.map(|row| serde_json::from_slice::<serde_json::Value>(row).unwrap());
    let got: Vec<_> = rows
        .map(|row| {
            let position = row["kinesisMetadata"]["shardedSequenceNumber"].as_str().unwrap().to_owned();
            (usize::try_from(row["n"].as_u64().unwrap()).unwrap(), position)
        })
        .collect();
    assert!(got == want, "{} rows of {}", got.len(), want.len());
    assert!(intake.parts().all(|part| !part.failed));
    intake.stop().await;
    rig.cloud.stop().await;
}

/// Older connectors store a sub-sequence with the position; what is behind it in the aggregate is still to come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_position_inside_an_aggregate_is_resumed_exactly() {
    for strategy in ["RECORD", "FLOW_FILE", "LINE_DELIMITED"] {
        let rig = Rig::without_table(1).await.unwrap();
        let payloads: Vec<Vec<u8>> = (0..10).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
        let aggregate = kpl_aggregate(payloads.iter().map(|p| ("inner", p.as_slice())));
        let receipt = rig.cloud.kinesis().put(&rig.stream, KEY, aggregate).unwrap();
        rig.cloud.kinesis().put(&rig.stream, KEY, r#"{"n":10}"#).unwrap();
        let key = |name, kind| json!({ "AttributeName": name, "KeyType": kind });
        let attribute = |name| json!({ "AttributeName": name, "AttributeType": "S" });
        let table = json!({
            "TableName": "inside",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("streamName"), attribute("shardId")],
            "KeySchema": [key("streamName", "HASH"), key("shardId", "RANGE")],
        });
        rig.cloud.dynamodb().request("CreateTable", &table).unwrap();
        let item = json!({
            "streamName": { "S": rig.stream },
            "shardId": { "S": receipt.shard_id },
            "sequenceNumber": { "S": receipt.sequence_number },
            "subSequenceNumber": { "N": "3" },
        });
        let put = json!({ "TableName": "inside", "Item": item });
        rig.cloud.dynamodb().request("PutItem", &put).unwrap();

        let mut properties = rig.source_properties("inside");
        properties.insert("Processing Strategy".to_owned(), strategy.to_owned());
        properties.insert("Output Strategy".to_owned(), "USE_VALUE".to_owned());
        let mut intake = Intake::start(&properties).unwrap();
        intake.run_until(LIMIT, 7).await.unwrap();
        let between = if strategy == "FLOW_FILE" { &b"\n"[..] } else { b"" };
        let content: Vec<&[u8]> = intake.parts().flat_map(|part| [&part.content[..], between]).collect();
        let text = String::from_utf8(content.concat()).unwrap();
        let expected: Vec<String> = (4..11).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(text.trim_end().lines().collect::<Vec<_>>(), expected, "{strategy}");
        let first = intake.parts().next().unwrap();
        assert_eq!(first.attribute("aws.kinesis.first.subsequence.number"), Some("4"), "{strategy}");
        intake.stop().await;
        rig.cloud.stop().await;
    }
}
