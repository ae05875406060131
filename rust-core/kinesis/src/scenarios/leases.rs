use super::{SOON, seconds};
use crate::fake::{Fault, Rig, numbers, until};
use crate::store::ShardRow;
use std::collections::BTreeMap;

const FOUR: &[&str] = &["s0", "s1", "s2", "s3"];

#[tokio::test(start_paused = true)]
async fn a_full_queue_for_two_minutes_moves_no_lease() {
    let rig = Rig::new(&["s0", "s1"]);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    until("one shard each", seconds(40), || a.reads().len() == 1 && b.reads().len() == 1).await;
    let wanted: Vec<u64> = (0..50).flat_map(|_| [rig.stream.put("s0"), rig.stream.put("s1")]).collect();
    let epochs = [rig.table.shard("s0").counter, rig.table.shard("s1").counter];
    let consumer = a.consume();
    // NiFi does not call b: its queue is full.
    tokio::time::sleep(seconds(120)).await;
    assert_eq!([rig.table.shard("s0").counter, rig.table.shard("s1").counter], epochs);
    let other = b.consume();
    until("all of it", SOON, || consumer.got().len() + other.got().len() >= wanted.len()).await;
    let mut got = [consumer.got(), other.got()].concat();
    got.sort_unstable();
    assert_eq!(got, wanted, "no duplicate");
    assert!(!other.said().iter().any(|t| t.contains("took over")), "{:?}", other.said());
}

