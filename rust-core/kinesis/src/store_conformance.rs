//! One suite, two stores: the table in memory that other tests rely on, and DynamoDB's own grammar.

use crate::aws::Clients;
use crate::dynamo::Table;
use crate::fake::{FakeStore, config};
use crate::migration::{Copy, Lock, MigrationStore, Which};
use crate::position::{Anchor, Done};
use crate::store::*;
use local_cloud::{LocalCloud, Options};
use record::{Position, SequenceNumber, ShardedNumber};
use std::sync::Arc;

const CREATED: i64 = 1_700_000_000_000;

fn claim(owner: &str, seen: LeasePrint) -> Claim {
    Claim {
        shard: "s0".into(),
        owner: owner.into(),
        seen,
        anchor: Anchor::Latest(7),
        store_anchor: true,
        lineage: format!("lineage-{owner}"),
        created: CREATED,
        parents: vec!["p0".into(), "p1".into()],
        reset: false,
        repair: None,
    }
}

fn holder(owner: &str, epoch: u64) -> Holder {
    Holder { shard: "s0".into(), owner: owner.into(), epoch }
}

fn done(sequence: u64, within_record: bool) -> Done {
    // More digits than a DynamoDB number keeps.
    let sequence = SequenceNumber::new(format!("4959033827149025660855969253836157{sequence:022}")).unwrap();
    Done { position: Position::new(sequence, 3), within_record }
}

fn checkpoint(done: Option<Done>, ended: bool) -> Checkpoint {
    let last_row = done.as_ref().map_or_else(ShardedNumber::zero, |d| d.position.sharded());
    Checkpoint { done, last_row, ended, children: vec!["c0".into()] }
}

async fn table_and_decisions(store: &dyn LeaseStore, tables: &dyn MigrationStore) {
    assert_eq!(store.table().await.unwrap(), TableState::Missing);
    for _ in 0..2 {
        tables.make(Which::Main).await.unwrap();
    }
    assert_eq!(store.table().await.unwrap(), TableState::Ready);
    let first = StreamRow { anchor: Anchor::Latest(7), created: CREATED };
    assert_eq!(store.decide(first).await.unwrap(), first);
    let second = StreamRow { anchor: Anchor::TrimHorizon, created: CREATED };
    assert_eq!(store.decide(second).await.unwrap(), first, "decided once");
    let newer = StreamRow { anchor: Anchor::TrimHorizon, created: CREATED + 1 };
    assert_eq!(store.decide(newer).await.unwrap(), newer, "another stream");
    assert_eq!(store.decide(first).await.unwrap(), newer, "by a node that knows the stream as it was");
    assert_eq!(store.rows().await.unwrap().stream, Some(newer));
    heartbeats(store).await;
    store.skip("closed", newer).await.unwrap();
    let skipped = store.row("closed").await.unwrap().unwrap();
    assert!(skipped.ended && skipped.skipped);
    begins(store).await;
}

async fn begins(store: &dyn LeaseStore) {
    let begin = |ms, created| StreamRow { anchor: Anchor::Latest(ms), created };
    for ms in [5, 6] {
        store.begin("quiet", begin(ms, CREATED + ms)).await.unwrap();
        let row = store.row("quiet").await.unwrap().unwrap();
        assert_eq!((row.anchor, row.created), (Some(Anchor::Latest(5)), Some(CREATED + 5)), "once");
    }
    let claim = Claim { shard: "quiet".into(), ..claim("a/1", LeasePrint::default()) };
    let row = store.acquire(&claim, 1_000).await.unwrap().unwrap();
    assert_eq!((row.anchor, row.updated), (Some(Anchor::Latest(5)), Some(1_000)));
}

