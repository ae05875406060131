use super::*;
use crate::heartbeats::LONG_DEAD_MS;
use crate::store::NodeRow;
use proptest::prelude::*;

fn shard(id: &str, closed: bool, parents: &[&str]) -> ShardInfo {
    let parents = parents.iter().map(|p| (*p).into()).collect();
    ShardInfo { id: id.into(), parents, closed, ending: None, keys: None }
}

fn owned(owner: &str, counter: u64) -> ShardRow {
    ShardRow { owner: Some(owner.into()), expiry: Some(1), counter: Some(counter), ..ShardRow::default() }
}

fn me(node: &str) -> Me {
    Me { node: node.into(), owner: format!("{node}/1") }
}

struct World {
    shards: Vec<ShardInfo>,
    rows: Rows,
    observed: Observed,
    held: BTreeSet<ShardId>,
    start: Instant,
}

impl World {
    fn new(shards: Vec<ShardInfo>) -> Self {
        let observed = Observed::default();
        World { shards, rows: Rows::default(), observed, held: BTreeSet::new(), start: Instant::now() }
    }

    fn at(&mut self, seconds: u64, me: &Me) -> Plan {
        let now = self.start + Duration::from_secs(seconds);
        self.observed.note(&self.rows, me, now, 1_000_000);
        plan(&View {
            shards: &self.shards,
            rows: &self.rows.shards,
            observed: &self.observed,
            me,
            held: &self.held,
            draining: &BTreeSet::new(),
            parents_first: true,
            now,
        })
    }

    fn beat(&mut self, node: &str, at: i64) {
        self.rows.nodes.insert(node.into(), NodeRow { heartbeat: Some(at), name: None });
    }
}

fn ids(plan: &[ShardId]) -> Vec<&str> {
    plan.iter().map(|s| &**s).collect()
}

#[test]
fn a_lease_is_free_only_after_a_whole_lease_without_life() {
    let me = me("a");
    let mut world = World::new(vec![shard("s0", false, &[])]);
    world.rows.shards.insert("s0".into(), owned("b/9", 4));
    assert!(world.at(0, &me).acquire.is_empty());
    assert!(world.at(30, &me).acquire.is_empty());
    assert_eq!(ids(&world.at(31, &me).acquire), ["s0"]);
    // One renewal, whatever it says about time, and the wait begins again.
    world.rows.shards.get_mut("s0").unwrap().renewals = Some(1);
    assert!(world.at(32, &me).acquire.is_empty());
    assert!(world.at(61, &me).acquire.is_empty());
    assert_eq!(ids(&world.at(63, &me).acquire), ["s0"]);
}

#[test]
fn wall_clocks_do_not_matter() {
    let me = me("a");
    for expiry in [i64::MIN, 0, i64::MAX] {
        let mut world = World::new(vec![shard("s0", false, &[])]);
        world.rows.shards.insert("s0".into(), ShardRow { expiry: Some(expiry), ..owned("b/9", 4) });
        assert!(world.at(0, &me).acquire.is_empty());
        assert_eq!(ids(&world.at(31, &me).acquire), ["s0"]);
    }
}

#[test]
fn an_owner_without_expiry_is_no_wedge() {
    let me = me("a");
    let mut world = World::new(vec![shard("s0", false, &[])]);
    world.rows.shards.insert("s0".into(), ShardRow { expiry: None, counter: None, ..owned("b/9", 4) });
    world.at(0, &me);
    assert_eq!(ids(&world.at(31, &me).acquire), ["s0"]);
}

#[test]
fn leases_of_the_run_before_are_taken_at_once_and_only_once() {
    let me = me("a");
    let mut world = World::new(vec![shard("s0", false, &[]), shard("s1", false, &[])]);
    world.rows.shards.insert("s0".into(), owned("a/0", 4));
    world.rows.shards.insert("s1".into(), owned("ab/0", 4));
    assert_eq!(ids(&world.at(0, &me).acquire), ["s0"]);
    // A twin under the same Node Id takes it back: not ours to inherit any more.
    world.rows.shards.insert("s0".into(), owned("a/2", 5));
    assert!(world.at(1, &me).acquire.is_empty());
}

