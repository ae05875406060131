//! Writers and tailing readers at once: a reader must never step over a record.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use local_cloud::{Clock, Kinesis, KinesisOptions};
use serde_json::{Value, json};

const WRITERS: u32 = 8;
const SHARDS: u32 = 4;
const BATCHES: u32 = 60;
const BATCH: u32 = 50;

fn call(kinesis: &Kinesis, operation: &str, body: &Value) -> Value {
    let answer = kinesis.call(operation, body.to_string().as_bytes()).expect(operation);
    if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).expect("JSON") }
}

fn write(kinesis: &Kinesis, writer: u32, batch: u32) {
    let records: Vec<_> = (0..BATCH)
        .map(|n| {
            // The key is what is compared; the payload is one byte.
            json!({ "Data": "eA==", "PartitionKey": format!("{writer}/{batch}/{n}") })
        })
        .collect();
    let answer = call(kinesis, "PutRecords", &json!({ "StreamName": "s", "Records": records }));
    assert_eq!(answer["FailedRecordCount"], 0);
}

/// Reads a shard until it is closed, or until the writers are done and its tip is reached.
async fn tail(kinesis: Kinesis, shard: String, done: Arc<AtomicBool>) -> Vec<String> {
    let start = json!({ "StreamName": "s", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let mut iterator = call(&kinesis, "GetShardIterator", &start)["ShardIterator"].clone();
    let mut keys = Vec::new();
    loop {
        let finished = done.load(Ordering::SeqCst);
        let answer = call(&kinesis, "GetRecords", &json!({ "ShardIterator": iterator, "Limit": 17 }));
        let records = answer["Records"].as_array().expect("records");
        keys.extend(records.iter().map(|record| record["PartitionKey"].as_str().expect("key").to_owned()));
        iterator = answer["NextShardIterator"].clone();
        if iterator.is_null() || (finished && answer["MillisBehindLatest"] == 0) {
            return keys;
        }
        tokio::task::yield_now().await;
    }
}

async fn run(reshard: bool) {
    let kinesis = Kinesis::new(KinesisOptions::default(), Clock::system());
    kinesis.create_stream("s", SHARDS).expect("create");
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    if !reshard {
        for shard in kinesis.shards("s").expect("shards") {
            readers.push(tokio::spawn(tail(kinesis.clone(), shard.id, Arc::clone(&done))));
        }
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let kinesis = kinesis.clone();
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    write(&kinesis, writer, batch);
                    if reshard && writer == 0 && batch % 10 == 9 {
                        let shards = kinesis.shards("s").expect("shards");
                        let open = shards.iter().find(|shard| !shard.closed).expect("an open shard");
                        kinesis.split("s", &open.id).expect("split");
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("writer");
    }
    done.store(true, Ordering::SeqCst);
    if reshard {
        for shard in kinesis.shards("s").expect("shards") {
            readers.push(tokio::spawn(tail(kinesis.clone(), shard.id, Arc::clone(&done))));
        }
    }
    let mut seen = HashSet::new();
    let mut read = 0;
    for reader in readers {
        let keys = reader.await.expect("reader");
        read += keys.len();
        seen.extend(keys);
    }
    let written = (WRITERS * BATCHES * BATCH) as usize;
    assert_eq!((seen.len(), read), (written, written), "every record once");
}

#[tokio::test]
async fn nothing_is_missed_on_one_thread() {
    run(false).await;
    run(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_on_two_threads() {
    run(false).await;
    run(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn nothing_is_missed_on_sixteen_threads() {
    run(false).await;
    run(true).await;
}
