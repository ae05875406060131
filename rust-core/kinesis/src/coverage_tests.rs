use super::*;
use crate::api::StreamApi;
use crate::aws::{Clients, Stream};
use crate::fake::config;
use local_cloud::{Action, LocalCloud, Options, Rule, When};
use std::sync::Arc;

fn shard(keys: HashKeys, closed: bool) -> ShardInfo {
    let id = format!("{keys:?}").as_str().into();
    ShardInfo { id, parents: Vec::new(), closed, ending: None, keys: Some(keys) }
}

#[test]
fn only_keys_without_an_open_shard_are_holes() {
    const END: u128 = u128::MAX;
    let whole = [shard(100..=END, false), shard(0..=99, false), shard(0..=END, true)];
    assert_eq!(holes(&whole), []);
    assert_eq!(holes(&[]), []);
    assert_eq!(holes(&[shard(0..=END, true)]), []);
    let some = [shard(10..=19, false), shard(5..=30, false), shard(40..=50, false), shard(31..=39, true)];
    assert_eq!(holes(&some), [0..=4, 31..=39, 51..=END]);
    let unknown = ShardInfo { keys: None, ..shard(0..=1, false) };
    assert_eq!(holes(&[shard(0..=4, false), unknown]), []);
    let overlap = [shard(0..=END, false), shard(7..=8, false)];
    assert_eq!(holes(&overlap), [], "a parent and its child");
}

/// Leaves the second shard of a page out.
fn drop_one(answer: &mut serde_json::Value) {
    answer["Shards"].as_array_mut().unwrap().remove(1);
}

#[tokio::test]
async fn thousands_of_shards_are_covered_after_splits_and_one_that_is_missing_is_found() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    cloud.kinesis().create_stream("orders", 2_500).unwrap();
    let endpoint = cloud.aws_endpoint();
    let keys = [
        ("AWS Access Key ID", cloud.access_key_id()),
        ("AWS Secret Access Key", cloud.secret_access_key()),
        ("Endpoint Override URL", &endpoint),
    ];
    let stream = Stream::new(Arc::new(Clients::new(config("n", &keys))));
    assert_eq!(holes(&stream.list_shards().await.unwrap()), []);
    let shards = cloud.kinesis().shards("orders").unwrap();
    for at in [0, 999, 1_000, 1_234, 2_499] {
        cloud.kinesis().split("orders", &shards[at].id).unwrap();
    }
    let listed = stream.list_shards().await.unwrap();
    assert_eq!((listed.len(), holes(&listed)), (2_510, Vec::new()));
    cloud.faults().add(Rule::on("ListShards", When::Nth(2), Action::Rewrite(drop_one)));
    let missing = listed[1_001].keys.clone().unwrap();
    assert_eq!(holes(&stream.list_shards().await.unwrap()), [missing]);
    cloud.stop().await;
}
