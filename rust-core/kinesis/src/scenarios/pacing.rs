//! What a reader takes of a shard's quota, which it may have to share.

use super::seconds;
use crate::fake::{Fault, Node, QUOTA, Rig, until};
use crate::trouble::Kind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const MORE: [(&str, &str); 3] = [
    ("Processing Strategy", "LINE_DELIMITED"),
    ("Max Records Per Request", "10000"),
    ("Memory Budget", "500000000"),
];

/// Takes and commits everything, and looks at nothing.
fn swallow(node: &Node) -> JoinHandle<()> {
    let source = node.source.clone();
    tokio::spawn(async move {
        while let Ok(batch) = source.next_batch(Duration::from_secs(5)).await {
            if let Some(batch) = batch {
                let _ = source.settle(batch.id, true);
            }
        }
    })
}

/// Another reader with one call a second on each shard: calls and those that got through.
fn another(rig: &Rig, shards: &[&str], bytes: usize) -> (Arc<[AtomicUsize; 2]>, JoinHandle<()>) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (stream, count) = (rig.stream.for_node(), counts.clone());
    let shards: Vec<String> = shards.iter().map(|s| (*s).to_owned()).collect();
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1_000));
        loop {
            tick.tick().await;
            for shard in &shards {
                count[0].fetch_add(1, Ordering::Relaxed);
                count[1].fetch_add(usize::from(stream.other_reader(shard, bytes)), Ordering::Relaxed);
            }
        }
    });
    (counts, task)
}

/// Reads a backlog on each shard, beside another reader that takes `other` bytes a call.
async fn backlog(shards: &[&str], total: usize, record: usize, other: Option<usize>) {
    let rig = Rig::new(shards);
    for shard in shards {
        rig.stream.backlog(shard, total / record, record);
    }
    let node = rig.node("a", &MORE);
    let eater = swallow(&node);
    while shards.iter().any(|s| rig.stream.calls(s) == 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let beside = other.map(|bytes| another(&rig, shards, bytes));
    while shards.iter().any(|s| rig.stream.counts(s).done.is_none()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(began.elapsed() < seconds(3_600), "{:?}", rig.stream.counts(shards[0]));
    }
    let what = format!("{} shards, records of {record}, other reader {other:?}", shards.len());
    for shard in shards {
        let counts = rig.stream.counts(shard);
        let rate = counts.bytes as f64 / (counts.done.unwrap() - began).as_secs_f64();
        let left = QUOTA - other.unwrap_or(0) as f64;
        let wanted = if other.is_some() { 0.9 } else { 0.98 };
        println!("{what}: {:.3} of the rate, {counts:?}", rate / left);
        assert!(rate >= wanted * left, "{what}: {rate} of {left}, {counts:?}");
        assert!(counts.throttled * 100 <= counts.calls, "{what}: {counts:?}");
    }
    if let Some((counts, task)) = beside {
        task.abort();
        let [calls, through] = [0, 1].map(|n| counts[n].load(Ordering::Relaxed));
        println!("{what}: {through} of {calls} calls of the other reader");
        assert!(through * 10 >= calls * 9, "{what}: {through} of {calls}");
    }
    eater.abort();
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_large_records_is_read_at_the_rate_of_the_shard() {
    for record in [1_048_576, 10_485_760] {
        backlog(&["s0"], 1 << 30, record, None).await;
    }
    backlog(&["s0"], 1 << 30, 1_048_576, Some(20_000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_small_records_leaves_another_reader_its_calls() {
    backlog(&["s0"], 1 << 30, 1_024, None).await;
    backlog(&["s0"], 1 << 30, 1_024, Some(50_000)).await;
    backlog(&["s0"], 1 << 30, 1_024, Some(400_000)).await;
}

#[tokio::test(start_paused = true)]
async fn ten_shards_with_backlogs_keep_their_rates() {
    let shards = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"];
    backlog(&shards, 1 << 30, 1_048_576, Some(20_000)).await;
    backlog(&shards, 1 << 29, 1_024, Some(20_000)).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_costs_about_a_call_a_second() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it is read", seconds(15), || rig.stream.calls("s0") > 0).await;
    tokio::time::sleep(seconds(15)).await;
    let before = rig.stream.calls("s0");
    tokio::time::sleep(seconds(300)).await;
    let calls = rig.stream.calls("s0") - before;
    assert!((250..=330).contains(&calls), "{calls} calls in 300 s");
    drop(node);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_shards_that_fail_for_a_minute_are_not_stormed() {
    let names: Vec<String> = (0..100).map(|n| format!("s{n:02}")).collect();
    let shards: Vec<&str> = names.iter().map(String::as_str).collect();
    for kind in [Kind::Unavailable, Kind::Throttled, Kind::Unreachable] {
        let rig = Rig::new(&shards);
        let node = rig.node("a", &[]);
        until("all are read", seconds(60), || shards.iter().all(|s| rig.stream.calls(s) > 0)).await;
        node.stream.faults.always("records", Some(Fault::Fail(kind)));
        let mut before = node.stream.faults.calls("records");
        let mut most = 0;
        let start = before;
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let calls = node.stream.faults.calls("records");
            // After the first attempts, which come as the reading came.
            most = if calls - start > 500 { most.max(calls - before) } else { 0 };
            before = calls;
        }
        let calls = before - start;
        assert!((500..=6_000).contains(&calls), "{kind:?}: {calls} calls of 100 shards in a minute");
        assert!(most <= 30, "{kind:?}: {most} of 100 shards called within a tenth of a second");
    }
}
