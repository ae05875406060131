//! Signatures, tokens and the least-privilege policy.

use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use local_cloud::AccessKey;

use crate::common::{cloud, code, dynamodb, dynamodb_as, kinesis, kinesis_as};

#[tokio::test]
async fn wrong_secrets_and_unknown_keys_are_refused_by_both_services() {
    let cloud = cloud().await;
    let id = cloud.access_key_id().to_owned();
    kinesis(&cloud).list_streams().send().await.expect("right secret");
    dynamodb(&cloud).list_tables().send().await.expect("right secret");
    let wrong = kinesis_as(&cloud, &id, "wrong").list_streams().send().await;
    assert_eq!(code(wrong), "InvalidSignatureException");
    let wrong = dynamodb_as(&cloud, &id, "wrong").list_tables().send().await;
    assert_eq!(code(wrong), "InvalidSignatureException");
    let unknown = kinesis_as(&cloud, "AKIANOBODY", "x").list_streams().send().await;
    assert_eq!(code(unknown), "UnrecognizedClientException");
    let unknown = dynamodb_as(&cloud, "AKIANOBODY", "x").list_tables().send().await;
    assert_eq!(code(unknown), "UnrecognizedClientException");
    let config = aws_sdk_kinesis::Config::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(Region::new("us-west-2")).endpoint_url(cloud.aws_endpoint());
    let anonymous = aws_sdk_kinesis::Client::from_conf(config.allow_no_auth().build());
    assert_eq!(code(anonymous.list_streams().send().await), "MissingAuthenticationTokenException");
    let outcomes: Vec<_> = cloud.journal().calls().iter().map(|call| call.outcome.clone()).collect();
    assert_eq!(outcomes[2], "InvalidSignatureException");
    assert_eq!(cloud.journal().calls()[2].access_key, id);
    cloud.stop().await;
}

#[tokio::test]
async fn temporary_credentials_need_their_token_and_expire() {
    let cloud = cloud().await;
    let mut key = AccessKey::new("ASIATEMPORARY", "secret", "role", None);
    key.session_token = Some("token".into());
    key.expires_ms = Some(cloud.clock().now_ms() + 60_000);
    cloud.add_access_key(key);
    let client = |token: Option<&str>| {
        let config = aws_sdk_kinesis::Config::builder().behavior_version(BehaviorVersion::latest());
        let credentials = Credentials::new("ASIATEMPORARY", "secret", token.map(str::to_owned), None, "test");
        let config = config.region(Region::new("eu-west-1")).endpoint_url(cloud.aws_endpoint());
        aws_sdk_kinesis::Client::from_conf(config.credentials_provider(credentials).build())
    };
    client(Some("token")).list_streams().send().await.expect("token given");
    assert_eq!(code(client(None).list_streams().send().await), "UnrecognizedClientException");
    cloud.clock().advance(Duration::from_secs(61));
    assert_eq!(code(client(Some("token")).list_streams().send().await), "ExpiredTokenException");
    cloud.stop().await;
}

#[tokio::test]
async fn the_connector_key_may_do_what_is_documented_and_nothing_else() {
    let cloud = cloud().await;
    cloud.kinesis().create_stream("orders", 1).expect("create");
    cloud.kinesis().create_stream("other", 1).expect("create");
    let policy = cloud.connector_policy("orders", "app");
    cloud.add_access_key(AccessKey::new("AKIACONNECTOR", "secret", "connector", Some(policy)));
    let client = kinesis_as(&cloud, "AKIACONNECTOR", "secret");
    client.describe_stream().stream_name("orders").send().await.expect("allowed");
    client.list_shards().stream_name("orders").send().await.expect("allowed");
    let start = client.get_shard_iterator().stream_name("orders").shard_id("shardId-000000000000");
    let start = start.shard_iterator_type("LATEST".into()).send().await.expect("allowed").shard_iterator;
    client.get_records().set_shard_iterator(start).send().await.expect("allowed");
    let denied =
        client.describe_stream_summary().stream_name("orders").send().await.expect_err("not allowed");
    let denied = denied.as_service_error().expect("service error");
    assert_eq!(denied.code(), Some("AccessDeniedException"));
    assert_eq!(
        denied.message(),
        Some(
            "User: arn:aws:iam::000000000000:user/connector is not authorized to perform: kinesis:DescribeStreamSummary on resource: arn:aws:kinesis:us-west-2:000000000000:stream/orders because no identity-based policy allows the kinesis:DescribeStreamSummary action"
        )
    );
    assert_eq!(code(client.describe_stream().stream_name("other").send().await), "AccessDeniedException");
    let client = dynamodb_as(&cloud, "AKIACONNECTOR", "secret");
    assert_eq!(code(client.describe_table().table_name("app").send().await), "ResourceNotFoundException");
    assert_eq!(
        code(client.describe_table().table_name("app_migration").send().await),
        "ResourceNotFoundException"
    );
    assert_eq!(code(client.describe_table().table_name("app2").send().await), "AccessDeniedException");
    assert_eq!(code(client.list_tables().send().await), "AccessDeniedException");
    cloud.stop().await;
}
