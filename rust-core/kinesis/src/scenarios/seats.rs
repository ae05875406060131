//! Rows of heartbeats, when nodes lose their names with NiFi's local state.

use super::{SOON, seconds};
use crate::fake::{Node, Rig, UpstreamNode, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::time::Duration;

/// Names of the nodes that have a row, and the number of rows.
fn seated(rig: &Rig) -> (BTreeSet<String>, usize) {
    let rows = rig.table.rows_now().nodes;
    let beating = rows.iter().filter(|(_, row)| row.heartbeat.is_some());
    (beating.map(|(key, row)| row.node(key).to_owned()).collect(), rows.len())
}

fn has_row(rig: &Rig, node: &str) -> bool {
    seated(rig).0.contains(node)
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|n| (*n).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_restarts_under_new_names_leave_no_rows_behind() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let rig = Rig::new(&["s0", "s1"]);
    let steady = rig.node("steady", &[]);
    until("it has a row", SOON, || has_row(&rig, "steady")).await;
    for run in 0..1_000 {
        let node = rig.node(&format!("run-{run}"), &[]);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20_000))).await;
        if random.random_bool(0.2) {
            node.kill().await;
        } else {
            node.source.close(seconds(5)).await;
        }
        let rows = rig.table.rows_now().nodes;
        assert!(rows.len() <= 2, "seed {seed}, run {run}: {rows:?}");
    }
    let last = rig.node("last", &[]);
    until("it has a row", seconds(50), || has_row(&rig, "last")).await;
    until("one shard each", seconds(60), || last.reads().len() == 1 && steady.reads().len() == 1).await;
    assert_eq!(seated(&rig), (names(&["last", "steady"]), 2));
}

#[tokio::test(start_paused = true)]
async fn a_lone_node_that_crashes_again_and_again_keeps_one_row() {
    let rig = Rig::new(&["s0"]);
    for run in 0..30 {
        let name = format!("run-{run}");
        let node = rig.node(&name, &[]);
        until("it reads", seconds(40), || !node.reads().is_empty()).await;
        until("it has a row", seconds(10), || has_row(&rig, &name)).await;
        node.kill().await;
        assert_eq!(rig.table.rows_now().nodes.len(), 1, "run {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_start_at_once_do_not_share_a_row() {
    let rig = Rig::new(&["s0", "s1"]);
    let old = rig.node("old", &[]);
    until("it has a row", SOON, || has_row(&rig, "old")).await;
    old.kill().await;
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    until("both have one", seconds(60), || seated(&rig) == (names(&["a", "b"]), 2)).await;
    until("both read", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    assert!(rig.table.rows_now().nodes.contains_key("old"), "one of them in the old row");
    for node in [a, b] {
        node.source.close(seconds(5)).await;
    }
    let _three = ["c", "d", "e"].map(|name| rig.node(name, &[]));
    until("all have one", seconds(60), || seated(&rig) == (names(&["c", "d", "e"]), 3)).await;
}

async fn share(rig: &Rig, nodes: &[&Node]) {
    let shards = rig.table.rows_now().shards.len();
    until("each shard has one reader, evenly", seconds(90), || {
        let reads: Vec<usize> = nodes.iter().map(|n| n.reads().len()).collect();
        let even = reads.iter().max().zip(reads.iter().min()).is_some_and(|(most, least)| most - least <= 1);
        even && reads.iter().sum::<usize>() == shards
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_believed_dead_finds_another_row() {
    let rig = Rig::new(&["s0", "s1", "s2", "s3"]);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    share(&rig, &[&a, &b]).await;
    let (from_a, from_b) = (a.consume(), b.consume());
    a.store.faults.cut(true);
    let c = rig.node("c", &[]);
    let from_c = c.consume();
    until("its row is taken over", seconds(60), || has_row(&rig, "c")).await;
    assert_eq!(seated(&rig), (names(&["b", "c"]), 2), "in the row of a");
    share(&rig, &[&b, &c]).await;
    a.store.faults.cut(false);
    until("it has another row", seconds(30), || seated(&rig) == (names(&["a", "b", "c"]), 3)).await;
    let mut written = Vec::new();
    for _ in 0..60 {
        written.extend(["s0", "s1", "s2", "s3"].map(|shard| rig.stream.put(shard)));
        tokio::time::sleep(seconds(1)).await;
    }
    share(&rig, &[&a, &b, &c]).await;
    until("all of it", SOON, || {
        from_a.got().len() + from_b.got().len() + from_c.got().len() >= written.len()
    })
    .await;
    let mut got = [from_a.got(), from_b.got(), from_c.got()].concat();
    got.sort_unstable();
    assert_eq!(got, written, "nothing lost, nothing twice");
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(seated(&rig), (names(&["a", "b", "c"]), 3), "they keep them");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_the_share_out_for_a_while_comes_back_to_a_row() {
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    share(&rig, &[&a, &b]).await;
    a.stream.faults.cut(true);
    until("it gives up", seconds(200), || !has_row(&rig, "a")).await;
    let c = rig.node("c", &[]);
    until("another uses the row", seconds(20), || seated(&rig) == (names(&["b", "c"]), 2)).await;
    a.stream.faults.cut(false);
    until("it has a row again", seconds(60), || seated(&rig) == (names(&["a", "b", "c"]), 3)).await;
    drop(c);
}

#[tokio::test(start_paused = true)]
async fn rows_of_apache_nifis_own_processor_are_used_only_after_a_stop() {
    let rig = Rig::new(&["s0", "s1"]);
    rig.table.edit(|_| {});
    let lives = UpstreamNode::start(&rig, "upstream-lives", 1);
    let crashes = UpstreamNode::start(&rig, "upstream-crashes", 2);
    let stops = UpstreamNode::start(&rig, "upstream-stops", 3);
    tokio::time::sleep(seconds(15)).await;
    crashes.crash();
    stops.stop();
    let a = rig.node("a", &[]);
    until("it has a row", SOON, || has_row(&rig, "a")).await;
    assert_eq!(rig.table.rows_now().nodes["upstream-stops"].name.as_deref(), Some("a"));
    let b = rig.node("b", &[]);
    tokio::time::sleep(seconds(300)).await;
    let (seated, rows) = seated(&rig);
    assert_eq!(rows, 4, "a row of its own");
    assert_eq!(seated, names(&["a", "b", "upstream-crashes", "upstream-lives"]));
    assert_eq!(rig.table.rows_now().nodes["upstream-lives"].name, None);
    // It counts three nodes and takes one of two shards; we leave it that one.
    assert_eq!(lives.reads().len() + a.reads().len() + b.reads().len(), 2);
    assert_eq!(lives.reads().len(), 1);
}
