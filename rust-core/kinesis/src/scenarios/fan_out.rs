use super::{SOON, seconds};
use crate::clock::Clock;
use crate::deregister::deregister_in;
use crate::fake::{FakeStore, FakeStream, Fault, Rig, config, numbers, until};
use crate::position::Start;
use crate::trouble::Kind;
use bulletin::{Level, Message};
use tokio::time::Instant;

const FAN_OUT: &[(&str, &str)] = &[("Consumer Type", "ENHANCED_FAN_OUT")];
const LATEST: &[(&str, &str)] =
    &[("Consumer Type", "ENHANCED_FAN_OUT"), ("Initial Stream Position", "LATEST")];

#[tokio::test(start_paused = true)]
async fn registers_once_waits_until_active_and_reads() {
    let rig = Rig::new(&["s0", "s1"]);
    let mut wanted = vec![rig.stream.put("s0"), rig.stream.put("s1")];
    let (a, b) = (rig.node("a", FAN_OUT), rig.node("b", FAN_OUT));
    let (from_a, from_b) = (a.consume(), b.consume());
    wanted.extend([rig.stream.put("s0"), rig.stream.put("s1")]);
    until("both read", seconds(30), || from_a.got().len() + from_b.got().len() == 4).await;
    let said = [from_a.said(), from_b.said()].concat();
    assert_eq!(said.iter().filter(|t| t.contains("Registered")).count(), 1, "{said:?}");
    a.source.close(seconds(5)).await;
    b.source.close(seconds(5)).await;
    assert!(rig.stream.has_consumer(), "a stop keeps the consumer");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_subscription_is_renewed_behind_its_continuation_number() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("it is subscribed", SOON, || rig.stream.subscriptions() == 1).await;
    let consumer = node.consume();
    let mut wanted = Vec::new();
    for _ in 0..3 {
        tokio::time::sleep(seconds(290)).await;
        rig.stream.end_subscriptions();
        // In the gap between two subscriptions.
        wanted.push(rig.stream.put("s0"));
        consumer.until(&wanted, seconds(12)).await;
    }
    assert_eq!(consumer.got(), wanted, "no gap, no duplicate");
    let opened = rig.stream.opened();
    assert!(opened[1..].iter().all(|(_, start)| matches!(start, Start::After(_))), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn one_silent_subscription_of_twenty_is_replaced_within_forty_seconds() {
    let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let rig = Rig::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let node = rig.node("a", FAN_OUT);
    let consumer = node.consume();
    let put = || names.iter().map(|s| rig.stream.put(s)).collect::<Vec<u64>>();
    consumer.until(&put(), SOON).await;
    tokio::time::sleep(seconds(7)).await;
    let epochs: Vec<_> = names.iter().map(|s| rig.table.shard(s).counter).collect();
    rig.stream.silence("s0");
    let (fell_silent, mut waiting) = (Instant::now(), Vec::new());
    while waiting.is_empty() || !consumer.got().contains(&waiting[0]) {
        let sent = Instant::now();
        let round = put();
        waiting.push(round[0]);
        consumer.until(&round[1..], seconds(1)).await;
        tokio::time::sleep_until(sent + seconds(1)).await;
        assert!(fell_silent.elapsed() <= seconds(40), "not replaced within 40 s");
    }
    consumer.until(&waiting, seconds(1)).await;
    assert_eq!(rig.stream.subscriptions(), 21, "the others were left alone");
    assert_eq!(consumer.got().len(), 20 + 20 * waiting.len(), "nothing twice");
    assert_eq!(
        names.iter().map(|s| rig.table.shard(s).counter).collect::<Vec<_>>(),
        epochs,
        "no lease moved"
    );
    assert!(consumer.said().iter().all(|t| !t.contains("fail")), "{:?}", consumer.said());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_subscribes_again_and_old_events_do_not_count() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", FAN_OUT);
    let mut wanted = vec![rig.stream.put("s0")];
    let batch = node.next(SOON).await.unwrap();
    tokio::time::sleep(seconds(6)).await;
    // The old subscription's event with this record comes when the new subscription is open.
    rig.stream.delay_events("s0", seconds(3));
    wanted.push(rig.stream.put("s0"));
    let before = rig.stream.subscriptions();
    node.source.settle(batch.id, false).unwrap();
    let consumer = node.consume();
    until("the new one is open", seconds(2), || rig.stream.subscriptions() > before).await;
    consumer.until(&wanted, SOON).await;
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(consumer.got(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_deregistered_underneath_is_registered_again() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", FAN_OUT);
    let consumer = node.consume();
    consumer.until(&[rig.stream.put("s0")], SOON).await;
    tokio::time::sleep(seconds(20)).await;
    let before = node.source.status()["calls"].as_u64().unwrap();
    rig.stream.drop_consumer();
    consumer.until(&[rig.stream.put("s0")], seconds(30)).await;
    assert!(rig.stream.has_consumer());
    assert!(node.source.status()["calls"].as_u64().unwrap() - before <= 5);
    assert_eq!(consumer.got().len(), 2);
}

/// Removes the processor of a node.
async fn remove(rig: &Rig, node: &str) -> Vec<String> {
    let (stream, store) = (rig.stream.for_node(), rig.table.for_node());
    let said = remove_with(node, &stream, &store).await;
    said.into_iter().map(|m| m.text).collect()
}

async fn remove_with(node: &str, stream: &FakeStream, store: &FakeStore) -> Vec<Message> {
    let time = stream.clone();
    let clock = Clock::new(move || time.now_ms());
    deregister_in(&config(node, FAN_OUT), stream, store, &clock).await
}

#[tokio::test(start_paused = true)]
async fn the_consumer_stays_while_another_node_lives_and_goes_with_the_last_one() {
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", FAN_OUT), rig.node("b", FAN_OUT));
    let (from_a, from_b) = (a.consume(), b.consume());
    until("one shard each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    a.source.close(seconds(5)).await;
    let said = remove(&rig, "a").await;
    assert!(said.len() == 1 && said[0].contains("stays registered"), "{said:?}");
    assert!(said[0].contains("\"app\"") && said[0].contains("(b)"), "{said:?}");
    let wanted = [rig.stream.put("s0"), rig.stream.put("s1")];
    from_b.until(&wanted, seconds(60)).await;
    assert!(rig.stream.has_consumer());
    let registered = [from_a.said(), from_b.said()].concat();
    assert_eq!(registered.iter().filter(|t| t.contains("Registered")).count(), 1, "{registered:?}");
    b.source.close(seconds(5)).await;
    let said = remove(&rig, "b").await;
    assert!(said.len() == 1 && said[0].starts_with("Deregistered"), "{said:?}");
    assert!(!rig.stream.has_consumer());
    assert_eq!(remove(&rig, "c").await, [""; 0], "there is nothing left to do");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_long_dead_and_ones_own_heartbeat_keep_no_consumer() {
    let rig = Rig::new(&["s0"]);
    let (a, b) = (rig.node("a", FAN_OUT), rig.node("b", FAN_OUT));
    until("both beat", seconds(60), || rig.table.rows_now().nodes.len() == 2).await;
    until("it is registered", SOON, || rig.stream.has_consumer()).await;
    b.kill().await;
    let said = remove(&rig, "a").await;
    assert!(said[0].contains("stays registered") && said[0].contains("(b)"), "it may live: {said:?}");
    tokio::time::sleep(seconds(601)).await;
    // As after a close that did not reach the table.
    a.kill().await;
    let said = remove(&rig, "a").await;
    assert!(said[0].starts_with("Deregistered"), "{said:?}");
    assert!(!rig.stream.has_consumer());
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_read_keeps_the_consumer_and_a_missing_one_does_not() {
    let rig = Rig::new(&["s0"]);
    rig.stream.register_consumer().await.unwrap();
    let (stream, store) = (rig.stream.for_node(), rig.table.for_node());
    store.faults.always("rows", Some(Fault::Hang));
    let began = Instant::now();
    let said = remove_with("a", &stream, &store).await;
    assert!(began.elapsed() <= seconds(4), "{:?}", began.elapsed());
    assert!(
        said[0].text.contains("must be deregistered by hand") && said[0].level == Level::Warn,
        "{said:?}"
    );
    assert!(rig.stream.has_consumer());
    store.faults.always("rows", None);
    let said = remove_with("a", &stream, &store).await;
    assert!(said[0].text.starts_with("Deregistered") && said[0].level == Level::Info, "{said:?}");
    assert!(!rig.stream.has_consumer());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_stays_inactive_is_told_and_costs_no_lease() {
    let rig = Rig::new(&["s0", "s1"]);
    rig.stream.consumer_takes(seconds(400));
    let (a, b) = (rig.node("a", FAN_OUT), rig.node("b", FAN_OUT));
    until("one each", seconds(60), || a.reads().len() == 1 && b.reads().len() == 1).await;
    let (from_a, from_b) = (a.consume(), b.consume());
    let told = |said: Vec<String>| said.iter().any(|t| t.contains("is not ACTIVE") && t.contains("\"app\""));
    until("both tell it", seconds(70), || told(from_a.said()) && told(from_b.said())).await;
    tokio::time::sleep(seconds(260)).await;
    assert_eq!((a.reads().len(), b.reads().len()), (1, 1), "no other node would fare better");
    let wanted = [rig.stream.put("s0"), rig.stream.put("s1")];
    let got = || [from_a.got(), from_b.got()].concat();
    until("it is read once it is active", seconds(120), || wanted.iter().all(|n| got().contains(n))).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_removed_before_it_was_active_is_registered_again() {
    let rig = Rig::new(&["s0"]);
    rig.stream.consumer_takes(seconds(10));
    let node = rig.node("a", FAN_OUT);
    let consumer = node.consume();
    until("it is registered", SOON, || rig.stream.has_consumer()).await;
    tokio::time::sleep(seconds(3)).await;
    rig.stream.drop_consumer();
    consumer.until(&[rig.stream.put("s0")], seconds(60)).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_are_few_while_subscribing_fails() {
    for kind in [Kind::NotFound, Kind::InUse, Kind::Throttled, Kind::Unavailable] {
        let rig = Rig::new(&["s0"]);
        let node = rig.node("a", FAN_OUT);
        node.stream.faults.always("subscribe", Some(Fault::Fail(kind)));
        tokio::time::sleep(seconds(60)).await;
        let calls = node.source.status()["calls"].as_u64().unwrap();
        assert!((2..=25).contains(&calls), "{kind:?}: {calls}");
        node.stream.faults.always("subscribe", None);
        node.consume().until(&[rig.stream.put("s0")], seconds(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reshard_at_latest_loses_nothing() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", LATEST);
    until("it is subscribed", SOON, || rig.stream.subscriptions() == 1).await;
    let consumer = node.consume();
    let mut wanted = vec![rig.stream.put("s0")];
    rig.stream.reshard(&["s0"], &["s1", "s2"]);
    wanted.extend([rig.stream.put("s1"), rig.stream.put("s2")]);
    consumer.until(&wanted, seconds(20)).await;
    assert_eq!(consumer.got().len(), 3);
    until("the end is recorded", SOON, || rig.table.shard("s0").ended).await;
    let subscriptions = rig.stream.subscriptions();
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(rig.stream.subscriptions(), subscriptions, "no subscription to a shard that ended");
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_back_pressure_are_no_error() {
    let rig = Rig::new(&["s0"]);
    let small: Vec<(&str, &str)> = [FAN_OUT, &[("Max Batch Size", "100")]].concat();
    let node = rig.node("a", &small);
    let mut wanted: Vec<u64> = (0..100).map(|_| rig.stream.put("s0")).collect();
    tokio::time::sleep(seconds(600)).await;
    let said: Vec<String> = node.source.messages().into_iter().map(|m| m.text).collect();
    assert!(said.iter().all(|t| !t.contains("fail")), "{said:?}");
    wanted.push(rig.stream.put("s0"));
    let consumer = node.consume();
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
}

#[tokio::test(start_paused = true)]
async fn records_that_left_the_retention_time_during_back_pressure_are_told() {
    let rig = Rig::new(&["s0"]);
    let small: Vec<(&str, &str)> = [FAN_OUT, &[("Max Batch Size", "100")]].concat();
    let node = rig.node("a", &small);
    let mut wanted: Vec<u64> = (0..100).map(|_| rig.stream.put("s0")).collect();
    tokio::time::sleep(seconds(60)).await;
    let lost = rig.stream.put("s0");
    tokio::time::advance(seconds(25 * 3_600)).await;
    rig.stream.trim("s0");
    wanted.push(rig.stream.put("s0"));
    let consumer = node.consume();
    consumer.until(&wanted, seconds(60)).await;
    assert!(!consumer.got().contains(&lost));
    let told = |t: &String| t.contains("Records of shard s0") && t.contains("may be lost");
    assert_eq!(consumer.said().iter().filter(|t| told(t)).count(), 1, "{:?}", consumer.said());
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_behind_the_last_commit() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", FAN_OUT);
    let first = rig.stream.put("s0");
    let batch = node.next(SOON).await.unwrap();
    assert_eq!(numbers(&batch.parts[0]), [first]);
    node.source.settle(batch.id, true).unwrap();
    until("it is stored", SOON, || rig.table.shard("s0").sequence.is_some()).await;
    node.kill().await;
    tokio::time::sleep(seconds(6)).await;
    let node = rig.node("a", FAN_OUT);
    let consumer = node.consume();
    until("the record came again", SOON, || node.source.status()["repeatedEvents"] == 1).await;
    let wanted = [rig.stream.put("s0")];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
    assert_eq!(node.source.counters(), [("EFO Deduplicated Events", 1)]);
    assert_eq!(node.source.counters(), [], "told once");
}
