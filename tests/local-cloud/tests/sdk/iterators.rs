//! Iterators: every type, expiry, lag.

use std::time::Duration;

use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType as Type;
use local_cloud::{Clock, LocalCloud, Options};

use crate::common::{code, iterator, kinesis};

const SHARD: &str = "shardId-000000000000";
const START_MS: i64 = 1_763_900_000_000;

/// Five records, one second apart, "0" to "4".
async fn five() -> (LocalCloud, aws_sdk_kinesis::Client, Vec<String>) {
    let cloud = LocalCloud::start(Options { clock: Clock::fixed(START_MS), ..Options::default() })
        .await
        .expect("start");
    cloud.kinesis().create_stream("s", 1).expect("create");
    let mut numbers = Vec::new();
    for n in 0..5 {
        numbers.push(cloud.kinesis().put("s", "k", n.to_string()).expect("put").sequence_number);
        cloud.clock().advance(Duration::from_secs(1));
    }
    let client = kinesis(&cloud);
    (cloud, client, numbers)
}

async fn read(client: &aws_sdk_kinesis::Client, iterator: String) -> String {
    let answer = client.get_records().shard_iterator(iterator).send().await.expect("records");
    answer.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned()).collect()
}

#[tokio::test]
async fn every_type_starts_where_it_says() {
    let (cloud, client, numbers) = five().await;
    let at = async |kind: Type, number: Option<&str>, time_ms: Option<i64>| {
        let request = client.get_shard_iterator().stream_name("s").shard_id(SHARD).shard_iterator_type(kind);
        let request = request.set_starting_sequence_number(number.map(str::to_owned));
        let request = request.set_timestamp(time_ms.map(DateTime::from_millis));
        let answer = request.send().await?;
        Ok::<_, aws_sdk_kinesis::error::SdkError<_>>(
            read(&client, answer.shard_iterator.expect("text")).await,
        )
    };
    assert_eq!(at(Type::TrimHorizon, None, None).await.expect("read"), "01234");
    assert_eq!(at(Type::Latest, None, None).await.expect("read"), "");
    assert_eq!(at(Type::AtSequenceNumber, Some(&numbers[2]), None).await.expect("read"), "234");
    assert_eq!(at(Type::AfterSequenceNumber, Some(&numbers[2]), None).await.expect("read"), "34");
    assert_eq!(at(Type::AfterSequenceNumber, Some(&numbers[4]), None).await.expect("read"), "");
    assert_eq!(at(Type::AtTimestamp, None, Some(START_MS + 2_000)).await.expect("read"), "234");
    assert_eq!(at(Type::AtTimestamp, None, Some(START_MS + 2_001)).await.expect("read"), "34");
    assert_eq!(at(Type::AtTimestamp, None, Some(START_MS - 9)).await.expect("read"), "01234");
    assert_eq!(code(at(Type::AtTimestamp, None, Some(START_MS + 60_000)).await), "InvalidArgumentException");
    assert_eq!(code(at(Type::AtSequenceNumber, Some("123"), None).await), "InvalidArgumentException");
    assert_eq!(code(at(Type::AtSequenceNumber, None, None).await), "InvalidArgumentException");
    assert_eq!(
        code(client.get_records().shard_iterator("nonsense").send().await),
        "InvalidArgumentException"
    );
    let missing = client.get_shard_iterator().stream_name("s").shard_id("shardId-000000000009");
    assert_eq!(code(missing.shard_iterator_type(Type::Latest).send().await), "ResourceNotFoundException");
    cloud.stop().await;
}

#[tokio::test]
async fn an_iterator_lives_for_five_minutes() {
    let (cloud, client, _) = five().await;
    let iterator = iterator(&client, "s", SHARD, Type::TrimHorizon).await;
    cloud.clock().advance(Duration::from_secs(300));
    assert_eq!(read(&client, iterator.clone()).await, "01234");
    cloud.clock().advance(Duration::from_millis(1));
    assert_eq!(code(client.get_records().shard_iterator(iterator).send().await), "ExpiredIteratorException");
    cloud.stop().await;
}

#[tokio::test]
async fn lag_is_the_age_of_what_was_read_last() {
    let (cloud, client, _) = five().await;
    let first = iterator(&client, "s", SHARD, Type::TrimHorizon).await;
    let answer = client.get_records().shard_iterator(first).limit(2).send().await.expect("records");
    // Record 1 arrived one second after the start; now it is five seconds after the start.
    assert_eq!((answer.records.len(), answer.millis_behind_latest), (2, Some(4_000)));
    let next = answer.next_shard_iterator.expect("open shard");
    let answer = client.get_records().shard_iterator(next).send().await.expect("records");
    assert_eq!((answer.records.len(), answer.millis_behind_latest), (3, Some(0)));
    cloud.stop().await;
}

#[tokio::test]
async fn records_leave_after_the_retention_period() {
    let (cloud, client, numbers) = five().await;
    cloud.clock().advance(Duration::from_secs(24 * 3600 - 3));
    let start = iterator(&client, "s", SHARD, Type::TrimHorizon).await;
    assert_eq!(read(&client, start).await, "234");
    let trimmed = client.get_shard_iterator().stream_name("s").shard_id(SHARD);
    let trimmed =
        trimmed.shard_iterator_type(Type::AfterSequenceNumber).starting_sequence_number(&numbers[0]);
    let start = trimmed.send().await.expect("a trimmed number is still valid").shard_iterator.expect("text");
    assert_eq!(read(&client, start).await, "234");
    cloud.stop().await;
}