async fn heartbeats(store: &dyn LeaseStore) {
    let row = |heartbeat, name: &str| NodeRow { heartbeat, name: Some(name.to_owned()) };
    let now = async || store.rows().await.unwrap().nodes["n"].clone();
    assert!(store.beat("n", "n", 5).await.unwrap());
    assert_eq!(now().await, row(Some(5), "n"));
    assert!(!store.beat("n", "m", 6).await.unwrap(), "another's row");
    assert!(!store.adopt("n", &row(Some(4), "n"), "m", 6).await.unwrap(), "it beat since");
    assert!(!store.adopt("n", &row(None, "n"), "m", 6).await.unwrap(), "it came back");
    assert!(!store.adopt("n", &NodeRow::default(), "m", 6).await.unwrap(), "it has a node");
    store.retire("n", "m").await.unwrap();
    assert_eq!(now().await, row(Some(5), "n"));
    assert!(store.adopt("n", &row(Some(5), "n"), "m", 6).await.unwrap());
    assert!(!store.adopt("n", &row(Some(5), "n"), "o", 6).await.unwrap(), "another was faster");
    store.retire("n", "m").await.unwrap();
    assert_eq!(now().await, row(None, "m"));
    assert!(store.adopt("n", &row(None, "m"), "o", 7).await.unwrap());
    assert!(!store.beat("n", "n", 8).await.unwrap(), "it is the other's now");
    assert_eq!(now().await, row(Some(7), "o"));
}

async fn leases(store: &dyn LeaseStore) {
    assert_eq!(store.row("s0").await.unwrap(), None);
    let row = store.acquire(&claim("a/1", LeasePrint::default()), 1_000).await.unwrap().unwrap();
    assert_eq!((row.owner.as_deref(), row.expiry, row.counter), (Some("a/1"), Some(31_000), Some(1)));
    assert_eq!((row.anchor, row.created), (Some(Anchor::Latest(7)), Some(CREATED)));
    assert_eq!(row.lineage.as_deref(), Some("lineage-a/1"));
    assert_eq!(store.acquire(&claim("b/1", LeasePrint::default()), 1_000).await.unwrap(), None);
    assert!(store.renew(&holder("a/1", 1), 2_000).await.unwrap());
    assert!(!store.renew(&holder("a/1", 2), 2_000).await.unwrap(), "another epoch");
    assert!(!store.renew(&holder("b/1", 1), 2_000).await.unwrap(), "another owner");
    assert_eq!(store.acquire(&claim("b/1", row.print()), 3_000).await.unwrap(), None, "renewed since");
    let row = store.row("s0").await.unwrap().unwrap();
    assert_eq!((row.renewals, row.expiry), (Some(1), Some(32_000)));
    let taken = store.acquire(&claim("b/1", row.print()), 3_000).await.unwrap().unwrap();
    assert_eq!((taken.counter, taken.lineage.as_deref()), (Some(2), Some("lineage-a/1")));
    assert!(!store.release(&holder("a/1", 1)).await.unwrap());
    assert!(!store.checkpoint(&holder("a/1", 1), &checkpoint(Some(done(1, false)), false), 1).await.unwrap());
    assert!(store.release(&holder("b/1", 2)).await.unwrap());
    let row = store.row("s0").await.unwrap().unwrap();
    assert_eq!((row.owner.clone(), row.expiry), (None, None));
    let again = store.acquire(&claim("a/1", row.print()), 4_000).await.unwrap().unwrap();
    assert_eq!(again.counter, Some(3));
}

