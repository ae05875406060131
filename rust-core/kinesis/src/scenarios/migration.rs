use super::{SOON, seconds};
use crate::Level;
use crate::fake::{Fault, Node, Rig, until};
use crate::migration::{Layout, Lease, Life, Marker, Side, Which};
use crate::position::Anchor;
use crate::store::{NodeRow, ShardRow};
use crate::trouble::Kind;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use record::SequenceNumber;
use std::time::Duration;

/// A number as those of the fake's records, so that it can be resumed from.
fn number(n: u64) -> String {
    format!("4959033827149025660855969253836157{n:022}")
}

fn id(n: usize) -> String {
    format!("shardId-{n:012}")
}

fn lease(n: usize, checkpoint: impl Into<String>, sub: u64) -> Lease {
    Lease {
        key: id(n),
        owner: None,
        counter: Some(7),
        checkpoint: Some(checkpoint.into()),
        sub_sequence: Some(sub),
        entity: None,
    }
}

/// 100 leases of which 10 are of shards that are still there: positions, also in the middle of aggregates, and ends.
fn hundred() -> Vec<Lease> {
    let lease = |n: usize| match n % 10 {
        0 => lease(n, number(0), 0),
        1..5 => lease(n, "SHARD_END", 0),
        5 => lease(n, "TRIM_HORIZON", 0),
        6 => lease(n, number(n as u64), 4),
        _ => lease(n, number(n as u64), 0),
    };
    (0..100).map(lease).collect()
}

fn rig_of_hundred() -> Rig {
    let open: Vec<String> = (0..100).step_by(10).map(id).collect();
    let rig = Rig::new(&open.iter().map(String::as_str).collect::<Vec<_>>());
    for shard in &open {
        rig.stream.put(shard);
    }
    rig.table.set_leases(hundred());
    rig
}

/// Every position, end and beginning is in the table.
fn check_all(rig: &Rig, what: &str) {
    let rows = rig.table.rows_now();
    for lease in hundred() {
        let row =
            rows.shards.get(lease.key.as_str()).unwrap_or_else(|| panic!("{what}: {} is gone", lease.key));
        match lease.checkpoint.as_deref().unwrap() {
            "SHARD_END" => assert!(row.ended, "{what}: {}", lease.key),
            "TRIM_HORIZON" => assert_eq!(row.anchor, Some(Anchor::TrimHorizon), "{what}: {}", lease.key),
            text => {
                let done = row.done().unwrap_or_else(|| panic!("{what}: {}", lease.key));
                assert!(!row.ended, "{what}: {}", lease.key);
                assert!(
                    done.position.sequence >= SequenceNumber::new(text).unwrap(),
                    "{what}: {}",
                    lease.key
                );
                if done.position.sequence.as_str() == text {
                    assert_eq!(Some(done.position.sub_sequence), lease.sub_sequence, "{what}");
                }
            }
        }
    }
    assert_eq!(rig.table.main_layout(), Some((Layout::Current, Life::Active)), "{what}");
}

fn running(node: &Node) -> bool {
    node.source.status()["state"] == "running"
}

#[tokio::test(start_paused = true)]
async fn positions_of_the_client_library_are_taken_over() {
    let rig = Rig::new(&[&id(0), &id(1), &id(3), &id(4)]);
    let old = rig.stream.put(&id(0));
    rig.stream.put(&id(1));
    rig.stream.reshard(&[&id(1)], &[]);
    rig.stream.put(&id(4));
    rig.stream.put(&id(3));
    tokio::time::sleep(seconds(1)).await;
    let mut leases = vec![
        lease(0, number(old), 0),
        lease(1, "SHARD_END", 0),
        lease(2, number(9), 0),
        lease(3, "LATEST", 0),
        lease(4, "TRIM_HORIZON", 0),
    ];
    leases.push(Lease { key: "Leader".into(), entity: Some("LEADER".into()), ..Lease::default() });
    rig.table.set_leases(leases);
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    until("it runs", seconds(30), || running(&node)).await;
    let wanted = [rig.stream.put(&id(0)), rig.stream.put(&id(3)), rig.stream.put(&id(4))];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got().len(), 4, "the new ones, and what TRIM_HORIZON has: {:?}", consumer.got());
    assert_eq!(rig.stream.calls(&id(1)), 0, "a finished shard is not read again");
    let said = consumer.said();
    let told = said.iter().filter(|t| t.contains("Migrated 5 rows") && t.contains("1 finished")).count();
    assert_eq!(told, 1, "{said:?}");
    until("the side table goes", seconds(10), || !rig.table.side_exists()).await;
    assert_eq!(rig.table.deleted(), [Which::Main, Which::Side]);
}

