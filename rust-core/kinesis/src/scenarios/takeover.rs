//! Tables that only Apache NiFi's own processor has written.

use super::{SOON, seconds};
use crate::fake::{Consumer, Node, Rig, sequence, until};
use crate::position::{Anchor, Start};
use crate::store::ShardRow;
use std::time::Duration;

const LATEST: &[(&str, &str)] = &[("Initial Stream Position", "LATEST")];

/// A row as that processor leaves it.
fn left(rig: &Rig, shard: &str, last: Option<u64>) {
    let row =
        ShardRow { sequence: last.map(sequence), updated: Some(rig.stream.now_ms()), ..ShardRow::default() };
    rig.table.edit(|rows| {
        rows.shards.insert(shard.into(), row);
    });
}

/// Starts a node at LATEST after a downtime, and gives it time to read everything.
async fn take_over(rig: &Rig, downtime: Duration, more: &[(&str, &str)]) -> (Node, Consumer) {
    tokio::time::sleep(downtime).await;
    let node = rig.node("a", &[LATEST, more].concat());
    let consumer = node.consume();
    tokio::time::sleep(seconds(60)).await;
    (node, consumer)
}

#[tokio::test(start_paused = true)]
async fn shards_that_came_and_closed_during_the_downtime_are_read_from_their_beginning() {
    for order in ["PARENTS_FIRST", "ANY"] {
        let rig = Rig::new(&["p"]);
        let committed = rig.stream.put("p");
        left(&rig, "p", Some(committed));
        let mut wanted = vec![rig.stream.put("p")];
        rig.stream.reshard(&["p"], &["c1", "c2"]);
        wanted.extend(["c1", "c2"].map(|s| rig.stream.put(s)));
        rig.stream.reshard(&["c1"], &["c3", "c4"]);
        wanted.extend(["c3", "c4"].map(|s| rig.stream.put(s)));
        let (_node, consumer) = take_over(&rig, seconds(3_600), &[("Shard Order", order)]).await;
        let mut got = consumer.got();
        got.sort_unstable();
        assert_eq!(got, wanted, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_quiet_goes_on_where_the_other_processor_stopped() {
    let rig = Rig::new(&["old", "quiet", "busy"]);
    let before = rig.stream.put("old");
    rig.stream.reshard(&["old"], &[]);
    rig.stream.put("quiet");
    tokio::time::sleep(seconds(3_600)).await;
    let committed = rig.stream.put("busy");
    for (shard, last) in [("old", None), ("quiet", None), ("busy", Some(committed))] {
        left(&rig, shard, last);
    }
    tokio::time::sleep(seconds(60)).await;
    let wanted = [rig.stream.put("quiet"), rig.stream.put("busy")];
    let (node, consumer) = take_over(&rig, seconds(3_600), &[]).await;
    let mut got = consumer.got();
    got.sort_unstable();
    assert_eq!(got, wanted, "nothing from before, such as {before}");
    let told = |text: &String| text.contains("is taken over");
    let said: Vec<String> = consumer.said().into_iter().filter(told).collect();
    let words = ["\"app\"", "\"orders\"", "stored positions of 1 shards", "2 shards have no position"];
    assert!(said.len() == 1 && words.iter().all(|word| said[0].contains(word)), "{said:?}");
    node.source.close(seconds(5)).await;
    let (_node, consumer) = take_over(&rig, seconds(60), &[]).await;
    assert!(!consumer.said().iter().any(told), "it is ours by now");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_child_of_a_shard_that_was_read_begins_at_its_oldest_record() {
    let rig = Rig::new(&["p"]);
    let committed = rig.stream.put("p");
    rig.stream.reshard(&["p"], &["c1", "c2"]);
    // The other processor opened the child at its newest record, and stored nothing of it.
    let wanted = [rig.stream.put("c1"), rig.stream.put("c2")];
    tokio::time::sleep(seconds(3_600)).await;
    left(&rig, "p", Some(committed));
    left(&rig, "c1", None);
    let (_node, consumer) = take_over(&rig, seconds(10), &[]).await;
    let mut got = consumer.got();
    got.sort_unstable();
    assert_eq!(got, wanted);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_over_is_decided_once() {
    let rig = Rig::new(&["quiet", "none"]);
    left(&rig, "quiet", None);
    let updated = rig.table.shard("quiet").updated.unwrap();
    let wanted = [rig.stream.put("quiet"), rig.stream.put("none")];
    tokio::time::sleep(seconds(3_600)).await;
    let node = rig.node("a", LATEST);
    // It dies as soon as the decision is made, before anything is read.
    until("the decision is made", SOON, || rig.table.rows_now().stream.is_some()).await;
    node.kill().await;
    let begins = Some(Anchor::Latest(updated - 300_000));
    assert_eq!((rig.table.shard("quiet").anchor, rig.table.shard("none").anchor), (begins, None));
    assert_eq!(rig.table.rows_now().stream.unwrap().anchor, Anchor::TrimHorizon);
    let (_node, consumer) = take_over(&rig, seconds(3_600), &[]).await;
    assert_eq!(consumer.got().len(), wanted.len());
    let opened = rig.stream.opened();
    assert!(opened.contains(&("quiet".into(), Start::AtTimestamp(updated - 300_000))), "{opened:?}");
    assert!(opened.contains(&("none".into(), Start::TrimHorizon)), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn a_start_in_time_does_not_pass_over_what_came_during_the_downtime() {
    let rig = Rig::new(&["quiet"]);
    left(&rig, "quiet", None);
    tokio::time::sleep(seconds(60)).await;
    let wanted = [rig.stream.put("quiet")];
    tokio::time::sleep(seconds(3_600)).await;
    // The clock of the tests begins at 12:26:40.
    let stamp =
        [("Initial Stream Position", "AT_TIMESTAMP"), ("Stream Position Timestamp", "2025-11-01T13:00:00Z")];
    let node = rig.node("a", &stamp);
    node.consume().until(&wanted, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_table_is_not_called_taken_over() {
    let rig = Rig::new(&["s0"]);
    let (_node, consumer) = take_over(&rig, seconds(1), &[]).await;
    assert!(!consumer.said().iter().any(|text| text.contains("is taken over")), "{:?}", consumer.said());
}