#[test]
fn an_acquisition_whose_answer_was_lost_is_completed() {
    let me = me("a");
    let mut world = World::new(vec![shard("s0", false, &[])]);
    world.at(0, &me);
    world.rows.shards.insert("s0".into(), owned("a/1", 1));
    assert_eq!(ids(&world.at(1, &me).acquire), ["s0"]);
}

#[test]
fn parents_come_first() {
    let me = me("a");
    let mut world = World::new(vec![
        shard("child", false, &["left", "right"]),
        shard("left", true, &["trimmed"]),
        shard("right", true, &[]),
    ]);
    assert_eq!(ids(&world.at(0, &me).acquire), ["left", "right"]);
    let ended = ShardRow { ended: true, ..ShardRow::default() };
    world.rows.shards.insert("left".into(), ended.clone());
    assert_eq!(ids(&world.at(1, &me).acquire), ["right"]);
    world.rows.shards.insert("right".into(), ended);
    assert_eq!(ids(&world.at(2, &me).acquire), ["child"]);
}

#[test]
fn ended_shards_cost_nothing() {
    let me = me("a");
    let mut world = World::new((0..100).map(|n| shard(&format!("s{n:03}"), true, &[])).collect());
    for n in 0..100 {
        let row = ShardRow { ended: true, ..ShardRow::default() };
        world.rows.shards.insert(format!("s{n:03}").as_str().into(), row);
    }
    assert_eq!(world.at(0, &me), Plan { nodes: 1, ..Plan::default() });
}

#[test]
fn long_dead_heartbeats_do_not_lower_the_share() {
    let me = me("a");
    let mut world = World::new((0..4).map(|n| shard(&format!("s{n}"), false, &[])).collect());
    for n in 0..20 {
        world.beat(&format!("old-{n}"), 1_000_000 - LONG_DEAD_MS);
    }
    assert_eq!(world.at(0, &me).acquire.len(), 4);
    world.beat("b", 999_999);
    assert_eq!(world.at(1, &me).acquire.len(), 2);
    // It stops: counted as long as its leases, then not.
    assert_eq!(world.at(32, &me).nodes, 2);
    assert_eq!(world.at(33, &me).nodes, 1);
}

#[test]
fn a_node_with_two_rows_counts_once_and_by_its_name() {
    let me = me("a");
    let mut world = World::new((0..4).map(|n| shard(&format!("s{n}"), false, &[])).collect());
    for key in ["b", "left-by-c"] {
        world.rows.nodes.insert(key.into(), NodeRow { heartbeat: Some(999_999), name: Some("b".into()) });
    }
    world.rows.nodes.insert("d".into(), NodeRow { heartbeat: Some(999_999), name: Some("a".into()) });
    assert_eq!(world.at(0, &me).nodes, 2);
}

/// Plays `rounds` refreshes of all nodes on one table and gives the counts of open shards a node.
fn balance(open: usize, closed_ended: usize, nodes: usize, rounds: usize) -> Vec<usize> {
    let mut shards: Vec<ShardInfo> = (0..open).map(|n| shard(&format!("o{n:03}"), false, &[])).collect();
    shards.extend((0..closed_ended).map(|n| shard(&format!("c{n:03}"), true, &[])));
    let mut rows = Rows::default();
    for n in 0..closed_ended {
        let row = ShardRow { ended: true, ..ShardRow::default() };
        rows.shards.insert(format!("c{n:03}").as_str().into(), row);
    }
    let names: Vec<Me> = (0..nodes).map(|n| me(&format!("n{n}"))).collect();
    let mut held: Vec<BTreeSet<ShardId>> = vec![BTreeSet::new(); nodes];
    let mut observed: Vec<Observed> = (0..nodes).map(|_| Observed::default()).collect();
    let start = Instant::now();
    for round in 0..rounds {
        let now = start + Duration::from_secs(10 * round as u64);
        for n in 0..nodes {
            rows.nodes.insert(names[n].node.clone(), NodeRow { heartbeat: Some(round as i64), name: None });
            for lease in &held[n] {
                rows.shards.get_mut(lease).unwrap().renewals = Some(round as u64);
            }
            observed[n].note(&rows, &names[n], now, 0);
            let plan = plan(&View {
                shards: &shards,
                rows: &rows.shards,
                observed: &observed[n],
                me: &names[n],
                held: &held[n],
                draining: &BTreeSet::new(),
                parents_first: true,
                now,
            });
            for lease in plan.drain {
                held[n].remove(&lease);
                rows.shards.insert(lease, ShardRow::default());
            }
            for lease in plan.acquire {
                assert!(held.iter().all(|h| !h.contains(&lease)), "{lease} has two readers");
                rows.shards.insert(lease.clone(), owned(&names[n].owner, 1));
                held[n].insert(lease);
            }
        }
    }
    held.iter().map(BTreeSet::len).collect()
}