#[tokio::test(start_paused = true)]
async fn a_migration_survives_a_death_after_every_call() {
    let mut points = 0;
    for calls in 0.. {
        let rig = rig_of_hundred();
        let node = rig.node("a", &[]);
        node.store.faults.cut_after(calls);
        until("cut or done", seconds(300), || node.store.faults.is_cut() || running(&node)).await;
        let finished = running(&node) && !node.store.faults.is_cut();
        node.kill().await;
        let what = format!("after {calls} calls");
        let node = rig.node("a", &[]);
        until(&what, seconds(300), || running(&node)).await;
        check_all(&rig, &what);
        until("the side table goes", seconds(10), || !rig.table.side_exists()).await;
        node.kill().await;
        if finished {
            break;
        }
        points += 1;
    }
    assert!(points > 150, "{points}");
}

#[tokio::test(start_paused = true)]
async fn three_nodes_migrate_at_once_and_die_after_every_call() {
    for calls in 0..300 {
        let mut random = StdRng::seed_from_u64(calls as u64);
        let rig = rig_of_hundred();
        let what = format!("after {calls} calls");
        let a = rig.node("a", &[]);
        a.store.faults.cut_after(calls);
        let mut nodes = Vec::new();
        for name in ["b", "c"] {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..4_000))).await;
            nodes.push(rig.node(name, &[]));
        }
        nodes[0].store.faults.cut_after(calls + random.random_range(0..200));
        until("cut or done", seconds(300), || a.store.faults.is_cut() || running(&a)).await;
        a.kill().await;
        nodes.push(rig.node("a", &[]));
        until(&what, seconds(400), || running(&nodes[1]) && running(&nodes[2])).await;
        check_all(&rig, &what);
        assert_eq!(rig.table.deleted().iter().filter(|t| **t == Which::Main).count(), 1, "{what}");
        for node in nodes {
            node.kill().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_failures_of_every_call_are_got_over() {
    let operations = [
        "table",
        "side",
        "create",
        "create-side",
        "delete",
        "delete-side",
        "leases",
        "side-rows",
        "main-rows",
        "marker",
        "take",
        "lock-beat",
        "complete",
        "swapped",
        "copy",
        "copy-stream",
    ];
    for operation in operations {
        for fault in [Fault::ApplyThenCut, Fault::Fail(Kind::Throttled), Fault::Hang] {
            let rig = rig_of_hundred();
            let node = rig.node("a", &[]);
            for _ in 0..2 {
                node.store.faults.next(operation, fault);
            }
            let what = format!("{operation} {fault:?}");
            until(&what, seconds(300), || running(&node)).await;
            check_all(&rig, &what);
            node.kill().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_service_still_remembers_are_waited_out() {
    let rig = rig_of_hundred();
    rig.table.set_stale_keys(seconds(150));
    let node = rig.node("a", &[]);
    until("it runs", seconds(250), || running(&node)).await;
    check_all(&rig, "stale keys");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_others_is_left_alone() {
    let row = || ShardRow { sequence: Some(SequenceNumber::new("5").unwrap()), ..ShardRow::default() };
    let mut unmarked = Side::default();
    unmarked.rows.shards.insert("shardId-9".into(), row());
    let mut beating = Side { marker: Some(Marker::default()), ..Side::default() };
    beating.rows.nodes.insert("n".into(), NodeRow { heartbeat: Some(1), name: None });
    let shared = Side { others: ["payments".to_owned()].into(), ..Side::default() };
    let sides = [
        (Layout::Current, unmarked),
        (Layout::Current, beating),
        (Layout::Current, shared),
        (Layout::Legacy, Side::default()),
        (Layout::Foreign("id HASH".into()), Side::default()),
    ];
    for (layout, side) in sides {
        let rig = rig_of_hundred();
        rig.table.set_side(layout.clone(), side);
        let node = rig.node("a", &[]);
        tokio::time::sleep(seconds(120)).await;
        let errors: Vec<_> = node.source.messages().into_iter().filter(|m| m.level == Level::Error).collect();
        assert!((1..=5).contains(&errors.len()), "{errors:?}");
        assert!(errors[0].text.contains("\"app_migration\"") && errors[0].text.contains("Application Name"));
        assert!(rig.table.deleted().is_empty() && rig.table.side_exists(), "{layout:?}");
        node.source.close(seconds(5)).await;
    }
    let other = Lease { key: "1:payments:1700000000:shardId-000000000000".into(), ..lease(0, "5", 0) };
    for (leases, word) in
        [(vec![lease(0, number(1), 0), other], "payments"), (vec![lease(555, "5", 0)], "None")]
    {
        let rig = rig_of_hundred();
        rig.table.set_leases(leases);
        let node = rig.node("a", &[]);
        tokio::time::sleep(seconds(60)).await;
        let said: Vec<_> = node.source.messages().into_iter().map(|m| m.text).collect();
        assert!(said.iter().any(|t| t.contains(word)), "{said:?}");
        assert!(rig.table.deleted().is_empty() && !rig.table.side_exists());
        node.source.close(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_is_called_like_a_side_table_is_not_touched() {
    let rig = Rig::new(&["s0"]);
    rig.table.set_main(Some(Layout::Current));
    let mut side = Side { others: ["payments".to_owned()].into(), ..Side::default() };
    side.rows.nodes.insert("n".into(), NodeRow { heartbeat: Some(1), name: None });
    rig.table.set_side(Layout::Current, side);
    let node = rig.node("a", &[]);
    node.consume().until(&[rig.stream.put("s0")], SOON).await;
    assert!(rig.table.side_exists() && rig.table.deleted().is_empty());
    assert_eq!(rig.table.side_now().rows.nodes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_in_use_is_waited_for() {
    let rig = rig_of_hundred();
    let mut leases = hundred();
    leases[0].owner = Some("worker-7".into());
    rig.table.set_leases(leases);
    let node = rig.node("a", &[]);
    for _ in 0..40 {
        tokio::time::sleep(seconds(3)).await;
        rig.table.edit_leases(|leases| leases[0].counter = leases[0].counter.map(|c| c + 1));
    }
    assert!(!rig.table.side_exists(), "nothing is begun");
    let said: Vec<_> = node.source.messages().into_iter().map(|m| m.text).collect();
    assert!(said.iter().any(|t| t.contains("worker-7")), "{said:?}");
    until("it runs when the worker is gone", seconds(40), || running(&node)).await;
    check_all(&rig, "after the worker");
}

#[tokio::test(start_paused = true)]
async fn what_apache_nifi_left_half_done_is_finished() {
    // Copied in part, its lock cleared after an error: the legacy table is what counts.
    let rig = rig_of_hundred();
    let mut side = Side { marker: Some(Marker::default()), ..Side::default() };
    let wrong = Some(SequenceNumber::new("3").unwrap());
    side.rows.shards.insert(id(7).as_str().into(), ShardRow { sequence: wrong, ..ShardRow::default() });
    rig.table.set_side(Layout::Current, side);
    let node = rig.node("a", &[]);
    until("it runs", seconds(60), || running(&node)).await;
    check_all(&rig, "in part");
    node.kill().await;
    // Its main table was deleted, and its process died; its lock is waited out.
    for complete in [true, false] {
        let rig = Rig::new(&[&id(0)]);
        let marker = Marker { complete, owner: Some("other".into()), started: Some(1), ..Marker::default() };
        let mut side = Side { marker: Some(marker), ..Side::default() };
        let done = Some(SequenceNumber::new(number(1)).unwrap());
        side.rows.shards.insert(id(0).as_str().into(), ShardRow { sequence: done, ..ShardRow::default() });
        rig.table.set_side(Layout::Current, side);
        rig.stream.put(&id(0));
        let wanted = [rig.stream.put(&id(0))];
        let node = rig.node("a", &[]);
        tokio::time::sleep(seconds(100)).await;
        assert_eq!(rig.table.main_layout(), None, "somebody else may be at it");
        let consumer = node.consume();
        consumer.until(&wanted, seconds(120)).await;
        assert_eq!(consumer.got(), wanted);
        let warned = consumer.said().iter().any(|t| t.contains("had not finished"));
        assert_eq!(warned, !complete, "{:?}", consumer.said());
        until("the side table goes", seconds(10), || !rig.table.side_exists()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_went_on_are_not_set_back_by_a_side_table_that_stayed() {
    let rig = Rig::new(&[&id(0)]);
    for _ in 0..3 {
        rig.stream.put(&id(0));
    }
    let at = |n| ShardRow { sequence: Some(SequenceNumber::new(number(n)).unwrap()), ..ShardRow::default() };
    rig.table.edit(|rows| {
        rows.shards.insert(id(0).as_str().into(), at(3));
    });
    let mut side = Side { marker: Some(Marker { complete: true, ..Marker::default() }), ..Side::default() };
    side.rows.shards.insert(id(0).as_str().into(), at(1));
    side.rows.shards.insert(id(1).as_str().into(), at(2));
    rig.table.set_side(Layout::Current, side);
    let node = rig.node("a", &[]);
    let consumer = node.consume();
    until("it runs", SOON, || running(&node)).await;
    let wanted = [rig.stream.put(&id(0))];
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted);
    assert_eq!(rig.table.shard(&id(1)).done(), at(2).done());
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_with_its_table_and_the_stop_is_bounded() {
    for (operation, words) in [
        ("leases", ["dynamodb:leases", "\"app\""]),
        ("delete", ["dynamodb:delete", "\"app\""]),
        ("create-side", ["dynamodb:create-side", "\"app\""]),
    ] {
        let rig = rig_of_hundred();
        let node = rig.node("a", &[]);
        node.store.faults.always(operation, Some(Fault::Fail(Kind::Denied)));
        tokio::time::sleep(seconds(40)).await;
        let errors: Vec<_> = node.source.messages().into_iter().filter(|m| m.level == Level::Error).collect();
        assert!((1..=2).contains(&errors.len()), "{operation}: {errors:?}");
        assert!(words.iter().all(|w| errors[0].text.contains(w)), "{errors:?}");
        let began = tokio::time::Instant::now();
        node.source.close(seconds(5)).await;
        assert!(began.elapsed() < seconds(6));
        let node = rig.node("a", &[]);
        until("allowed again", seconds(60), || running(&node)).await;
        check_all(&rig, operation);
    }
}

#[tokio::test(start_paused = true)]
async fn without_permission_on_the_side_table_a_current_table_is_used() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    node.store.faults.always("side", Some(Fault::Fail(Kind::Denied)));
    let consumer = node.consume();
    consumer.until(&[rig.stream.put("s0")], SOON).await;
    assert!(consumer.said().iter().all(|t| !t.contains("permission")), "{:?}", consumer.said());
}
