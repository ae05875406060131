//! Sizes, counts and rates.

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use local_cloud::Limits;

use crate::common::{blob, cloud, code, iterator, kinesis};

const SHARD: &str = "shardId-000000000000";

fn entries(count: usize, bytes: usize) -> Option<Vec<PutRecordsRequestEntry>> {
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new(vec![b'x'; bytes]));
    Some(vec![entry.build().expect("entry"); count])
}

#[tokio::test]
async fn requests_over_a_limit_are_refused_whole() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    let put = |records| client.put_records().stream_name("s").set_records(records).send();
    assert_eq!(code(put(entries(501, 1)).await), "ValidationException");
    assert_eq!(code(put(entries(11, 1 << 20)).await), "ValidationException", "payload and key exceed 1 MiB");
    assert_eq!(code(put(entries(11, (1 << 20) - 1)).await), "InvalidArgumentException");
    put(entries(10, (1 << 20) - 1)).await.expect("10 MiB");
    put(entries(500, 1)).await.expect("500 records");
    let one = |key: &str, bytes: usize| {
        client.put_record().stream_name("s").partition_key(key).data(Blob::new(vec![0; bytes])).send()
    };
    assert_eq!(code(one("k", 1 << 20).await), "ValidationException");
    assert_eq!(code(one("", 1).await), "ValidationException");
    assert_eq!(code(one(&"k".repeat(257), 1).await), "ValidationException");
    one(&"k".repeat(256), 1).await.expect("256 characters");
    let hashed = client.put_record().stream_name("s").partition_key("k").data(blob("x"));
    let too_large = "340282366920938463463374607431768211456";
    assert_eq!(code(hashed.explicit_hash_key(too_large).send().await), "InvalidArgumentException");
    assert_eq!(
        code(client.put_record().stream_name("none").partition_key("k").data(blob("x")).send().await),
        "ResourceNotFoundException"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn an_answer_carries_at_most_10_mb_and_10_000_records() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("bytes", 1).expect("create");
    cloud.kinesis().create_stream("count", 1).expect("create");
    for _ in 0..12 {
        cloud.kinesis().put("bytes", "k", vec![b'x'; (1 << 20) - 1]).expect("put");
    }
    for _ in 0..10_001 {
        cloud.kinesis().put("count", "k", "x").expect("put");
    }
    let start = iterator(&client, "bytes", SHARD, ShardIteratorType::TrimHorizon).await;
    let answer = client.get_records().shard_iterator(start).send().await.expect("records");
    assert_eq!(answer.records.len(), 10);
    assert!(answer.millis_behind_latest > Some(0));
    let start = iterator(&client, "count", SHARD, ShardIteratorType::TrimHorizon).await;
    let answer = client.get_records().shard_iterator(&start).send().await.expect("records");
    assert_eq!(answer.records.len(), 10_000);
    assert_eq!(
        code(client.get_records().shard_iterator(start).limit(10_001).send().await),
        "ValidationException"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn rates_are_enforced_when_switched_on() {
    let cloud = local_cloud::LocalCloud::start(local_cloud::Options {
        clock: local_cloud::Clock::fixed(1_763_900_000_000),
        ..Default::default()
    })
    .await
    .expect("start");
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    cloud.kinesis().set_limits(Limits { read: true, write: true });
    let start = iterator(&client, "s", SHARD, ShardIteratorType::TrimHorizon).await;
    for _ in 0..5 {
        client.get_records().shard_iterator(&start).send().await.expect("five calls a second");
    }
    assert_eq!(
        code(client.get_records().shard_iterator(&start).send().await),
        "ProvisionedThroughputExceededException"
    );
    let put = || client.put_records().stream_name("s").set_records(entries(500, 1)).send();
    assert_eq!(put().await.expect("500").failed_record_count, Some(0));
    assert_eq!(put().await.expect("1,000").failed_record_count, Some(0));
    let answer = put().await.expect("an answer in spite of it");
    assert_eq!(answer.failed_record_count, Some(500));
    assert_eq!(answer.records[0].error_code(), Some("ProvisionedThroughputExceededException"));
    cloud.clock().advance(std::time::Duration::from_secs(1));
    client.get_records().shard_iterator(&start).send().await.expect("the next second");
    assert_eq!(put().await.expect("the next second").failed_record_count, Some(0));
    cloud.stop().await;
}