#[test]
fn every_node_gets_its_share() {
    assert_eq!(balance(4, 0, 3, 4), [2, 1, 1]);
    assert_eq!(balance(6, 0, 5, 4), [2, 1, 1, 1, 1]);
    assert_eq!(balance(10, 100, 3, 4), [4, 3, 3]);
    assert_eq!(balance(10, 0, 6, 4), [2, 2, 2, 2, 1, 1]);
    assert_eq!(balance(2, 0, 5, 4), [1, 1, 0, 0, 0]);
}

#[test]
fn a_shard_that_is_listed_twice_is_taken_once() {
    let me = me("a");
    let mut world =
        World::new(vec![shard("s0", false, &[]), shard("s0", false, &[]), shard("s1", false, &[])]);
    let plan = world.at(0, &me);
    assert_eq!((ids(&plan.acquire), plan.readable), (vec!["s0", "s1"], 2));
}

#[test]
fn children_wait_for_nobody_who_never_marks_an_end() {
    let me = me("a");
    let mut world = World::new(vec![shard("child", false, &["parent"]), shard("parent", true, &[])]);
    world.rows.shards.insert("parent".into(), owned("b/1", 1));
    assert!(world.at(0, &me).acquire.is_empty(), "another node of ours will mark it");
    world.rows.shards.insert("parent".into(), owned("6b1c7a9e-0000-4000-8000-000000000001", 1));
    assert_eq!(ids(&world.at(1, &me).acquire), ["child"]);
}

#[test]
fn what_nodes_of_another_kind_leave_over_is_taken_up_to_their_ceiling() {
    let me = me("a");
    let mut shards: Vec<ShardInfo> = (0..3).map(|n| shard(&format!("c{n}"), true, &[])).collect();
    shards.extend((0..3).map(|n| shard(&format!("o{n}"), false, &[])));
    let mut world = World::new(shards);
    // It is busy with shards that ended long ago.
    for n in 0..3 {
        let row = ShardRow { ended: true, ..owned("other", 1) };
        world.rows.shards.insert(format!("c{n}").as_str().into(), row);
    }
    world.beat("other", 1_000_000);
    let now = world.start;
    let rows = world.rows.clone();
    world.observed.note_unowned(&world.shards, &rows, now);
    let first = world.at(0, &me).acquire;
    assert_eq!(first.len(), 2, "our share");
    world.held.extend(first);
    for id in world.held.clone() {
        world.rows.shards.insert(id, owned(&me.owner, 1));
    }
    assert!(world.at(20, &me).acquire.is_empty());
    let plan = world.at(26, &me);
    assert_eq!((plan.acquire.len(), plan.drain.len()), (1, 0), "nobody wanted it");
    world.held.extend(plan.acquire);
    assert_eq!(world.at(27, &me).drain.len(), 0, "three is what the others would hold");
}

#[test]
fn the_odd_one_stays_where_it_is() {
    let me = me("b");
    let mut world = World::new(vec![shard("s0", false, &[])]);
    world.rows.shards.insert("s0".into(), owned("b/1", 1));
    world.held.insert("s0".into());
    world.beat("a", 1_000_000);
    assert_eq!(world.at(0, &me), Plan { nodes: 2, readable: 1, ..Plan::default() });
}

proptest! {
    #[test]
    fn counts_differ_by_at_most_one_and_nothing_is_left(open in 0usize..60, nodes in 1usize..9) {
        let counts = balance(open, 3, nodes, 5);
        prop_assert_eq!(counts.iter().sum::<usize>(), open);
        let (max, min) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        prop_assert!(max - min <= 1, "{:?}", counts);
    }
}
