//! What the AWS identity may not do is named, once and with its remedy, and reading goes on when it may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;

use cloud_support::{Reader, Rig, STREAM, TABLE};
use local_cloud::{Action, AwsError, Rule, When};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const FAN_OUT: (&str, &str) = ("Consumer Type", "ENHANCED_FAN_OUT");
const KEY: &str = "arn:aws:kms:us-west-2:000000000000:key/1234abcd";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_lives_with_the_documented_policy_and_names_what_it_lacks() {
    let rig = Rig::start(1).await;
    let policy = rig.cloud.connector_policy(STREAM, TABLE);
    for action in [
        "kinesis:DescribeStreamConsumer",
        "kinesis:RegisterStreamConsumer",
        "kinesis:SubscribeToShard",
        "dynamodb:CreateTable",
    ] {
        rig.key("AKIALESS", Some(policy.clone().without(action)));
        let reader = Reader::start(rig.source_as("AKIALESS", "a", &[FAN_OUT]));
        reader.until_said(&["Missing permission", action], SOON).await;
        let named = reader.troubles().iter().filter(|text| text.contains(action)).count();
        assert_eq!(named, 1, "{:?}", reader.troubles());
        rig.key("AKIALESS", Some(policy.clone()));
        reader.until(&rig.put(1), SOON).await;
        reader.stop().await;
        // The next case begins as a first start does.
        let config = rig.config_of("AKIALESS", "a", &[FAN_OUT]);
        kinesis::Source::deregister(&config).await;
        if rig.cloud.dynamodb().tables().contains(&TABLE.to_owned()) {
            let body = serde_json::json!({ "TableName": TABLE });
            rig.cloud.dynamodb().request("DeleteTable", &body).unwrap();
        }
    }
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_be_used_is_named_once_and_nothing_is_lost() {
    for (more, operation) in [(vec![], "GetRecords"), (vec![FAN_OUT], "SubscribeToShard")] {
        let rig = Rig::start(1).await;
        let text = format!("User: connector is not authorized to perform: kms:Decrypt on resource: {KEY}");
        let denied = AwsError::new("KMSAccessDeniedException", text);
        let rule = rig.cloud.faults().add(Rule::on(operation, When::Always, Action::Error(denied)));
        let wanted = rig.put(5);
        let reader = Reader::start(rig.source("a", &more));
        reader.until_said(&["\"orders\" is encrypted", KEY, "Allow kms:Decrypt"], SOON).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(reader.troubles().len(), 1, "{:?}", reader.troubles());
        let calls = rig.cloud.journal().count(operation);
        assert!(calls <= 20, "{calls} calls in vain");
        rig.cloud.faults().remove(rule);
        reader.until(&wanted, Duration::from_secs(40)).await;
        assert_eq!(reader.got().len(), wanted.len(), "nothing twice");
        reader.stop().await;
        rig.cloud.stop().await;
    }
}
