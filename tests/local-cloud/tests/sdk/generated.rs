//! Streams whose records are computed.

use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use local_cloud::{Clock, Generator, LocalCloud, Options, generated_record};

use crate::common::{blob, cloud, code, drain, kinesis};

#[tokio::test]
async fn every_record_is_the_one_that_can_be_computed() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    let generator = Generator { records: 12_345, bytes: 120, per_second: None, aggregate: None };
    cloud.kinesis().create_generated_stream("s", 2, generator).expect("create");
    for shard in 0..2 {
        let records = drain(&client, "s", &format!("shardId-{shard:012}")).await;
        assert_eq!(records.len(), 12_345);
        for (record, ordinal) in records.iter().zip(0..) {
            assert_eq!(record.data.as_ref(), generated_record(shard, ordinal, 120));
        }
        let middle = client.get_shard_iterator().stream_name("s").shard_id(format!("shardId-{shard:012}"));
        let middle = middle.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
        let middle =
            middle.starting_sequence_number(&records[5_000].sequence_number).send().await.expect("iterator");
        let rest = client
            .get_records()
            .set_shard_iterator(middle.shard_iterator)
            .limit(1)
            .send()
            .await
            .expect("read");
        assert_eq!(rest.records[0].sequence_number, records[5_001].sequence_number);
    }
    let put = client.put_record().stream_name("s").partition_key("k").data(blob("x")).send().await;
    assert_eq!(code(put), "InvalidArgumentException");
    cloud.stop().await;
}

#[tokio::test]
async fn records_appear_as_time_passes() {
    let clock = Clock::fixed(1_763_900_000_000);
    let cloud =
        LocalCloud::start(Options { clock: clock.clone(), ..Options::default() }).await.expect("start");
    let client = kinesis(&cloud);
    let generator = Generator { records: 100, bytes: 50, per_second: Some(10), aggregate: None };
    cloud.kinesis().create_generated_stream("s", 1, generator).expect("create");
    let start =
        crate::common::iterator(&client, "s", "shardId-000000000000", ShardIteratorType::TrimHorizon).await;
    // The shard is one millisecond younger than its stream: no two have the same time of creation.
    clock.advance(Duration::from_millis(3_001));
    let answer = client.get_records().shard_iterator(&start).limit(10).send().await.expect("read");
    assert_eq!((answer.records.len(), answer.millis_behind_latest), (10, Some(2_000)));
    let answer = client.get_records().shard_iterator(&start).send().await.expect("read");
    assert_eq!((answer.records.len(), answer.millis_behind_latest), (30, Some(0)));
    cloud.stop().await;
}
