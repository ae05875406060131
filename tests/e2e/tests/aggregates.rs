//! Aggregates of the Kinesis Producer Library, well-formed and broken, through a source.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::vectors::{Aggregate, aggregates};
use e2e::{Intake, Rig};

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
