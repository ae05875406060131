use super::{SOON, seconds};
use crate::Level;
use crate::fake::{Fault, Node, Rig, until};
use crate::migration::{Layout, Life};
use crate::trouble::Kind;
use std::time::Duration;
use tokio::time::Instant;

fn texts(node: &Node) -> Vec<(Level, String)> {
    node.source.messages().into_iter().map(|m| (m.level, m.text)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_of_every_call_is_got_over() {
    for operation in
        ["describe", "list", "iterator", "records", "table", "create", "rows", "decide", "beat", "acquire"]
    {
        for kind in [Kind::Unavailable, Kind::Unreachable, Kind::Throttled, Kind::Credentials] {
            let rig = Rig::new(&["s0"]);
            let node = rig.node("a", &[]);
            node.stream.faults.next(operation, Fault::Fail(kind));
            node.store.faults.next(operation, Fault::Fail(kind));
            let consumer = node.consume();
            consumer.until(&[rig.stream.put("s0")], seconds(30)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_told_soon_and_not_too_often() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    node.stream.faults.cut(true);
    node.store.faults.cut(true);
    tokio::time::sleep(seconds(9)).await;
    let said = texts(&node);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, Level::Error);
    assert!(said[0].1.contains("kinesis.us-west-2.amazonaws.com"), "{said:?}");
    tokio::time::sleep(seconds(60)).await;
    assert!((1..=3).contains(&texts(&node).len()));
    node.stream.faults.cut(false);
    node.store.faults.cut(false);
    node.consume().until(&[rig.stream.put("s0")], seconds(20)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_do_is_said_by_name() {
    let cases = [
        ("describe", Kind::Denied, ["kinesis:describe", "\"orders\""]),
        ("describe", Kind::NotFound, ["\"orders\" does not exist", "us-west-2"]),
        ("describe", Kind::Credentials, ["credentials", "AWS Access Key ID"]),
        ("rows", Kind::Denied, ["dynamodb:rows", "\"app\""]),
        ("records", Kind::Denied, ["kinesis:records", "\"orders\""]),
        ("records", Kind::Kms, ["kms:Decrypt", "\"orders\""]),
    ];
    for (operation, kind, words) in cases {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[]);
        node.stream.faults.always(operation, Some(Fault::Fail(kind)));
        node.store.faults.always(operation, Some(Fault::Fail(kind)));
        tokio::time::sleep(seconds(5)).await;
        let said: Vec<_> = texts(&node).into_iter().filter(|(l, _)| *l == Level::Error).collect();
        assert_eq!(said.len(), 1, "{operation} {kind:?}: {said:?}");
        assert!(words.iter().all(|w| said[0].1.contains(w)), "{said:?}");
        node.stream.faults.always(operation, None);
        node.store.faults.always(operation, None);
        node.consume().until(&[rig.stream.put("s0")], seconds(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_normal_until_it_lasts() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || !node.reads().is_empty()).await;
    node.stream.faults.always("records", Some(Fault::Fail(Kind::Throttled)));
    tokio::time::sleep(seconds(50)).await;
    assert_eq!(texts(&node).iter().filter(|(_, t)| t.contains("throttled")).count(), 0);
    let before = node.source.status()["calls"].as_u64().unwrap();
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(texts(&node).iter().filter(|(_, t)| t.contains("throttled")).count(), 1);
    let calls = node.source.status()["calls"].as_u64().unwrap() - before;
    assert!(calls <= 30, "at most one call a second while failing: {calls}");
}

#[tokio::test(start_paused = true)]
async fn tables_of_another_layout_are_left_alone() {
    let rig = Rig::new(&["s0"]);
    let layout = Layout::Foreign("id HASH".into());
    rig.table.set_main(Some(layout.clone()));
    let node = rig.node("a", &[]);
    tokio::time::sleep(seconds(5)).await;
    let said = texts(&node);
    assert!(said.len() == 1 && said[0].1.contains("Application Name"), "{said:?}");
    assert_eq!(rig.table.main_layout(), Some((layout, Life::Active)));
    node.source.close(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_task_is_told_and_survived() {
    for operation in ["describe", "rows", "acquire", "iterator", "records", "renew", "beat", "checkpoint"] {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", &[]);
        let consumer = node.consume();
        let mut wanted = vec![rig.stream.put("s0")];
        consumer.until(&wanted, SOON).await;
        let store = matches!(operation, "rows" | "acquire" | "renew" | "beat" | "checkpoint");
        let faults = if store { &node.store.faults } else { &node.stream.faults };
        faults.next(operation, Fault::Panic);
        match operation {
            "iterator" => rig.stream.expire_iterators(),
            "acquire" => rig.stream.reshard(&["s0"], &["s1"]),
            // A shard with commits is renewed by its checkpoints.
            "renew" => tokio::time::sleep(seconds(15)).await,
            _ => {}
        }
        let shard = if operation == "acquire" { "s1" } else { "s0" };
        for _ in 0..40 {
            tokio::time::sleep(seconds(1)).await;
            wanted.push(rig.stream.put(shard));
        }
        consumer.until(&wanted, SOON).await;
        assert_eq!(consumer.got(), wanted, "{operation}");
        let said = consumer.said().into_iter().filter(|t| t.contains("defect")).count();
        assert_eq!(said, 1, "{operation}: {:?}", consumer.said());
        until("it is stored", SOON, || rig.table.shard(shard).sequence.is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn closing_is_bounded_when_nothing_answers() {
    let names: Vec<String> = (0..200).map(|n| format!("s{n:03}")).collect();
    let shards: Vec<&str> = names.iter().map(String::as_str).collect();
    let rig = Rig::new(&shards);
    let node = rig.node("a", &[]);
    until("all are read", SOON, || node.reads().len() == 200).await;
    node.stream.faults.cut(true);
    node.store.faults.cut(true);
    let began = Instant::now();
    node.source.close(seconds(5)).await;
    assert!(began.elapsed() <= Duration::from_millis(5_100));
    assert_eq!(node.source.next_batch(seconds(1)).await.unwrap_err(), crate::SourceError::Closed);
    assert_eq!(node.source.settle(1, true), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_hands_out_nothing_more_and_still_stores() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    rig.stream.put("s0");
    let batch = node.next(SOON).await.unwrap();
    node.source.stop_fetching();
    rig.stream.put("s0");
    assert!(node.next(seconds(5)).await.is_none());
    node.source.settle(batch.id, true).unwrap();
    node.source.close(seconds(5)).await;
    let row = rig.table.shard("s0");
    assert!(row.sequence.is_some() && row.owner.is_none());
    assert_eq!(row.print().expiry, None);
}

/// As a NiFi that waits for a thread that never comes back, or that discarded the processor.
#[tokio::test(start_paused = true)]
async fn a_stop_that_no_close_follows_gives_the_shards_to_another_node() {
    let rig = Rig::new(&["s0", "s1"]);
    let a = rig.node("a", &[]);
    until("a reads", SOON, || a.reads().len() == 2).await;
    let stored = rig.stream.put("s0");
    let batch = a.next(SOON).await.unwrap();
    a.source.settle(batch.id, true).unwrap();
    let out = rig.stream.put("s0");
    let unsettled = a.next(SOON).await.unwrap();
    a.source.stop_fetching();
    a.source.stop_fetching();
    let stopped = Instant::now();
    let b = rig.node("b", &[]);
    let from_b = b.consume();
    tokio::time::sleep(crate::closing::CLOSE_WITHIN - seconds(1)).await;
    assert_eq!(rig.owner("s0").as_deref(), Some("a"), "a thread may still settle");
    until("b reads both", seconds(20), || b.reads().len() == 2).await;
    assert!(stopped.elapsed() < crate::closing::CLOSE_WITHIN + seconds(15), "{:?}", stopped.elapsed());
    from_b.until(&[out], SOON).await;
    assert!(!from_b.got().contains(&stored), "it was stored");
    assert!(!a.source.may_commit(unsettled.id).unwrap(), "b has it");
    let said: Vec<String> = a.source.messages().into_iter().map(|m| m.text).collect();
    assert!(said.iter().any(|t| t.contains("not closed for 60 seconds")), "{said:?}");
    a.source.close(seconds(5)).await;
    assert_eq!(rig.owner("s0").as_deref(), Some("b"));
    assert_eq!(a.store.faults.calls("release"), 2, "each shard once");
}

#[tokio::test(start_paused = true)]
async fn first_records_of_many_shards_at_once_stay_within_the_budget() {
    const BUDGET: u64 = 64_000_000;
    let names: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
    let rig = Rig::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let node = rig.node("a", &[("Memory Budget", "64000000")]);
    // Calls overlap, so that many are under way when the records come.
    node.stream.faults.always("records", Some(Fault::Slow));
    until("all are read", seconds(60), || names.iter().all(|s| rig.stream.calls(s) > 3)).await;
    let payload = bytes::Bytes::from(format!("{{\"x\":\"{}\"}}", "y".repeat(1_000_000)));
    for shard in names.iter().cycle().take(10 * names.len()) {
        rig.stream.put_data(shard, payload.clone());
    }
    let mut most = 0;
    for _ in 0..30_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        most = most.max(node.source.status()["budget"]["usedBytes"].as_u64().unwrap());
    }
    assert!((BUDGET / 2..=BUDGET / 5 * 6).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_given_back() {
    let rig = Rig::new(&["s0", "s1", "s2", "s3"]);
    for shard in ["s0", "s1", "s2", "s3"] {
        for _ in 0..200 {
            let payload = format!("{{\"n\":{},\"x\":\"{}\"}}", rig.stream.put(shard) + 1, "y".repeat(10_000));
            rig.stream.put_data(shard, payload.into());
        }
    }
    let small: &[(&str, &str)] =
        &[("Memory Budget", "3000000"), ("Max Batch Size", "300000"), ("Max Records Per Request", "50")];
    let node = rig.node("a", small);
    tokio::time::sleep(seconds(30)).await;
    let used = || node.source.status()["budget"]["usedBytes"].as_u64().unwrap();
    assert!((1..=3_600_000).contains(&used()), "{}", used());
    let consumer = node.consume();
    until("everything came", seconds(120), || consumer.got().len() == 1_600).await;
    drop(consumer);
    node.source.close(seconds(5)).await;
    assert_eq!(used(), 0);
}

/// Nothing is signed for two minutes, with an empty queue and with a full one, and alone or beside another node.
#[tokio::test(start_paused = true)]
async fn credentials_that_fail_for_two_minutes_are_told_and_lose_nothing() {
    for (consumer_type, full) in [
        ("SHARED_THROUGHPUT", false),
        ("SHARED_THROUGHPUT", true),
        ("ENHANCED_FAN_OUT", false),
        ("ENHANCED_FAN_OUT", true),
    ] {
        let what = format!("{consumer_type}, full {full}");
        let rig = Rig::new(&["s0", "s1"]);
        let node = rig.node("a", &[("Consumer Type", consumer_type), ("Max Batch Size", "10")]);
        let mut wanted = vec![rig.stream.put("s0"), rig.stream.put("s1")];
        let first = node.consume();
        first.until(&wanted, SOON).await;
        until("both are stored", SOON, || ["s0", "s1"].iter().all(|s| rig.table.shard(s).sequence.is_some()))
            .await;
        let mut got = first.got();
        let taking = (!full).then_some(first);
        for _ in 0..20 {
            wanted.extend(["s0", "s1"].map(|s| rig.stream.put(s)));
        }
        tokio::time::sleep(seconds(3)).await;
        node.stream.faults.refuse(Some(Kind::Credentials));
        node.store.faults.refuse(Some(Kind::Credentials));
        rig.stream.end_subscriptions();
        tokio::time::sleep(seconds(120)).await;
        let mut said = texts(&node);
        wanted.extend(["s0", "s1"].map(|s| rig.stream.put(s)));
        node.stream.faults.refuse(None);
        node.store.faults.refuse(None);
        let taking = match taking {
            Some(consumer) => {
                said.extend(consumer.said().into_iter().map(|text| (Level::Error, text)));
                got.clear();
                consumer
            }
            None => node.consume(),
        };
        let all = || [got.clone(), taking.got()].concat();
        until("it goes on", seconds(40), || wanted.iter().all(|n| all().contains(n))).await;
        let mut all = all();
        all.sort_unstable();
        assert_eq!(all, wanted, "{what}: nothing twice");
        let about = |text: &str| text.contains("credentials") && text.contains("AWS Access Key ID");
        let told = said.iter().filter(|(level, text)| *level == Level::Error && about(text)).count();
        assert!((1..=10).contains(&told), "{what}: {said:?}");
    }
}
