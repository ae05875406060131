//! Streams and tables that outlive the process.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use local_cloud::{LocalCloud, Options};
use serde_json::json;

async fn start(folder: &Path) -> LocalCloud {
    let options = Options { state: Some(folder.join("state")), ..Options::default() };
    LocalCloud::start(options).await.expect("local cloud")
}

/// Everything that can be seen of a stream.
fn seen(cloud: &LocalCloud, stream: &str) -> String {
    let shards = cloud.kinesis().shards(stream).expect("shards");
    let records = shards.iter().map(|shard| cloud.kinesis().records(stream, &shard.id).expect("records"));
    let records: Vec<_> = records.collect();
    format!("{shards:?} {records:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_shards_and_records_are_as_they_were() {
    let folder = tempfile::tempdir().expect("folder");
    let cloud = start(folder.path()).await;
    let kinesis = cloud.kinesis();
    kinesis.create_stream("orders", 2).expect("stream");
    kinesis.create_stream("gone", 1).expect("stream");
    for row in 0..50 {
        kinesis.put("orders", &format!("key-{row}"), format!("{{\"row\":{row}}}")).expect("record");
    }
    let children = kinesis.split("orders", "shardId-000000000000").expect("split");
    kinesis.put_to_shard("orders", &children[0], "späť", vec![0, 255, 10]).expect("record");
    kinesis.merge("orders", &children[1], "shardId-000000000001").expect("merge");
    kinesis.put("gone", "k", "x").expect("record");
    kinesis.delete_stream("gone").expect("deleted");
    let before = seen(&cloud, "orders");
    let last = kinesis.put("orders", "key-7", "{}").expect("record");
    cloud.stop().await;

    let cloud = start(folder.path()).await;
    assert_eq!(cloud.kinesis().streams(), ["orders"]);
    assert_ne!(seen(&cloud, "orders"), before, "a record came after it");
    let records = cloud.kinesis().records("orders", &last.shard_id).expect("records");
    assert_eq!(records.last().map(|record| &record.sequence_number), Some(&last.sequence_number));
    let next = cloud.kinesis().put("orders", "key-7", "{}").expect("record");
    assert_eq!(next.shard_id, last.shard_id, "keys go where they went");
    assert!(next.sequence_number > last.sequence_number);
    let seen_twice = seen(&cloud, "orders");
    cloud.stop().await;
    assert_eq!(seen(&start(folder.path()).await, "orders"), seen_twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_cut_short_by_a_crash_is_none() {
    let folder = tempfile::tempdir().expect("folder");
    let cloud = start(folder.path()).await;
    cloud.kinesis().create_stream("orders", 1).expect("stream");
    for data in ["one", "two"] {
        cloud.kinesis().put("orders", "k", data).expect("record");
    }
    cloud.stop().await;
    let files = std::fs::read_dir(folder.path().join("state/kinesis")).expect("folder");
    let file = files.map(|entry| entry.expect("entry").path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "records"));
    let file = std::fs::OpenOptions::new().write(true).open(file.expect("records")).expect("file");
    file.set_len(file.metadata().expect("metadata").len() - 1).expect("cut");

    let cloud = start(folder.path()).await;
    let shard = "shardId-000000000000";
    let kept = |cloud: &LocalCloud| cloud.kinesis().records("orders", shard).expect("records").len();
    assert_eq!(kept(&cloud), 1);
    cloud.kinesis().put("orders", "k", "three").expect("record");
    cloud.stop().await;
    assert_eq!(kept(&start(folder.path()).await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_dynamodb_are_as_they_were() {
    let folder = tempfile::tempdir().expect("folder");
    let cloud = start(folder.path()).await;
    let table = json!({
        "TableName": "app", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
    });
    cloud.dynamodb().request("CreateTable", &table).expect("table");
    let item = json!({"TableName": "app", "Item": {"k": {"S": "a"}, "n": {"N": "12345678901234567890123456789012345678"}}});
    cloud.dynamodb().request("PutItem", &item).expect("item");
    cloud.stop().await;
    let cloud = start(folder.path()).await;
    assert_eq!(cloud.dynamodb().items("app").expect("items"), [item["Item"].clone()]);
}
