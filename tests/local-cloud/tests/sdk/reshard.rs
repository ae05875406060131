//! Split, merge, scale: lineage, ends of shards, nothing lost.

use aws_sdk_kinesis::types::{ScalingType, ShardIteratorType};

use crate::common::{active, blob, cloud, code, drain, iterator, kinesis};

fn shard(n: u32) -> String {
    format!("shardId-{n:012}")
}

#[tokio::test]
async fn a_split_parent_is_read_to_its_end_and_names_its_children() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    cloud.kinesis().put("s", "k", "before").expect("put");
    let half = (u128::MAX / 2 + 1).to_string();
    let split =
        || client.split_shard().stream_name("s").shard_to_split(shard(0)).new_starting_hash_key(&half).send();
    split().await.expect("split");
    assert_eq!(code(split().await), "ResourceInUseException", "UPDATING");
    active(&client, "s").await;
    assert_eq!(code(split().await), "InvalidArgumentException", "closed");
    let put =
        client.put_record().stream_name("s").partition_key("k").explicit_hash_key("0").data(blob("after"));
    let put = put.send().await.expect("put");
    assert_eq!(put.shard_id, shard(1));

    let start = iterator(&client, "s", &shard(0), ShardIteratorType::TrimHorizon).await;
    let answer = client.get_records().shard_iterator(start).send().await.expect("records");
    assert_eq!(answer.records.len(), 1);
    assert_eq!(answer.next_shard_iterator, None);
    let children = answer.child_shards.expect("children");
    assert_eq!(children.iter().map(|child| child.shard_id.clone()).collect::<Vec<_>>(), [shard(1), shard(2)]);
    assert_eq!(children[0].parent_shards, [shard(0)]);
    assert_eq!(children[1].hash_key_range.as_ref().expect("range").starting_hash_key, half);
    let listed = client.list_shards().stream_name("s").send().await.expect("list").shards.expect("shards");
    let numbers = listed[0].sequence_number_range.as_ref().expect("range");
    let ending = numbers.ending_sequence_number.as_ref().expect("closed");
    assert!(*ending > answer.records[0].sequence_number && put.sequence_number > *ending);
    assert_eq!(listed[1].parent_shard_id.as_deref(), Some(shard(0).as_str()));

    let merge =
        client.merge_shards().stream_name("s").shard_to_merge(shard(1)).adjacent_shard_to_merge(shard(2));
    merge.send().await.expect("merge");
    let start = iterator(&client, "s", &shard(2), ShardIteratorType::Latest).await;
    let answer = client.get_records().shard_iterator(start).send().await.expect("records");
    let children = answer.child_shards.expect("children");
    assert_eq!((children.len(), children[0].parent_shards.clone()), (1, vec![shard(1), shard(2)]));
    assert_eq!(drain(&client, "s", &shard(1)).await.len(), 1);
    cloud.stop().await;
}

#[tokio::test]
async fn scaling_keeps_all_records_and_covers_the_hash_space() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 3).expect("create");
    let mut written = 0;
    for target in [5, 3, 6, 4, 2, 1] {
        for n in 0..50 {
            cloud.kinesis().put("s", &format!("{target}-{n}"), "x").expect("put");
            written += 1;
        }
        let scale = client.update_shard_count().stream_name("s").target_shard_count(target);
        scale.scaling_type(ScalingType::UniformScaling).send().await.expect("scale");
        active(&client, "s").await;
        let shards =
            client.list_shards().stream_name("s").send().await.expect("list").shards.expect("shards");
        let mut open: Vec<(u128, u128)> = shards
            .iter()
            .filter(|s| {
                s.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_none())
            })
            .map(|s| s.hash_key_range.as_ref().expect("range"))
            .map(|r| (r.starting_hash_key.parse().expect("hash"), r.ending_hash_key.parse().expect("hash")))
            .collect();
        open.sort_unstable();
        assert_eq!(open.len(), usize::try_from(target).expect("small"));
        assert_eq!((open[0].0, open[open.len() - 1].1), (0, u128::MAX));
        assert!(open.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    }
    let mut read = 0;
    for info in cloud.kinesis().shards("s").expect("shards") {
        read += drain(&client, "s", &info.id).await.len();
    }
    assert_eq!(read, written);
    let scale = client.update_shard_count().stream_name("s").target_shard_count(3);
    let too_much = scale.scaling_type(ScalingType::UniformScaling).send().await;
    assert_eq!(code(too_much), "InvalidArgumentException");
    cloud.stop().await;
}
