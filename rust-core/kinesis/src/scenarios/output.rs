//! How many FlowFiles come out, how large, and how soon.

use super::{SOON, seconds};
use crate::batch::Part;
use crate::fake::{Node, Rig, numbers, until};
use std::time::Duration;
use tokio::time::Instant;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n:04}")).collect()
}

/// Takes and commits what comes within `time`; gives the parts with the time of each.
async fn take(node: &Node, time: Duration) -> Vec<(Instant, Part)> {
    let end = Instant::now() + time;
    let mut parts = Vec::new();
    while Instant::now() < end {
        let Some(batch) = node.next(end - Instant::now()).await else { continue };
        node.source.settle(batch.id, true).unwrap();
        let now = Instant::now();
        let batch = std::sync::Arc::into_inner(batch).unwrap();
        parts.extend(batch.parts.into_iter().map(|part| (now, part)));
    }
    parts
}

/// The most parts within any second.
fn most_in_a_second(parts: &[(Instant, Part)]) -> usize {
    let within = |from: Instant| parts.iter().filter(|(t, _)| *t >= from && *t < from + seconds(1)).count();
    parts.iter().map(|(from, _)| within(*from)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_busy_shards_give_at_most_200_flow_files_a_second() {
    let names = names(1_000);
    let shards: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::new(&shards);
    let node = rig.node("a", &[]);
    until("all are read", seconds(60), || node.reads().len() == shards.len()).await;
    let writer = {
        let stream = rig.stream.clone();
        let names = names.clone();
        tokio::spawn(async move {
            loop {
                names.iter().for_each(|shard| {
                    stream.put(shard);
                });
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })
    };
    let parts = take(&node, seconds(20)).await;
    writer.abort();
    let most = most_in_a_second(&parts);
    assert!((150..=200).contains(&most), "{most} in a second");
    let mut seen: Vec<&str> = parts.iter().filter_map(|(_, p)| p.attribute("aws.kinesis.shard.id")).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), shards.len(), "every shard has its turn");
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_checkpointed_once_a_second_and_its_end_at_once() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it is read", SOON, || node.reads().len() == 1).await;
    let writer = {
        let stream = rig.stream.clone();
        tokio::spawn(async move {
            loop {
                stream.put("s0");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    take(&node, seconds(20)).await;
    writer.abort();
    let written = rig.table.history("s0").len();
    assert!((15..=22).contains(&written), "{written} in 20 s");
    take(&node, seconds(3)).await;
    rig.stream.put("s0");
    take(&node, Duration::from_millis(300)).await;
    rig.stream.reshard(&["s0"], &["s1", "s2"]);
    take(&node, Duration::from_millis(600)).await;
    assert!(rig.table.shard("s0").ended, "the children wait for it");
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait_for_the_turn_of_others() {
    let names = names(400);
    let shards: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::new(&shards);
    let node = rig.node("a", &[("Max Batch Size", "1000")]);
    until("all are read", seconds(60), || node.reads().len() == shards.len()).await;
    for shard in &shards {
        rig.stream.put(shard);
    }
    tokio::time::sleep(seconds(2)).await;
    rig.stream.put_data("s0399", format!("{{\"x\":\"{}\"}}", "y".repeat(2_000)).into());
    // Everything is read and waits, the full one as the last.
    tokio::time::sleep(seconds(1)).await;
    let parts = take(&node, seconds(10)).await;
    let at =
        |shard| parts.iter().find(|(_, p)| p.attribute("aws.kinesis.shard.id") == Some(shard)).unwrap().0;
    let later = parts.iter().filter(|(t, _)| *t > at("s0399")).count();
    assert!(later > 300, "only {later} came after the full one");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_an_idle_stream_comes_within_a_second_and_alone() {
    let rig = Rig::new(&["s0", "s1"]);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || node.reads().len() == 2).await;
    tokio::time::sleep(seconds(30)).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(3_333)).await;
        rig.stream.put("s1");
        let began = Instant::now();
        let batch = node.next(seconds(5)).await.unwrap();
        assert!(began.elapsed() < seconds(1), "{:?}", began.elapsed());
        assert_eq!((batch.parts.len(), batch.parts[0].records), (1, 1));
        node.source.settle(batch.id, true).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_lively_stream_comes_within_half_a_second() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || node.reads().len() == 1).await;
    for turn in 0..20 {
        // Each time at another moment between two calls.
        tokio::time::sleep(Duration::from_millis(2_000 + 37 * turn)).await;
        rig.stream.put("s0");
        let began = Instant::now();
        let batch = node.next(seconds(5)).await.unwrap();
        assert!(turn == 0 || began.elapsed() < Duration::from_millis(500), "{turn}: {:?}", began.elapsed());
        node.source.settle(batch.id, true).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_makes_large_flow_files() {
    let rig = Rig::new(&["s0"]);
    for _ in 0..30_000 {
        rig.stream.put_data("s0", format!("{{\"n\":1,\"x\":\"{}\"}}", "y".repeat(1_000)).into());
    }
    // NiFi takes something from time to time only: batches are ready before they are asked for.
    let node = rig.node("a", &[("Output Strategy", "USE_VALUE")]);
    let (mut records, mut sizes) = (0, Vec::new());
    while records < 30_000 {
        tokio::time::sleep(seconds(3)).await;
        let Some(batch) = node.next(seconds(5)).await else { continue };
        node.source.settle(batch.id, true).unwrap();
        assert_eq!(batch.parts.len(), 1);
        records += batch.parts[0].records;
        sizes.push(batch.parts[0].content.len());
    }
    let last = sizes.pop().unwrap();
    assert!(sizes.iter().all(|bytes| (1_000_000..=11_500_000).contains(bytes)), "{sizes:?}, {last}");
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_much_larger_than_their_records_do_not_overrun_the_budget() {
    let rig = Rig::new(&["s0"]);
    for _ in 0..40_000 {
        rig.stream.put("s0");
    }
    let settings =
        [("Memory Budget", "1000000"), ("Max Batch Size", "500000"), ("Max Records Per Request", "10000")];
    let node = rig.node("a", &settings);
    let used = || node.source.status()["budget"]["usedBytes"].as_u64().unwrap();
    let (mut got, mut most) = (Vec::new(), 0);
    while got.len() < 40_000 {
        let batch = node.next(seconds(60)).await.expect("reading goes on");
        most = most.max(used());
        got.extend(batch.parts.iter().flat_map(numbers));
        node.source.settle(batch.id, true).unwrap();
    }
    assert!(got.is_sorted() && got.first() < got.last());
    assert!(most <= 3_000_000, "{most} bytes");
    until("the account returns to zero", SOON, || used() == 0).await;
}

/// How long a record waits when 39 other shards had one a moment ago.
async fn wait_among_forty(duration: &str) -> Duration {
    let names = names(40);
    let shards: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::new(&shards);
    let node = rig.node("a", &[("Max Batch Duration", duration), ("Consumer Type", "ENHANCED_FAN_OUT")]);
    until("all are read", seconds(60), || node.reads().len() == shards.len()).await;
    tokio::time::sleep(seconds(5)).await;
    for shard in &shards {
        rig.stream.put(shard);
    }
    assert_eq!(take(&node, seconds(1)).await.len(), 40);
    rig.stream.put("s0000");
    let began = Instant::now();
    node.next(seconds(5)).await.unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn max_batch_duration_bounds_the_wait() {
    let (short, long) = (wait_among_forty("20").await, wait_among_forty("60000").await);
    assert!(short < Duration::from_millis(60), "{short:?}");
    assert!((Duration::from_millis(195)..Duration::from_millis(300)).contains(&long), "{long:?}");
}

#[tokio::test(start_paused = true)]
async fn size_and_request_limit_do_what_they_say() {
    let rig = Rig::new(&["s0"]);
    for _ in 0..100 {
        rig.stream.put("s0");
    }
    let node = rig.node("a", &[("Max Batch Size", "2000"), ("Max Records Per Request", "7")]);
    let (mut records, mut sizes) = (0, Vec::new());
    while records < 100 {
        // Slower than the reading, so that size alone ends a batch.
        tokio::time::sleep(seconds(5)).await;
        let batch = node.next(seconds(30)).await.unwrap();
        node.source.settle(batch.id, true).unwrap();
        records += batch.parts.iter().map(|p| p.records).sum::<u64>();
        sizes.push(batch.parts.iter().map(|p| p.content.len()).sum::<usize>());
    }
    sizes.pop();
    assert!(sizes.iter().all(|bytes| (2_000..2_400).contains(bytes)), "{sizes:?}");
    let calls = node.source.status()["calls"].as_u64().unwrap();
    assert!(calls >= 100_u64.div_ceil(7), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn thousands_of_single_records_are_one_batch() {
    for (strategy, per_batch) in [("FLOW_FILE", 5_000), ("LINE_DELIMITED", 1)] {
        let rig = Rig::new(&["s0"]);
        for n in 0..10_000 {
            rig.stream.put_data("s0", format!("record {n}").into());
        }
        let more = [("Processing Strategy", strategy), ("Max Records Per Request", "10000")];
        let node = rig.node("a", &more);
        let (mut records, mut batches, mut previous) = (Vec::new(), 0, "0".to_owned());
        while records.len() < 10_000 {
            let batch = node.next(seconds(30)).await.unwrap();
            node.source.settle(batch.id, true).unwrap();
            assert_eq!(batch.parts.len(), per_batch, "{strategy}");
            batches += 1;
            for part in &batch.parts {
                let value = |name: &str| part.attribute(&format!("aws.kinesis.{name}")).unwrap().to_owned();
                assert_eq!(value("previous.sharded.sequence.number"), previous);
                previous = value("last.sharded.sequence.number");
                assert!(!part.failed && part.attribute("mime.type").is_none());
                let text = std::str::from_utf8(&part.content).unwrap();
                records.extend(text.split('\n').map(str::to_owned));
            }
        }
        assert_eq!(batches, 10_000 / if per_batch == 1 { 10_000 } else { per_batch });
        assert!(records.iter().enumerate().all(|(n, r)| *r == format!("record {n}")));
    }
}

#[tokio::test(start_paused = true)]
async fn every_strategy_goes_on_exactly_where_it_stopped() {
    for strategy in ["FLOW_FILE", "LINE_DELIMITED", "DEMARCATOR"] {
        let rig = Rig::new(&["s0"]);
        let more =
            [("Processing Strategy", strategy), ("Message Demarcator", "\n"), ("Max Batch Size", "20")];
        let mut got = Vec::new();
        let mut previous = "0".to_owned();
        for round in 0..6 {
            for n in 0..10 {
                rig.stream.put_data("s0", format!("{round}{n}").into());
            }
            let node = rig.node("a", &more);
            let mut left = 10;
            while left > 0 {
                let batch = node.next(seconds(60)).await.unwrap();
                // Each round one batch is rolled back, and comes again.
                let committed = left != 10 || round % 2 == 0 || node.source.status()["rewinds"] != 0;
                node.source.settle(batch.id, committed).unwrap();
                for part in batch.parts.iter().filter(|_| committed) {
                    let attribute = |name: &str| part.attribute(name).unwrap().to_owned();
                    assert_eq!(
                        attribute("aws.kinesis.previous.sharded.sequence.number"),
                        previous,
                        "{strategy}"
                    );
                    previous = attribute("aws.kinesis.last.sharded.sequence.number");
                    left -= part.records;
                    got.extend(std::str::from_utf8(&part.content).unwrap().split('\n').map(str::to_owned));
                }
            }
            node.source.close(seconds(5)).await;
        }
        let wanted: Vec<String> = (0..6).flat_map(|r| (0..10).map(move |n| format!("{r}{n}"))).collect();
        assert_eq!(got, wanted, "{strategy}");
    }
}
