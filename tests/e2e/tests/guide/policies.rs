//! The guide's policies suffice for what it promises of them, and hold nothing that is not used.

use std::collections::BTreeSet;

use local_cloud::Policy;
use serde_json::json;

use crate::book;
use crate::world::{Destination, World, policies};

const CONSUMERS: [&str; 2] = ["SHARED_THROUGHPUT", "ENHANCED_FAN_OUT"];
const ROW: &str = r#"{"order_id": 1}"#;

/// The guide's setup up to the first table.
async fn world() -> World {
    let world = World::start().await;
    let blocks = book::blocks(&book::text());
    let setup = blocks.iter().take_while(|block| !block.is(&["json", "message"]));
    for block in setup {
        match block.word(0) {
            "sh" => drop(world.shell(&block.text)),
            "sql" => drop(world.admin(&block.text).await),
            _ => {}
        }
    }
    world
}

/// A destination of its own for each case: stream, application and table.
async fn destination(world: &World, name: &str) -> Destination {
    let table = format!("STREAMS.KINESIS.{name}");
    world
        .admin(&format!(
            "CREATE TABLE {table} (kinesisMetadata OBJECT) ENABLE_SCHEMA_EVOLUTION = TRUE; \
             GRANT OWNERSHIP ON TABLE {table} TO ROLE KINESIS_ORDERS"
        ))
        .await;
    Destination { name: name.to_owned(), is_pipe: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_arrives_under_each_policy_with_both_consumer_types() {
    let world = world().await;
    let policies = policies();
    assert_eq!(policies.keys().collect::<Vec<_>>(), ["full", "no-delete", "no-migration"]);
    for (number, (name, policy)) in policies.iter().enumerate() {
        for (kind, consumer) in CONSUMERS.iter().enumerate() {
            let destination = destination(&world, &format!("P{number}C{kind}")).await;
            world.allow(policy, &destination);
            let outcome = world.carry(&destination, &[ROW], consumer).await;
            let denied = outcome.messages.iter().find(|text| text.contains("Missing permission"));
            assert_eq!((outcome.published.len(), denied), (1, None), "{name} {consumer}");
        }
    }
    world.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guide_calls_dispensable_is_and_the_rest_is_named_when_it_is_missing() {
    let world = world().await;
    let full = &policies()["full"];
    let without =
        |policy: Policy, actions: &[&str]| actions.iter().fold(policy, |policy, one| policy.without(one));
    let fan_out = [
        "kinesis:RegisterStreamConsumer",
        "kinesis:DescribeStreamConsumer",
        "kinesis:SubscribeToShard",
        "kinesis:DeregisterStreamConsumer",
    ];

    let polled = destination(&world, "POLLED").await;
    world.set_policy(without(world.allow(full, &polled), &fan_out));
    world.carry(&polled, &[ROW], "SHARED_THROUGHPUT").await;
    let created = without(world.allow(full, &polled), &["dynamodb:CreateTable"]);
    world.set_policy(created);
    world.carry(&polled, &[ROW], "SHARED_THROUGHPUT").await;

    let needed = [
        ("SHARED_THROUGHPUT", "kinesis:ListShards"),
        ("SHARED_THROUGHPUT", "kinesis:DescribeStream"),
        ("SHARED_THROUGHPUT", "kinesis:GetShardIterator"),
        ("SHARED_THROUGHPUT", "kinesis:GetRecords"),
        ("ENHANCED_FAN_OUT", "kinesis:RegisterStreamConsumer"),
        ("ENHANCED_FAN_OUT", "kinesis:SubscribeToShard"),
        ("SHARED_THROUGHPUT", "dynamodb:CreateTable"),
        ("SHARED_THROUGHPUT", "dynamodb:DescribeTable"),
        ("SHARED_THROUGHPUT", "dynamodb:UpdateItem"),
    ];
    for (number, (consumer, action)) in needed.iter().enumerate() {
        let destination = destination(&world, &format!("NEEDS{number}")).await;
        world.stream(&destination);
        world.set_policy(without(world.allow(full, &destination), &[action]));
        let said = world.says(&destination, consumer, "Missing permission").await;
        assert!(said.contains(action), "{action}: {said}");
    }
    world.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_policy_takes_over_a_lease_table_and_the_smallest_suffices_afterwards() {
    let world = world().await;
    let policies = policies();
    let destination = destination(&world, "LEGACY").await;
    world.stream(&destination);
    let kinesis = world.cloud.kinesis();
    let done = kinesis.put(&destination.stream(), "k", r#"{"order_id": 0}"#).unwrap();
    let database = world.cloud.dynamodb();
    let application = "legacy-to-snowflake";
    let table = json!({
        "TableName": application, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "leaseKey", "AttributeType": "S"}],
    });
    database.request("CreateTable", &table).unwrap();
    let lease = json!({
        "leaseKey": {"S": done.shard_id}, "checkpoint": {"S": done.sequence_number},
        "checkpointSubSequenceNumber": {"N": "0"}, "leaseCounter": {"N": "17"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
    });
    database.request("PutItem", &json!({"TableName": application, "Item": lease})).unwrap();

    world.allow(&policies["full"], &destination);
    let outcome = world.carry(&destination, &[ROW], "SHARED_THROUGHPUT").await;
    let said = outcome.messages.join("\n");
    assert!(said.contains("Migrated 1 rows from the lease table"), "{said}");
    assert_eq!(database.tables(), [application], "the second table is gone");
    world.allow(&policies["no-delete"], &destination);
    world.carry(&destination, &[ROW], "SHARED_THROUGHPUT").await;
    let rows = world.connector_sql("SELECT COUNT(*) FROM STREAMS.KINESIS.LEGACY").await.unwrap();
    assert!(rows.contains("\n2\n"), "what was read before the migration is not read again: {rows}");
    world.cloud.stop().await;
}

#[test]
fn the_full_policy_is_the_documented_least_privilege() {
    let account = "123456789012";
    let documented = Policy::connector("us-west-2", account, "orders", "orders-to-snowflake");
    let pairs = |policy: &Policy| -> BTreeSet<(String, String)> {
        let statements = policy.statements.iter();
        statements
            .flat_map(|one| {
                one.actions.iter().flat_map(|action| {
                    one.resources.iter().map(move |resource| (action.clone(), resource.clone()))
                })
            })
            .collect()
    };
    let policies = policies();
    let read = |name: &str| pairs(&crate::world::parse_policy(&policies[name]));
    assert_eq!(read("full"), pairs(&documented));
    assert_eq!(read("no-migration"), pairs(&documented.clone().without("_migration")));
    assert_eq!(read("no-delete"), pairs(&documented.without("_migration").without("dynamodb:DeleteTable")));
}
