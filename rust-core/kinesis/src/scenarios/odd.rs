use super::{SOON, seconds};
use crate::Level;
use crate::fake::{Fault, Rig, numbers, until};
use crate::store::ShardRow;
use crate::trouble::Kind;
use std::collections::BTreeSet;
use std::time::Duration;

const TYPES: [&str; 2] = ["SHARED_THROUGHPUT", "ENHANCED_FAN_OUT"];

#[tokio::test(start_paused = true)]
async fn double_splits_and_merges_under_load_at_latest_lose_nothing() {
    for consumer_type in TYPES {
        let rig = Rig::new(&["s0", "s1"]);
        rig.stream.put("s0");
        tokio::time::sleep(seconds(2)).await;
        let more = [("Initial Stream Position", "LATEST"), ("Consumer Type", consumer_type)];
        let (a, b) = (rig.node("a", &more), rig.node("b", &more));
        until("both are read", seconds(60), || a.reads().len() + b.reads().len() == 2).await;
        let (from_a, from_b) = (a.consume(), b.consume());
        let mut open = vec!["s0", "s1"];
        let steps: [(&[&str], &[&str]); 4] = [
            (&["s0"], &["s2", "s3"]),
            (&["s2"], &["s4", "s5"]),
            (&["s3", "s1"], &["s6"]),
            (&["s4", "s5"], &["s7"]),
        ];
        let mut written = Vec::new();
        for (parents, children) in steps {
            rig.stream.reshard(parents, children);
            open.retain(|s| !parents.contains(s));
            open.extend(children);
            // The second split comes before anybody can have seen the first.
            for _ in 0..if children == ["s2", "s3"] { 1 } else { 60 } {
                written.extend(open.iter().map(|s| rig.stream.put(s)));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let got = || [from_a.got(), from_b.got()].concat();
        let all = || got().into_iter().collect::<BTreeSet<u64>>();
        until("all is read", seconds(120), || written.iter().all(|n| all().contains(n))).await;
        assert_eq!(got().len(), written.len(), "{consumer_type}: nothing twice, nothing from before");
        for parent in ["s0", "s1", "s2", "s3", "s4", "s5"] {
            until("the ends are recorded", SOON, || rig.table.shard(parent).ended).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn children_wait_for_their_parents_unless_that_is_not_wanted() {
    for (order, waits) in [("PARENTS_FIRST", true), ("ANY", false)] {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[("Shard Order", order)]);
        rig.stream.put("s0");
        let held_back = node.next(SOON).await.unwrap();
        rig.stream.reshard(&["s0"], &["s1"]);
        let child = rig.stream.put("s1");
        let next = node.next(seconds(60)).await;
        assert_eq!(next.is_none(), waits, "{order}");
        if waits {
            node.source.settle(held_back.id, true).unwrap();
            assert_eq!(numbers(&node.next(SOON).await.unwrap().parts[0]), [child]);
        }
        node.source.close(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_kinesis_does_not_answer_gives_its_shards_up() {
    for (consumer_type, operation) in TYPES.into_iter().zip(["records", "subscribe"]) {
        let more = [("Consumer Type", consumer_type)];
        let rig = Rig::new(&["s0", "s1", "s2", "s3"]);
        let (a, b) = (rig.node("a", &more), rig.node("b", &more));
        until("two each", seconds(60), || a.reads().len() == 2 && b.reads().len() == 2).await;
        let (from_a, from_b) = (a.consume(), b.consume());
        tokio::time::sleep(seconds(10)).await;
        let lost = a.reads();
        a.stream.faults.always(operation, Some(Fault::Hang));
        lost.iter().for_each(|shard| rig.stream.silence(shard));
        let wanted: Vec<u64> = lost.iter().map(|s| rig.stream.put(s)).collect();
        from_b.until(&wanted, seconds(200)).await;
        let said = from_a.said().into_iter().filter(|t| t.contains("given up")).collect::<Vec<_>>();
        assert_eq!(said.len(), 2, "one for each shard: {said:?}");
        tokio::time::sleep(seconds(600)).await;
        assert_eq!((a.reads().len(), b.reads().len()), (0, 4), "they stay where they are read");
        assert!(from_a.said().iter().filter(|t| t.contains("given up")).count() == 2);
        assert!(from_a.said().iter().any(|t| t.contains("cannot be reached")), "{:?}", from_a.said());
        a.stream.faults.always(operation, None);
        until("two each again", seconds(120), || a.reads().len() == 2 && b.reads().len() == 2).await;
        let more: Vec<u64> = lost.iter().map(|s| rig.stream.put(s)).collect();
        until("all is read", seconds(30), || {
            more.iter().all(|n| from_a.got().contains(n) || from_b.got().contains(n))
        })
        .await;
    }
}

/// Subscriptions are opened and nothing comes, as through a proxy that collects whole answers.
#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_in_vain_stays_away_longer_each_time() {
    let fan_out = [("Consumer Type", "ENHANCED_FAN_OUT")];
    let rig = Rig::new(&["s0", "s1", "s2", "s3"]);
    let (a, b) = (rig.node("a", &fan_out), rig.node("b", &fan_out));
    until("two each", seconds(60), || a.reads().len() == 2 && b.reads().len() == 2).await;
    a.stream.faults.always("events", Some(Fault::Hang));
    let mut unread = 0;
    for _ in 0..3_600 {
        tokio::time::sleep(seconds(1)).await;
        unread += usize::from(b.reads().len() < 4);
    }
    assert!(unread < 600, "{unread} seconds of an hour");
    a.stream.faults.always("events", None);
    until("two each again", seconds(2_000), || a.reads().len() == 2 && b.reads().len() == 2).await;
    let from = (a.consume(), b.consume());
    let wanted: Vec<u64> = ["s0", "s1", "s2", "s3"].iter().map(|s| rig.stream.put(s)).collect();
    let got = || [from.0.got(), from.1.got()].concat();
    until("all is read", seconds(30), || wanted.iter().all(|n| got().contains(n))).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_may_not_poll_comes_back_to_fan_out() {
    let fan_out = [("Consumer Type", "ENHANCED_FAN_OUT")];
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", &fan_out), rig.node("b", &fan_out));
    for operation in ["iterator", "records"] {
        a.stream.faults.always(operation, Some(Fault::Fail(Kind::Denied)));
    }
    until("one each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    for operation in ["subscribe", "events"] {
        a.stream.faults.always(operation, Some(Fault::Hang));
    }
    until("b reads all", seconds(200), || b.reads().len() == 2).await;
    for operation in ["subscribe", "events"] {
        a.stream.faults.always(operation, None);
    }
    until("one each again", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_up_with_the_reason() {
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    until("one each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    let from_a = a.consume();
    a.stream.faults.always("records", Some(Fault::Fail(Kind::Kms)));
    until("b reads all", seconds(200), || b.reads().len() == 2).await;
    let said: Vec<String> = from_a.said().into_iter().filter(|t| t.contains("given up")).collect();
    assert!(said.len() == 1 && said[0].contains("(kinesis:records: Kms: injected)"), "{said:?}");
    assert!(!said[0].contains("has not answered"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_or_a_lone_node_is_no_reason_to_give_up() {
    let rig = Rig::new(&["s0", "s1"]);
    let small = [("Max Batch Size", "10"), ("Memory Budget", "2000")];
    let (a, b) = (rig.node("a", &small), rig.node("b", &small));
    until("one each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    for _ in 0..50 {
        rig.stream.put("s0");
        rig.stream.put("s1");
    }
    let epochs = || ["s0", "s1"].map(|s| rig.table.shard(s).counter);
    let before = epochs();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(epochs(), before);
    let told: Vec<_> = a.source.messages().into_iter().filter(|m| m.level != Level::Info).collect();
    assert!(told.is_empty(), "{told:?}");
    let lone = Rig::new(&["s0"]);
    let node = lone.node("a", &[]);
    node.stream.faults.always("records", Some(Fault::Fail(Kind::Unavailable)));
    tokio::time::sleep(seconds(300)).await;
    assert_eq!((node.reads().len(), lone.table.shard("s0").counter), (1, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_one_lease_does_not_stop_the_others() {
    let names = ["s0", "s1", "s2", "s3"];
    let rig = Rig::new(&names);
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    until("all are read", SOON, || node.reads().len() == 4).await;
    rig.table.edit(|rows| {
        let row = rows.shards.get_mut("s0").unwrap();
        (row.owner, row.counter) = (Some("b/1".into()), Some(9));
    });
    for _ in 0..30 {
        let wanted: Vec<u64> = names[1..].iter().map(|s| rig.stream.put(s)).collect();
        consumer.until(&wanted, seconds(1)).await;
        tokio::time::sleep(seconds(1)).await;
    }
    assert!(!node.reads().contains(&"s0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_table_costs_no_lease_and_no_duplicate() {
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    until("one each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    let (from_a, from_b) = (a.consume(), b.consume());
    for node in [&a, &b] {
        for operation in ["renew", "checkpoint", "beat", "rows"] {
            node.store.faults.every(operation, 3, Fault::Fail(Kind::Throttled));
        }
    }
    let epochs = || ["s0", "s1"].map(|s| rig.table.shard(s).counter);
    let before = epochs();
    let mut written = Vec::new();
    for _ in 0..300 {
        written.extend(["s0", "s1"].map(|s| rig.stream.put(s)));
        tokio::time::sleep(seconds(1)).await;
    }
    until("all came", SOON, || from_a.got().len() + from_b.got().len() >= written.len()).await;
    let mut got = [from_a.got(), from_b.got()].concat();
    got.sort_unstable();
    assert_eq!((got, epochs()), (written, before));
    for node in [&a, &b] {
        let counted = node.source.counters();
        assert!(matches!(counted[..], [("Checkpoint Table Throttles", n)] if n >= 50), "{counted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_with_a_batch_in_flight_gives_neither_gap_nor_duplicate() {
    for kind in [Kind::Unavailable, Kind::Unreachable, Kind::Throttled, Kind::NotFound] {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[("Initial Stream Position", "LATEST")]);
        until("it reads", SOON, || !node.reads().is_empty()).await;
        let mut wanted = vec![rig.stream.put("s0")];
        let batch = node.next(SOON).await.unwrap();
        for _ in 0..3 {
            node.stream.faults.next("records", Fault::Fail(kind));
        }
        wanted.push(rig.stream.put("s0"));
        tokio::time::sleep(seconds(5)).await;
        node.source.settle(batch.id, true).unwrap();
        let consumer = node.consume();
        consumer.until(&wanted[1..], seconds(30)).await;
        tokio::time::sleep(seconds(5)).await;
        assert_eq!(consumer.got(), wanted[1..], "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closed_and_drained_shards_cost_no_call_after_a_restart_either() {
    let names: Vec<String> = (0..50).map(|n| format!("old{n}")).collect();
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    all.push("s0");
    let rig = Rig::new(&all);
    let mut wanted: Vec<u64> = names.iter().map(|s| rig.stream.put(s)).collect();
    names.iter().for_each(|s| rig.stream.reshard(&[s], &[]));
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    consumer.until(&wanted, seconds(60)).await;
    until("all ends are recorded", seconds(60), || names.iter().all(|s| rig.table.shard(s).ended)).await;
    node.source.close(seconds(5)).await;
    let calls = || names.iter().map(|s| rig.stream.calls(s)).sum::<usize>();
    let before = (calls(), rig.stream.opened().len());
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    wanted = vec![rig.stream.put("s0")];
    consumer.until(&wanted, SOON).await;
    tokio::time::sleep(seconds(300)).await;
    assert_eq!((calls(), rig.stream.opened().len()), (before.0, before.1 + 1), "only the open one is opened");
    assert_eq!(consumer.got(), wanted);
}

#[tokio::test(start_paused = true)]
async fn rows_of_shards_that_left_the_retention_time_are_ignored() {
    let rig = Rig::new(&["s0"]);
    rig.table.edit(|rows| {
        for n in 0..20 {
            let owner = (n % 2 == 0).then(|| "gone/1".to_owned());
            rows.shards.insert(format!("old{n}").as_str().into(), ShardRow { owner, ..ShardRow::default() });
        }
    });
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    consumer.until(&[rig.stream.put("s0")], SOON).await;
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(node.reads(), ["s0"]);
    assert!(
        consumer.said().iter().all(|t| !(0..20).any(|n| t.contains(&format!("old{n}")))),
        "{:?}",
        consumer.said()
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_and_many_shards() {
    let rig = Rig::new(&[]);
    let node = rig.node("a", &[]);
    tokio::time::sleep(seconds(60)).await;
    let calls = node.stream.faults.calls("list");
    assert!((1..=60).contains(&calls), "{calls} listings a minute");
    let names: Vec<String> = (0..400).map(|n| format!("s{n:03}")).collect();
    rig.stream.create(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let consumer = node.consume();
    let mut wanted: Vec<u64> = names.iter().map(|s| rig.stream.put(s)).collect();
    rig.stream.reshard(&["s399"], &["t0", "t1"]);
    wanted.extend([rig.stream.put("t0"), rig.stream.put("t1")]);
    consumer.until(&wanted, seconds(90)).await;
    assert_eq!(consumer.got().len(), wanted.len());
}