async fn checkpoints(store: &dyn LeaseStore) {
    let a = holder("a/1", 3);
    let write = |c: Checkpoint| {
        let a = a.clone();
        async move { store.checkpoint(&a, &c, 5_000).await.unwrap() }
    };
    assert!(write(checkpoint(Some(done(9, true)), false)).await);
    let row = store.row("s0").await.unwrap().unwrap();
    assert_eq!(row.done(), Some(done(9, true)));
    assert_eq!(row.sub_sequence, Some(3));
    assert!(write(checkpoint(Some(done(10, false)), false)).await);
    assert!(!write(checkpoint(Some(done(9, false)), false)).await, "never back");
    assert!(write(checkpoint(Some(done(10, false)), false)).await, "repeated");
    let row = store.row("s0").await.unwrap().unwrap();
    assert_eq!((row.done(), row.sub_sequence), (Some(done(10, false)), None));
    assert_eq!(row.last_row, Some(done(10, false).position.sharded()));
    assert!(!row.ended);
    assert!(write(checkpoint(Some(done(10, false)), true)).await);
    let row = store.row("s0").await.unwrap().unwrap();
    assert!(row.ended);
    let mut reset = claim("c/1", row.print());
    (reset.reset, reset.created) = (true, CREATED + 1);
    let row = store.acquire(&reset, 6_000).await.unwrap().unwrap();
    assert_eq!((row.done(), row.ended, row.created), (None, false, Some(CREATED + 1)));
    assert_eq!((row.lineage.as_deref(), row.counter), (Some("lineage-c/1"), Some(4)));
    assert!(store.checkpoint(&holder("c/1", 4), &checkpoint(None, true), 1).await.unwrap());
    assert!(store.row("s0").await.unwrap().unwrap().ended, "ended without a record");
}

async fn repairs(store: &dyn LeaseStore) {
    let claim = |seen: LeasePrint, repair| Claim { shard: "s7".into(), repair, ..claim("a/1", seen) };
    let row = store.acquire(&claim(LeasePrint::default(), None), 1).await.unwrap().unwrap();
    let holder = Holder { shard: "s7".into(), ..holder("a/1", 1) };
    assert!(store.checkpoint(&holder, &checkpoint(Some(done(9, true)), false), 1).await.unwrap());
    let seen = LeasePrint { renewals: Some(1), ..row.print() };
    let row = store.acquire(&claim(seen, Some(done(9, true))), 1).await.unwrap().unwrap();
    assert_eq!((row.done(), row.sub_sequence), (Some(done(9, true)), Some(3)), "still in the record");
    let row = store.acquire(&claim(row.print(), Some(done(10, false))), 1).await.unwrap().unwrap();
    assert_eq!((row.done(), row.sub_sequence), (Some(done(10, false)), None), "of an earlier record");
}

async fn migrations(store: &dyn MigrationStore) {
    assert_eq!(store.look(Which::Side).await.unwrap(), None);
    store.make(Which::Side).await.unwrap();
    while store.marker().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(store.marker().await.unwrap(), None);
    assert!(store.take(None, "a/1", 1).await.unwrap());
    assert!(!store.take(None, "b/1", 1).await.unwrap(), "taken");
    let marker = store.marker().await.unwrap().unwrap();
    assert_eq!((marker.owner.as_deref(), marker.epoch, marker.complete), (Some("a/1"), Some(1), false));
    let a = Lock { owner: "a/1".into(), epoch: 1 };
    assert!(store.beat(&a, 2).await.unwrap());
    assert!(!store.take(Some(&marker), "b/1", 3).await.unwrap(), "the holder gave a sign of life");
    let marker = store.marker().await.unwrap().unwrap();
    assert!(store.take(Some(&marker), "b/1", 3).await.unwrap());
    for refused in [store.beat(&a, 4).await, store.complete(&a, 1, 4).await, store.swapped(&a, 4).await] {
        assert!(!refused.unwrap(), "another holder");
    }
    let b = Lock { owner: "b/1".into(), epoch: 2 };
    let row = ShardRow {
        sequence: Some(SequenceNumber::new("41").unwrap()),
        padded: Some(done(42, false).position.padded()),
        sub_sequence: Some(3),
        anchor: Some(Anchor::Latest(5)),
        created: Some(CREATED),
        updated: Some(5),
        ..ShardRow::default()
    };
    let copy = Copy { shard: "s9".into(), row: row.clone(), seen: None };
    for (which, wanted) in [(Which::Side, true), (Which::Side, false), (Which::Main, true)] {
        assert_eq!(store.copy(which, &copy, 5).await.unwrap(), wanted);
    }
    let ended = ShardRow { ended: true, sequence: None, ..row.clone() };
    let seen = row.sequence.clone();
    assert!(store.copy(Which::Side, &Copy { shard: "s9".into(), row: ended, seen }, 5).await.unwrap());
    let stream = StreamRow { anchor: Anchor::TrimHorizon, created: CREATED };
    for _ in 0..2 {
        store.copy_stream(Which::Side, stream).await.unwrap();
    }
    assert!(store.complete(&b, 1, 6).await.unwrap() && store.swapped(&b, 7).await.unwrap());
    let side = store.side().await.unwrap();
    let marker = side.marker.as_ref().unwrap();
    assert!(marker.complete && marker.swapped && side.foreign().is_none());
    assert_eq!(side.rows.shards["s9"], ShardRow { ended: true, ..row.clone() });
    assert_eq!(side.rows.stream, Some(stream));
    assert_eq!(store.main().await.unwrap().shards["s9"], row);
    store.unmake(Which::Side).await.unwrap();
    while store.look(Which::Side).await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    store.unmake(Which::Side).await.unwrap();
}

