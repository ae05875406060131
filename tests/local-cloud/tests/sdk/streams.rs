//! Streams: life cycle, writing, listing.

use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardFilter, ShardFilterType, StreamStatus};

use crate::common::{active, blob, cloud, code, drain, kinesis};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_created_written_read_and_deleted() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    client.create_stream().stream_name("orders").shard_count(2).send().await.expect("create");
    let summary = client.describe_stream_summary().stream_name("orders").send().await.expect("summary");
    assert_eq!(summary.stream_description_summary.expect("summary").stream_status, StreamStatus::Creating);
    assert_eq!(
        code(client.create_stream().stream_name("orders").shard_count(2).send().await),
        "ResourceInUseException"
    );
    active(&client, "orders").await;

    let entries = (0..100).map(|n| {
        let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{n}"));
        entry.data(blob(&format!("{{\"n\":{n}}}"))).build().expect("entry")
    });
    let put = client
        .put_records()
        .stream_name("orders")
        .set_records(Some(entries.collect()))
        .send()
        .await
        .expect("put");
    assert_eq!(put.failed_record_count, Some(0));
    let one = drain(&client, "orders", "shardId-000000000000").await;
    let two = drain(&client, "orders", "shardId-000000000001").await;
    assert_eq!(one.len() + two.len(), 100);
    for shard in [&one, &two] {
        assert!(shard.len() > 20, "MD5 spreads the keys");
        assert!(shard.windows(2).all(|pair| pair[0].sequence_number < pair[1].sequence_number));
        assert!(shard.iter().all(|record| record.sequence_number.len() == 56));
        assert!(shard.iter().all(|record| record.approximate_arrival_timestamp.is_some()));
    }
    let found = put
        .records
        .iter()
        .zip(0..)
        .find(|(result, _)| result.sequence_number() == Some(&one[0].sequence_number));
    let (_, n) = found.expect("the answer of PutRecords names the record");
    assert_eq!(one[0].data.as_ref(), format!("{{\"n\":{n}}}").as_bytes());
    assert_eq!(one[0].partition_key, Some(format!("key-{n}")));

    client.delete_stream().stream_name("orders").send().await.expect("delete");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while client.describe_stream().stream_name("orders").send().await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        code(client.describe_stream().stream_name("orders").send().await),
        "ResourceNotFoundException"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_stream_of_the_same_name_is_another_stream() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    let old = cloud.kinesis().put("s", "k", "1").expect("put").sequence_number;
    let shard = "shardId-000000000000";
    let iterator =
        crate::common::iterator(&client, "s", shard, aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon)
            .await;
    cloud.kinesis().delete_stream("s").expect("delete");
    cloud.kinesis().create_stream("s", 1).expect("create");
    assert_eq!(code(client.get_records().shard_iterator(iterator).send().await), "ResourceNotFoundException");
    let resumed = client.get_shard_iterator().stream_name("s").shard_id(shard);
    let resumed = resumed.shard_iterator_type("AFTER_SEQUENCE_NUMBER".into()).starting_sequence_number(old);
    assert_eq!(code(resumed.send().await), "InvalidArgumentException");
    cloud.stop().await;
}

#[tokio::test]
async fn shards_are_listed_in_pages_by_token_alone_and_by_filter() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 7).expect("create");
    cloud.kinesis().split("s", "shardId-000000000003").expect("split");
    let mut ids = Vec::new();
    let mut answer = client.list_shards().stream_name("s").max_results(4).send().await.expect("first page");
    loop {
        ids.extend(answer.shards.unwrap_or_default().into_iter().map(|shard| shard.shard_id));
        let Some(token) = answer.next_token else { break };
        answer = client.list_shards().next_token(token).max_results(4).send().await.expect("next page");
    }
    assert_eq!(ids, (0..9).map(|n| format!("shardId-{n:012}")).collect::<Vec<_>>());

    let listed = async |kind: ShardFilterType, after: Option<&str>| {
        let filter = ShardFilter::builder()
            .r#type(kind)
            .set_shard_id(after.map(str::to_owned))
            .build()
            .expect("filter");
        let answer = client.list_shards().stream_name("s").shard_filter(filter).send().await.expect("list");
        let shards = answer.shards.unwrap_or_default();
        shards.into_iter().map(|s| s.shard_id[19..].parse().expect("id")).collect::<Vec<u32>>()
    };
    assert_eq!(listed(ShardFilterType::AtLatest, None).await, [0, 1, 2, 4, 5, 6, 7, 8]);
    assert_eq!(listed(ShardFilterType::AtTrimHorizon, None).await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(listed(ShardFilterType::FromTrimHorizon, None).await, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(listed(ShardFilterType::AfterShardId, Some("shardId-000000000005")).await, [6, 7, 8]);

    let token = client.list_shards().stream_name("s").max_results(1).send().await.expect("page").next_token;
    let both = client.list_shards().stream_name("s").set_next_token(token.clone()).send().await;
    assert_eq!(code(both), "InvalidArgumentException");
    cloud.clock().advance(std::time::Duration::from_secs(301));
    assert_eq!(code(client.list_shards().set_next_token(token).send().await), "ExpiredNextTokenException");
    cloud.stop().await;
}

#[tokio::test]
async fn streams_are_described_in_pages_and_found_by_arn() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("a", 5).expect("create");
    cloud.kinesis().create_stream("b", 1).expect("create");
    let page = client.describe_stream().stream_name("a").limit(3).send().await.expect("describe");
    let page = page.stream_description.expect("description");
    assert!(page.has_more_shards);
    assert_eq!(page.shards.len(), 3);
    let rest = client
        .describe_stream()
        .stream_arn(&page.stream_arn)
        .exclusive_start_shard_id(&page.shards[2].shard_id);
    let rest = rest.send().await.expect("describe").stream_description.expect("description");
    assert_eq!((rest.shards.len(), rest.has_more_shards), (2, false));
    let names = client.list_streams().limit(1).send().await.expect("list");
    assert_eq!((names.stream_names, names.has_more_streams), (vec!["a".to_owned()], true));
    let names = client.list_streams().exclusive_start_stream_name("a").send().await.expect("list");
    assert_eq!((names.stream_names, names.has_more_streams), (vec!["b".to_owned()], false));
    cloud.stop().await;
}
