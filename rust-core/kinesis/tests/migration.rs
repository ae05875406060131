//! Taking over a lease table of the Kinesis Client Library, against DynamoDB and Kinesis on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;

use cloud_support::{Reader, Rig, STREAM, TABLE, until};
use local_cloud::{Action, Rule, When, kpl_aggregate};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);

/// A table as the library makes it, with one lease (key, checkpoint, sub-sequence, entity) an item.
fn legacy_table(rig: &Rig, leases: &[(&str, &str, u64, Option<&str>)]) {
    let table = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "leaseKey", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "leaseKey", "KeyType": "HASH" }],
    });
    rig.cloud.dynamodb().request("CreateTable", &table).unwrap();
    for (key, checkpoint, sub, entity) in leases {
        let mut item = json!({
            "leaseKey": { "S": key }, "checkpoint": { "S": checkpoint }, "leaseCounter": { "N": "42" },
            "checkpointSubSequenceNumber": { "N": sub.to_string() },
            "ownerSwitchesSinceCheckpoint": { "N": "0" }, "parentShardId": { "SS": ["shardId-000000000999"] },
        });
        if let Some(entity) = entity {
            item["entityType"] = json!({ "S": entity });
        }
        rig.cloud.dynamodb().request("PutItem", &json!({ "TableName": TABLE, "Item": item })).unwrap();
    }
}

fn put(rig: &Rig, shard: &str, n: u64) -> String {
    let payload = format!("{{\"n\":{n}}}").into_bytes();
    rig.cloud.kinesis().put_to_shard(STREAM, shard, "k", payload).unwrap().sequence_number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_position_survives_under_the_documented_policy() {
    let rig = Rig::start(2).await;
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    let (first, second) = (shards[0].id.as_str(), shards[1].id.as_str());
    let inner: Vec<Vec<u8>> = (1_000..1_010).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
    let aggregate = kpl_aggregate(inner.iter().map(|p| ("inner", p.as_slice())));
    let middle = rig.cloud.kinesis().put_to_shard(STREAM, first, "k", aggregate).unwrap().sequence_number;
    put(&rig, first, 2);
    put(&rig, second, 3);
    let children = rig.cloud.kinesis().split(STREAM, second).unwrap();
    put(&rig, &children[0], 4);
    let done = put(&rig, &children[1], 5);
    put(&rig, &children[1], 6);
    legacy_table(
        &rig,
        &[
            (first, &middle, 3, None),
            (second, "SHARD_END", 0, None),
            (&children[0], "TRIM_HORIZON", 0, Some("LEASE")),
            (&children[1], &done, 0, None),
            ("Leader", "", 0, Some("LEADER")),
        ],
    );
    let policy = rig.cloud.connector_policy(STREAM, TABLE);
    rig.key("AKIALEAST", Some(policy.clone().without("dynamodb:Scan")));
    let reader = Reader::start(rig.source_as("AKIALEAST", "a", &[]));
    let patience = Duration::from_secs(15);
    reader.until_said(&["Missing permission", "dynamodb:Scan", TABLE], patience).await;
    rig.key("AKIALEAST", Some(policy.clone().without("_migration")));
    reader.until_said(&["Missing permission", "dynamodb:", "orders-app_migration"], patience).await;
    rig.key("AKIALEAST", Some(policy.clone().without("dynamodb:DeleteTable")));
    reader.until_said(&["Missing permission", "dynamodb:DeleteTable", TABLE], patience).await;
    assert_eq!(rig.cloud.dynamodb().items(TABLE).unwrap().len(), 5, "nothing is lost meanwhile");
    rig.key("AKIALEAST", Some(policy));
    let mut wanted: Vec<u64> = (1_004..1_010).chain([2, 4, 6]).collect();
    reader.until(&wanted, SOON).await;
    until("the side table goes", SOON, || rig.cloud.dynamodb().tables() == [TABLE]).await;
    wanted.push(7);
    put(&rig, first, 7);
    reader.until(&wanted, SOON).await;
    let mut got = reader.got();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted, "neither what was done nor the finished shard");
    reader.until_said(&["Migrated 4 rows", TABLE, "1 finished"], SOON).await;
    reader.stop().await;
    let items = rig.cloud.dynamodb().items(TABLE).unwrap();
    let ended = items.iter().find(|i| i["shardId"]["S"] == second).unwrap();
    assert_eq!(ended["shardEnded"]["BOOL"], true);
    let number = ended["sequenceNumber"]["S"].as_str().unwrap();
    assert!(number.bytes().all(|b| b.is_ascii_digit()), "what Apache NiFi reads is a number: {number}");
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_and_answers_that_are_lost() {
    let rig = Rig::start(2).await;
    rig.put(10);
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    let names: Vec<String> = (100..160).map(|n| format!("shardId-{n:012}")).collect();
    let mut leases: Vec<(&str, &str, u64, Option<&str>)> =
        names.iter().map(|n| (n.as_str(), "4959033827149025660855969253836157", 0, None)).collect();
    leases.extend(shards.iter().map(|s| (s.id.as_str(), "TRIM_HORIZON", 0, None)));
    legacy_table(&rig, &leases);
    for action in [Action::ApplyThenCut, Action::Cut] {
        for operation in ["UpdateItem", "CreateTable", "DeleteTable", "Scan", "GetItem", "DescribeTable"] {
            rig.cloud.faults().add(Rule::on(operation, When::Probability(0.1), action.clone()));
        }
    }
    let readers = ["a", "b", "c"].map(|node| Reader::start(rig.source(node, &[])));
    until("all is read", Duration::from_secs(60), || {
        let mut got: Vec<u64> = readers.iter().flat_map(Reader::got).collect();
        got.sort_unstable();
        got.dedup();
        got == (1..=10).collect::<Vec<_>>()
    })
    .await;
    rig.cloud.faults().clear();
    for reader in readers {
        reader.stop().await;
    }
    let items = rig.cloud.dynamodb().items(TABLE).unwrap();
    for name in &names {
        let row = items.iter().find(|i| i["shardId"]["S"] == name.as_str()).unwrap();
        assert_eq!(row["sequenceNumber"]["S"], "4959033827149025660855969253836157");
    }
    rig.cloud.stop().await;
}