async fn suite(store: &(impl LeaseStore + MigrationStore)) {
    table_and_decisions(store, store).await;
    leases(store).await;
    checkpoints(store).await;
    repairs(store).await;
    migrations(store).await;
}

#[tokio::test]
async fn in_memory() {
    suite(&FakeStore::default()).await;
}

/// DynamoDB on loopback and its table for the application.
async fn dynamodb() -> (LocalCloud, Table) {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    let config = config(
        "n",
        &[
            ("AWS Access Key ID", cloud.access_key_id()),
            ("AWS Secret Access Key", cloud.secret_access_key()),
            ("Endpoint Override URL", &cloud.aws_endpoint()),
        ],
    );
    let table = Table::new(Arc::new(Clients::new(config)));
    (cloud, table)
}

#[tokio::test]
async fn in_dynamodb() {
    let (cloud, table) = dynamodb().await;
    suite(&table).await;
    cloud.stop().await;
}

#[tokio::test]
async fn attributes_of_other_programs_survive() {
    let (cloud, table) = dynamodb().await;
    table.make(Which::Main).await.unwrap();
    let row = serde_json::json!({
        "streamName": { "S": "orders" }, "shardId": { "S": "s0" }, "theirs": { "SS": ["kept"] },
    });
    cloud.dynamodb().request("PutItem", &serde_json::json!({ "TableName": "app", "Item": row })).unwrap();
    let taken = table.acquire(&claim("a/1", LeasePrint::default()), 1).await.unwrap().unwrap();
    let a = holder("a/1", taken.counter.unwrap());
    assert!(table.renew(&a, 2).await.unwrap());
    assert!(table.checkpoint(&a, &checkpoint(Some(done(1, false)), true), 3).await.unwrap());
    assert!(table.release(&a).await.unwrap());
    let seen = table.row("s0").await.unwrap().unwrap();
    let reset = Claim { reset: true, ..claim("b/1", seen.print()) };
    assert!(table.acquire(&reset, 4).await.unwrap().is_some());
    let items = cloud.dynamodb().items("app").unwrap();
    assert_eq!(items.iter().find(|i| i["shardId"]["S"] == "s0").unwrap()["theirs"]["SS"][0], "kept");
    cloud.stop().await;
}

#[tokio::test]
async fn shards_are_listed_over_all_pages() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    cloud.kinesis().create_stream("orders", 2_500).unwrap();
    let endpoint = cloud.aws_endpoint();
    let keys = [
        ("AWS Access Key ID", cloud.access_key_id()),
        ("AWS Secret Access Key", cloud.secret_access_key()),
        ("Endpoint Override URL", &endpoint),
    ];
    let stream = crate::aws::Stream::new(Arc::new(Clients::new(config("n", &keys))));
    let listed = crate::api::StreamApi::list_shards(&stream).await.unwrap();
    let ids: std::collections::BTreeSet<_> = listed.iter().map(|s| s.id.clone()).collect();
    assert_eq!((listed.len(), ids.len()), (2_500, 2_500));
    assert_eq!(cloud.journal().count("ListShards"), 3);
    cloud.stop().await;
}
