//! Clients and short forms.

use std::time::Duration;

use aws_sdk_kinesis::config::{
    BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{Record, ShardIteratorType, StreamStatus};
use local_cloud::{LocalCloud, Options};

pub async fn cloud() -> LocalCloud {
    LocalCloud::start(Options::default()).await.expect("local cloud starts")
}

pub fn kinesis(cloud: &LocalCloud) -> aws_sdk_kinesis::Client {
    kinesis_as(cloud, cloud.access_key_id(), cloud.secret_access_key())
}

pub fn kinesis_as(cloud: &LocalCloud, id: &str, secret: &str) -> aws_sdk_kinesis::Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(10)).build();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(cloud.region().to_owned()))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .endpoint_url(cloud.aws_endpoint())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build();
    aws_sdk_kinesis::Client::from_conf(config)
}

pub fn dynamodb(cloud: &LocalCloud) -> aws_sdk_dynamodb::Client {
    dynamodb_as(cloud, cloud.access_key_id(), cloud.secret_access_key())
}

pub fn dynamodb_as(cloud: &LocalCloud, id: &str, secret: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(cloud.region().to_owned()))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .endpoint_url(cloud.aws_endpoint())
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// The exception's name.
pub fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    let error = result.err().expect("the call must fail");
    match error.as_service_error() {
        Some(error) => error.code().unwrap_or("no code").to_owned(),
        None => "no service error".to_owned(),
    }
}

pub async fn iterator(
    client: &aws_sdk_kinesis::Client,
    stream: &str,
    shard: &str,
    kind: ShardIteratorType,
) -> String {
    let request = client.get_shard_iterator().stream_name(stream).shard_id(shard).shard_iterator_type(kind);
    request.send().await.expect("iterator").shard_iterator.expect("iterator text")
}

/// All records of a shard up to its tip or end.
pub async fn drain(client: &aws_sdk_kinesis::Client, stream: &str, shard: &str) -> Vec<Record> {
    let mut next = Some(iterator(client, stream, shard, ShardIteratorType::TrimHorizon).await);
    let mut records = Vec::new();
    while let Some(iterator) = next.take() {
        let answer = client.get_records().shard_iterator(iterator).send().await.expect("records");
        records.extend(answer.records);
        if answer.millis_behind_latest != Some(0) {
            next = answer.next_shard_iterator;
        }
    }
    records
}

pub async fn active(client: &aws_sdk_kinesis::Client, stream: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let answer = client.describe_stream_summary().stream_name(stream).send().await.expect("summary");
        let summary = answer.stream_description_summary.expect("summary");
        if summary.stream_status == StreamStatus::Active {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{stream} stays {}", summary.stream_status);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn blob(text: &str) -> Blob {
    Blob::new(text.as_bytes())
}
