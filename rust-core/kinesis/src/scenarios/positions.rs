use super::{SOON, seconds};
use crate::fake::{Fault, Rig, numbers, sequence, until};
use crate::position::Start;
use crate::store::ShardRow;
use crate::trouble::Kind;
use record::{Position, SequenceNumber};

const LATEST: &[(&str, &str)] = &[("Initial Stream Position", "LATEST")];

#[tokio::test(start_paused = true)]
async fn latest_begins_now_and_children_at_their_beginning() {
    let rig = Rig::new(&["s0", "s1"]);
    rig.stream.put("s0");
    tokio::time::sleep(seconds(5)).await;
    let node = rig.node("a", LATEST);
    until("both shards are read", SOON, || node.reads().len() == 2).await;
    let consumer = node.consume();
    let mut wanted = vec![rig.stream.put("s0")];
    rig.stream.reshard(&["s0"], &["s2", "s3"]);
    // Written before anybody can have noticed the children.
    wanted.extend([rig.stream.put("s2"), rig.stream.put("s3"), rig.stream.put("s1")]);
    consumer.until(&wanted, seconds(30)).await;
    let got = consumer.got();
    assert_eq!(got.len(), wanted.len(), "nothing from before the start: {got:?}");
    let place = |n: u64| got.iter().position(|g| *g == n).unwrap();
    assert!(
        place(wanted[0]) < place(wanted[1]) && place(wanted[0]) < place(wanted[2]),
        "parents first: {got:?}"
    );
    until("the end is recorded", SOON, || rig.table.shard("s0").ended).await;
    until("its lease is given back", SOON, || rig.owner("s0").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_in_time_leaves_nothing_of_later_children_out() {
    let rig = Rig::new(&["s0"]);
    rig.stream.put("s0");
    tokio::time::sleep(seconds(100)).await;
    let mut wanted = vec![rig.stream.put("s0")];
    // The clock of the tests begins at 12:26:40.
    let stamp =
        [("Initial Stream Position", "AT_TIMESTAMP"), ("Stream Position Timestamp", "2025-11-01T12:27:30Z")];
    let node = rig.node("a", &stamp);
    until("it is read", SOON, || node.reads() == ["s0"]).await;
    let consumer = node.consume();
    consumer.until(&wanted, SOON).await;
    rig.stream.reshard(&["s0"], &["s1", "s2"]);
    // Written before anybody can have noticed the children.
    wanted.extend([rig.stream.put("s1"), rig.stream.put("s2")]);
    consumer.until(&wanted, seconds(60)).await;
    assert_eq!(consumer.got().len(), wanted.len(), "nothing from before the time: {:?}", consumer.got());
}

#[tokio::test(start_paused = true)]
async fn latest_does_not_replay_children_of_shards_closed_before() {
    let rig = Rig::new(&["s0"]);
    rig.stream.put("s0");
    rig.stream.reshard(&["s0"], &["s1", "s2"]);
    rig.stream.put("s1");
    tokio::time::sleep(seconds(5)).await;
    let node = rig.node("a", LATEST);
    until("the children are read", SOON, || node.reads() == ["s1", "s2"]).await;
    let consumer = node.consume();
    let wanted = [rig.stream.put("s1"), rig.stream.put("s2")];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got().len(), 2);
    assert_eq!(rig.stream.calls("s0"), 0, "a shard without anything to read costs nothing");
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_first_commit_loses_nothing() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("the shard is read", SOON, || !node.reads().is_empty()).await;
    let consumer = node.consume();
    node.stream.faults.next("records", Fault::Fail(Kind::Unavailable));
    rig.stream.expire_iterators();
    let wanted = [rig.stream.put("s0")];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_death_before_the_first_commit_loses_nothing() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("the shard is read", SOON, || !node.reads().is_empty()).await;
    let wanted = [rig.stream.put("s0")];
    let batch = node.next(SOON).await.unwrap();
    assert_eq!(numbers(&batch.parts[0]), wanted);
    node.kill().await;
    let node = rig.node("a", LATEST);
    let consumer = node.consume();
    consumer.until(&wanted, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_later_commit_does_not_cover_an_earlier_batch() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[("Max Batch Size", "1")]);
    let wanted = [rig.stream.put("s0"), rig.stream.put("s0")];
    let first = node.next(SOON).await.unwrap();
    let second = node.next(SOON).await.unwrap();
    assert_eq!((numbers(&first.parts[0]), numbers(&second.parts[0])), (vec![wanted[0]], vec![wanted[1]]));
    node.source.settle(second.id, true).unwrap();
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(rig.table.shard("s0").sequence, None);
    node.kill().await;
    let node = rig.node("a", &[]);
    node.consume().until(&wanted, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_delivered_again_before_anything_later() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[("Max Batch Size", "1")]);
    let wanted = [rig.stream.put("s0"), rig.stream.put("s0"), rig.stream.put("s0")];
    let first = node.next(SOON).await.unwrap();
    let second = node.next(SOON).await.unwrap();
    node.source.settle(first.id, false).unwrap();
    // Voided with the first: its commit changes nothing.
    node.source.settle(second.id, true).unwrap();
    let again = node.next(SOON).await.unwrap();
    assert_eq!(numbers(&again.parts[0]), [wanted[0]]);
    node.source.settle(again.id, true).unwrap();
    let consumer = node.consume();
    consumer.until(&wanted[1..], SOON).await;
    assert_eq!(consumer.got(), wanted[1..]);
    assert_eq!(node.source.settle(again.id, true), Err(crate::SourceError::UnknownBatch(again.id)));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_at_the_end_of_a_shard_is_delivered_again() {
    let rig = Rig::new(&["s0"]);
    let wanted = [rig.stream.put("s0"), rig.stream.put("s0")];
    rig.stream.reshard(&["s0"], &[]);
    let node = rig.node("a", &[]);
    let batch = node.next(SOON).await.unwrap();
    tokio::time::sleep(seconds(10)).await;
    assert!(!rig.table.shard("s0").ended, "not ended before it is committed");
    node.source.settle(batch.id, false).unwrap();
    node.consume().until(&wanted, seconds(5)).await;
    until("the end is recorded", SOON, || rig.table.shard("s0").ended).await;
    let calls = rig.stream.calls("s0");
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(rig.stream.calls("s0"), calls, "an ended shard is not read any more");
}

#[tokio::test(start_paused = true)]
async fn a_trimmed_position_goes_on_at_the_oldest_and_says_so() {
    let rig = Rig::new(&["s0"]);
    let first = rig.stream.put("s0");
    let node = rig.node("a", &[]);
    node.consume().until(&[first], SOON).await;
    until("it is stored", SOON, || rig.table.shard("s0").sequence.is_some()).await;
    node.source.close(seconds(5)).await;
    rig.stream.put("s0");
    rig.stream.trim("s0");
    let wanted = [rig.stream.put("s0")];
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
    let said: Vec<String> = consumer.said().into_iter().filter(|t| t.contains("retention")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("s0") && said[0].contains("0000000001") && said[0].contains("0000000003"),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_created_again_is_read_from_its_beginning() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("the shard is read", SOON, || !node.reads().is_empty()).await;
    let consumer = node.consume();
    consumer.until(&[rig.stream.put("s0")], SOON).await;
    until("it is stored", SOON, || rig.table.shard("s0").sequence.is_some()).await;
    let lineage = rig.table.shard("s0").lineage.unwrap();
    rig.stream.delete();
    tokio::time::sleep(seconds(40)).await;
    assert!(consumer.said().iter().any(|t| t.contains("does not exist")), "{:?}", consumer.said());
    rig.stream.create(&["s0", "s1"]);
    let wanted = [rig.stream.put("s0"), rig.stream.put("s1")];
    consumer.until(&wanted, seconds(60)).await;
    let said = consumer.said().into_iter().filter(|t| t.contains("created again")).count();
    assert_eq!(said, 1, "{:?}", consumer.said());
    let row = rig.table.shard("s0");
    assert_ne!(row.lineage.unwrap(), lineage);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_knows_the_earlier_stream_does_not_undo_the_decision() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("the shard is read", SOON, || !node.reads().is_empty()).await;
    let consumer = node.consume();
    // Without a shard it describes the stream every 30 seconds only.
    let idle = rig.node("b", LATEST);
    until("it shares", seconds(60), || rig.table.rows_now().nodes.len() == 2).await;
    for _ in 0..5 {
        rig.stream.create(&["s0"]);
        let created = rig.stream.now_ms();
        let decided = || rig.table.rows_now().stream.unwrap().created;
        until("it is decided", seconds(60), || decided() >= created).await;
        let wanted = [rig.stream.put("s0")];
        for _ in 0..450 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            assert!(decided() >= created);
        }
        consumer.until(&wanted, SOON).await;
        tokio::time::sleep(seconds(7)).await;
    }
    assert!(idle.source.messages().iter().all(|m| !m.text.contains("newer")), "{:?}", idle.source.messages());
}

#[tokio::test(start_paused = true)]
async fn a_position_of_another_stream_is_refused_with_one_message() {
    let rig = Rig::new(&["s0"]);
    rig.stream.put("s0");
    rig.table.edit(|rows| {
        let foreign = SequenceNumber::new("9".repeat(56)).unwrap();
        rows.shards.insert("s0".into(), ShardRow { sequence: Some(foreign), ..ShardRow::default() });
    });
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    tokio::time::sleep(seconds(45)).await;
    assert!(consumer.got().is_empty());
    let said: Vec<String> = consumer.said().into_iter().filter(|t| t.contains("refuses")).collect();
    assert!((1..=2).contains(&said.len()), "{said:?}");
    assert!(said[0].contains("s0") && said[0].contains("\"app\""), "{said:?}");
    assert!(rig.stream.opened().len() < 6, "no spinning");
}

#[tokio::test(start_paused = true)]
async fn a_position_in_an_aggregate_that_another_program_moved_on_is_forgotten() {
    let rig = Rig::new(&["s0"]);
    let aggregate = |inner: &[u8]| local_cloud::kpl_aggregate((0..4).map(|_| ("inner", inner)));
    let old = rig.stream.put_data("s0", aggregate(b"{\"n\":101}"));
    let moved = rig.stream.put_data("s0", aggregate(b"{\"n\":102}"));
    rig.table.edit(|rows| {
        let row = ShardRow {
            sequence: Some(sequence(moved)),
            padded: Some(Position::new(sequence(old), 1).padded()),
            sub_sequence: Some(1),
            ..ShardRow::default()
        };
        rows.shards.insert("s0".into(), row);
    });
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    let wanted = [rig.stream.put("s0")];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_gives_neither_gap_nor_duplicate() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    let mut wanted = vec![rig.stream.put("s0")];
    let batch = node.next(SOON).await.unwrap();
    rig.stream.expire_iterators();
    wanted.push(rig.stream.put("s0"));
    tokio::time::sleep(seconds(2)).await;
    node.source.settle(batch.id, true).unwrap();
    let consumer = node.consume();
    consumer.until(&wanted[1..], SOON).await;
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(consumer.got(), wanted[1..]);
    assert_eq!(rig.stream.opened()[1].1, Start::At(sequence(wanted[0])), "from the last record read");
}

#[tokio::test(start_paused = true)]
async fn a_missing_iterator_of_an_open_shard_is_no_end() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    consumer.until(&[rig.stream.put("s0")], SOON).await;
    rig.stream.slip("s0");
    tokio::time::sleep(seconds(3)).await;
    let wanted = [rig.stream.put("s0")];
    consumer.until(&wanted, SOON).await;
    assert!(!rig.table.shard("s0").ended);
    assert_eq!(consumer.got().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was_with_the_previous_position() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    let first = rig.stream.put("s0");
    let bad = rig.stream.put_data("s0", bytes::Bytes::from_static(b"no json"));
    let batch = node.next(SOON).await.unwrap();
    let (rows, failure) = (batch.parts.iter().find(|p| !p.failed), batch.parts.iter().find(|p| p.failed));
    let (rows, failure) = (rows.unwrap(), failure.unwrap());
    assert_eq!(&failure.content[..], b"no json");
    assert!(failure.attribute("record.error.message").is_some());
    let last = rows.attribute("aws.kinesis.last.sharded.sequence.number").unwrap();
    assert_eq!(rows.attribute("aws.kinesis.previous.sharded.sequence.number"), Some("0"));
    node.source.settle(batch.id, true).unwrap();
    until("it is stored", SOON, || rig.table.shard("s0").sequence.is_some()).await;
    node.source.close(seconds(5)).await;
    assert_eq!(rig.owner("s0"), None, "a clean stop gives the lease back");
    let node = rig.node("b", &[]);
    let wanted = rig.stream.put("s0");
    let next = node.next(SOON).await.unwrap();
    assert_eq!((first, bad, numbers(&next.parts[0])), (1, 2, vec![wanted]));
    // The failure never became a row, so the row before it is what a reader of rows saw last.
    assert_eq!(next.parts[0].attribute("aws.kinesis.previous.sharded.sequence.number"), Some(last));
    let lineage = |b: &crate::Batch| b.parts[0].attribute("aws.kinesis.lineage.id").unwrap().to_owned();
    assert_eq!(lineage(&batch), lineage(&next));
    assert_eq!(next.parts[0].transit_uri, "kinesis://orders/s0");
}

/// After a reshard the Kinesis Producer Library sends what went to the wrong shard again; other producers mix keys.
#[tokio::test(start_paused = true)]
async fn aggregated_records_of_other_shards_are_counted_and_kept() {
    let half = 1 << 127;
    let rig = Rig::new(&["s0", "s1", "unknown"]);
    rig.stream.set_keys("s0", 0..=half - 1);
    rig.stream.set_keys("s1", half..=u128::MAX);
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    let rows = [("a", "{\"n\":101}"), ("b", "{\"n\":102}"), ("f", "{\"n\":103}")];
    let aggregate = local_cloud::kpl_aggregate(rows.map(|(key, row)| (key, row.as_bytes())));
    for shard in ["s0", "unknown"] {
        rig.stream.put_data(shard, aggregate.clone());
    }
    until("all came", SOON, || consumer.got().len() == 6).await;
    let strays = rows.iter().filter(|(key, _)| md5_of(key) >= half).count() as u64;
    assert!((1..3).contains(&strays), "keys of both shards");
    assert_eq!(node.source.counters(), [("Aggregated Records Of Other Shards", strays)]);
    assert_eq!(node.source.status()["aggregatedRecordsOfOtherShards"], strays);
}

fn md5_of(key: &str) -> u128 {
    use md5::Digest;
    u128::from_be_bytes(md5::Md5::digest(key).into())
}