#[tokio::test(start_paused = true)]
async fn a_node_cut_from_the_table_hands_out_nothing_after_its_lease() {
    let rig = Rig::new(&["s0"]);
    let a = rig.node("a", &[]);
    until("a reads", SOON, || !a.reads().is_empty()).await;
    let b = rig.node("b", &[]);
    tokio::time::sleep(seconds(10)).await;
    let (from_a, from_b) = (a.consume(), b.consume());
    a.store.faults.cut(true);
    let cut = tokio::time::Instant::now();
    let mut written = Vec::new();
    for _ in 0..60 {
        written.push(rig.stream.put("s0"));
        tokio::time::sleep(seconds(1)).await;
    }
    from_b.until(&written[50..], SOON).await;
    assert_eq!(rig.owner("s0").as_deref(), Some("b"));
    // What a delivered late it could not store, so b delivers it again; but nothing came from a in b's time.
    let last_of_a = from_a.last().unwrap();
    assert!(last_of_a < cut + crate::plan::LEASE, "{:?} after the cut", last_of_a - cut);
    assert!(last_of_a < from_b.first().unwrap(), "b began {:?} after the cut", from_b.first().unwrap() - cut);
    assert!(from_a.got().len() <= 26, "{:?}", from_a.got());
    let mut all = from_b.got();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), from_b.got().len(), "b delivers nothing twice");
    let stored = rig.table.history("s0");
    assert!(stored.is_sorted(), "{stored:?}");
    a.store.faults.cut(false);
    for _ in 0..20 {
        written.push(rig.stream.put("s0"));
        tokio::time::sleep(seconds(1)).await;
    }
    from_b.until(&written[50..], SOON).await;
    assert!(a.reads().is_empty(), "a noticed");
    assert_eq!(from_a.last(), Some(last_of_a), "nothing of it after it could write again");
    let stored = rig.table.history("s0");
    assert!(stored.is_sorted(), "{stored:?}");
    assert!(from_a.said().iter().any(|t| t.contains("took over shard s0")), "{:?}", from_a.said());
    let missing: Vec<&u64> =
        written.iter().filter(|n| !from_a.got().contains(n) && !from_b.got().contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Wall clocks are a minute slow, right, and a minute fast.
#[tokio::test(start_paused = true)]
async fn clocks_that_are_off_steal_nothing_and_keep_nothing_dead() {
    const SIX: &[&str] = &["s0", "s1", "s2", "s3", "s4", "s5"];
    for dies in 0..3 {
        let rig = Rig::new(SIX);
        let mut nodes: Vec<_> = [("slow", -60_000), ("right", 0), ("fast", 60_000)]
            .map(|(name, skew)| rig.node_with_skew(name, &[], skew))
            .into();
        until("two each", seconds(90), || nodes.iter().all(|n| n.reads().len() == 2)).await;
        let leases = || SIX.iter().map(|s| (rig.owner(s), rig.table.shard(s).counter)).collect::<Vec<_>>();
        let (before, reads) = (leases(), nodes.iter().map(|n| n.reads()).collect::<Vec<_>>());
        for second in 0..600 {
            tokio::time::sleep(seconds(1)).await;
            assert_eq!(leases(), before, "after {second} s");
            assert_eq!(nodes.iter().map(|n| n.reads()).collect::<Vec<_>>(), reads, "after {second} s");
        }
        nodes.remove(dies).kill().await;
        until("the dead node's shards are read", seconds(45), || nodes.iter().all(|n| n.reads().len() == 3))
            .await;
        let kept = leases().iter().zip(&before).filter(|(now, then)| now == then).count();
        assert_eq!(kept, 4, "nothing else moved");
    }
}

#[tokio::test(start_paused = true)]
async fn positions_never_go_back_when_a_lease_comes_back() {
    let rig = Rig::new(&["s0"]);
    let a = rig.node("a", &[]);
    rig.stream.put("s0");
    let held_back = a.next(SOON).await.unwrap();
    a.store.faults.cut(true);
    let b = rig.node("b", &[]);
    let consumer = b.consume();
    let wanted = [rig.stream.put("s0"), rig.stream.put("s0")];
    consumer.until(&wanted, seconds(60)).await;
    until("b stored it", SOON, || rig.table.shard("s0").sequence.is_some()).await;
    a.store.faults.cut(false);
    b.source.close(seconds(5)).await;
    until("a reads again", seconds(60), || !a.reads().is_empty()).await;
    // NiFi commits only now what it took under the earlier lease.
    a.source.settle(held_back.id, true).unwrap();
    a.consume().until(&[rig.stream.put("s0")], SOON).await;
    tokio::time::sleep(seconds(2)).await;
    let history = rig.table.history("s0");
    assert!(history.is_sorted() && history.len() >= 2, "{history:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_after_the_write_cost_nothing() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    for operation in ["create", "decide", "beat", "acquire", "renew", "checkpoint"] {
        node.store.faults.next(operation, Fault::ApplyThenCut);
    }
    let consumer = node.consume();
    let mut wanted = Vec::new();
    for _ in 0..60 {
        wanted.push(rig.stream.put("s0"));
        tokio::time::sleep(seconds(1)).await;
    }
    consumer.until(&wanted, SOON).await;
    assert_eq!(consumer.got(), wanted, "no loss, no duplicate");
    assert!(rig.table.shard("s0").counter <= Some(2));
    assert_eq!(node.source.status()["leasesLost"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_crash_takes_its_own_leases_at_once() {
    let rig = Rig::new(FOUR);
    let node = rig.node("a", &[]);
    until("all are read", SOON, || node.reads().len() == 4).await;
    node.kill().await;
    let node = rig.node("a", &[]);
    until("all are read again", seconds(3), || node.reads().len() == 4).await;
}

#[tokio::test(start_paused = true)]
async fn two_processes_with_one_node_id_do_not_fight() {
    let rig = Rig::new(FOUR);
    let first = rig.node("a", &[]);
    until("the first reads", SOON, || first.reads().len() == 4).await;
    let second = rig.node("a", &[]);
    until("the second reads", SOON, || second.reads().len() == 4).await;
    tokio::time::sleep(seconds(300)).await;
    assert_eq!((first.reads().len(), second.reads().len()), (0, 4));
    assert_eq!(FOUR.iter().map(|s| rig.table.shard(s).counter).max(), Some(Some(2)), "each lease moved once");
}

#[tokio::test(start_paused = true)]
async fn nodes_share_and_hand_over_without_duplicates() {
    let rig = Rig::new(FOUR);
    let a = rig.node("a", &[]);
    let from_a = a.consume();
    until("a reads all", SOON, || a.reads().len() == 4).await;
    let writer = {
        let stream = rig.stream.clone();
        tokio::spawn(async move {
            let mut written = Vec::new();
            for _ in 0..600 {
                for shard in FOUR {
                    written.push(stream.put(shard));
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            written
        })
    };
    tokio::time::sleep(seconds(5)).await;
    let (b, c) = (rig.node("b", &[]), rig.node("c", &[]));
    let (from_b, from_c) = (b.consume(), c.consume());
    until("2, 1, 1", seconds(35), || [&a, &b, &c].map(|n| n.reads().len()) == [2, 1, 1]).await;
    let written = writer.await.unwrap();
    tokio::time::sleep(seconds(5)).await;
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for n in [from_a.got(), from_b.got(), from_c.got()].concat() {
        *times.entry(n).or_default() += 1;
    }
    assert_eq!(times.len(), written.len(), "nothing is missing");
    assert!(times.values().all(|t| *t == 1), "nothing twice");
    assert!(!from_b.got().is_empty() && !from_c.got().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_leaves_nothing_to_wait_for() {
    let rig = Rig::new(FOUR);
    let (a, b) = (rig.node("a", &[]), rig.node("b", &[]));
    until("two each", seconds(60), || a.reads().len() == 2 && b.reads().len() == 2).await;
    a.source.close(seconds(5)).await;
    assert_eq!(rig.table.rows_now().nodes["a"].heartbeat, None);
    until("b reads all", seconds(11), || b.reads().len() == 4).await;
    for _ in 0..1_000 {
        let again = rig.node("a", &[]);
        tokio::time::sleep(seconds(2)).await;
        again.source.close(seconds(5)).await;
    }
    let rows = rig.table.rows_now();
    assert_eq!((rows.shards.len(), rows.nodes.len()), (4, 2), "rows do not pile up");
}

#[tokio::test(start_paused = true)]
async fn rows_of_other_programs_are_understood_and_kept() {
    let rig = Rig::new(&["s0", "s1"]);
    let (done, next) = (rig.stream.put("s0"), rig.stream.put("s0"));
    rig.table.edit(|rows| {
        let text = format!("4959033827149025660855969253836157{done:022}");
        let sequence = Some(record::SequenceNumber::new(text).unwrap());
        rows.shards.insert("s0".into(), ShardRow { sequence, ..ShardRow::default() });
        let owner = Some("c0ffee".to_owned());
        rows.shards.insert("s1".into(), ShardRow { owner, ..ShardRow::default() });
    });
    let node = rig.node("a", &[]);
    let batch = node.next(SOON).await.unwrap();
    assert_eq!(numbers(&batch.parts[0]), [next], "from behind the stored number");
    assert_eq!(batch.parts[0].attribute("aws.kinesis.previous.sharded.sequence.number"), Some("0"));
    // An owner without expiry is stuck for ever in Apache NiFi's own processor.
    until("the wedged lease is taken", seconds(45), || rig.owner("s1").as_deref() == Some("a")).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_out_in_time_is_not_committed_late() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || !node.reads().is_empty()).await;
    node.store.faults.cut(true);
    let cut = tokio::time::Instant::now();
    let wanted = [rig.stream.put("s0")];
    let batch = node.next(SOON).await.unwrap();
    assert!(node.source.may_commit(batch.id).unwrap(), "the lease is young");
    let limit = cut + crate::plan::LEASE - seconds(1);
    while node.source.may_commit(batch.id).unwrap() {
        assert!(tokio::time::Instant::now() < limit, "the lease may end before the commit does");
        tokio::time::sleep(seconds(1)).await;
    }
    node.source.settle(batch.id, false).unwrap();
    node.store.faults.cut(false);
    node.consume().until(&wanted, seconds(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_voided_is_not_committed() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    rig.stream.put("s0");
    let first = node.next(SOON).await.unwrap();
    rig.stream.put("s0");
    let second = node.next(SOON).await.unwrap();
    assert!(node.source.may_commit(second.id).unwrap());
    node.source.settle(first.id, false).unwrap();
    assert!(!node.source.may_commit(second.id).unwrap(), "it is delivered again with the first one");
    node.source.settle(second.id, false).unwrap();
    assert!(node.source.may_commit(second.id).is_err(), "it is settled");
    let third = node.next(SOON).await.unwrap();
    node.source.close(seconds(5)).await;
    assert!(!node.source.may_commit(third.id).unwrap(), "the lease was given back");
}

#[tokio::test(start_paused = true)]
async fn what_is_out_when_its_lease_is_given_back_is_not_committed() {
    let rig = Rig::new(&["s0", "s1"]);
    let a = rig.node("a", &[]);
    until("it reads", SOON, || a.reads().len() == 2).await;
    rig.stream.put("s0");
    rig.stream.put("s1");
    let out = [a.next(SOON).await.unwrap().id, a.next(SOON).await.unwrap().id];
    for _ in 0..20 {
        a.store.faults.next("release", Fault::Hang);
    }
    let _b = rig.node("b", &[]);
    until("one is to be given back", seconds(60), || a.reads().len() == 1).await;
    let committable = || out.iter().filter(|id| a.source.may_commit(**id).unwrap()).count();
    assert_eq!(committable(), 2, "a lease that is drained is still ours");
    until("it is given back", seconds(25), || committable() == 1).await;
    assert_eq!(a.source.status()["leasesLost"], 0);
    assert_eq!(rig.owner("s0"), rig.owner("s1"), "the write is still under way");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_under_a_lease_is_not_handed_out_after_it() {
    let rig = Rig::new(&["s0"]);
    let node = rig.node("a", &[]);
    until("it reads", SOON, || !node.reads().is_empty()).await;
    node.store.faults.cut(true);
    let wanted = [rig.stream.put("s0")];
    tokio::time::sleep(seconds(26)).await;
    assert!(node.next(seconds(3)).await.is_none(), "others may have taken it over soon");
    node.store.faults.cut(false);
    node.consume().until(&wanted, seconds(20)).await;
}

/// The old owner dies while it gives a shard away: before it has stored and released it, or in the middle of that.
#[tokio::test(start_paused = true)]
async fn an_owner_that_dies_in_a_hand_over_delays_it_by_the_lease_time_and_doubles_nothing_stored() {
    for stored in [false, true] {
        let rig = Rig::new(&["s0", "s1"]);
        let a = rig.node("a", &[]);
        until("it reads", SOON, || a.reads().len() == 2).await;
        let mut wanted = vec![rig.stream.put("s0"), rig.stream.put("s1")];
        let out = [a.next(SOON).await.unwrap().id, a.next(SOON).await.unwrap().id];
        for _ in 0..20 {
            a.store.faults.next("release", Fault::Hang);
        }
        let b = rig.node("b", &[]);
        let from_b = b.consume();
        until("one is being given away", seconds(60), || a.reads().len() == 1).await;
        let given = if a.reads() == ["s0"] { "s1" } else { "s0" };
        if stored {
            out.iter().for_each(|id| a.source.settle(*id, true).unwrap());
            until("it is stored", SOON, || rig.table.shard(given).sequence.is_some()).await;
            until("the other is, too", SOON, || {
                rig.table.rows_now().shards.values().all(|r| r.sequence.is_some())
            })
            .await;
            wanted.clear();
        }
        assert_eq!(rig.owner(given).as_deref(), Some("a"), "not released");
        wanted.extend(["s0", "s1"].map(|s| rig.stream.put(s)));
        a.kill().await;
        let dead = tokio::time::Instant::now();
        until("b reads both", seconds(45), || b.reads().len() == 2).await;
        assert!(dead.elapsed() > seconds(15), "{:?}: the lease had to end first", dead.elapsed());
        wanted.extend(["s0", "s1"].map(|s| rig.stream.put(s)));
        from_b.until(&wanted, SOON).await;
        let mut got = from_b.got();
        got.sort_unstable();
        assert_eq!(got, wanted, "stored before the death: {stored}");
    }
}
