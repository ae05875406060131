use super::seconds;
use crate::fake::{Node, Rig, UpstreamNode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The longest time a shard may be without a reader: a dead node's lease (30 s), its heartbeat (40 s), the refreshes of
/// the others, and the list of shards that Apache NiFi's own processor keeps for 60 s.
const UNREAD: Duration = Duration::from_secs(110);

#[derive(Default)]
struct Nodes {
    ours: Vec<(Node, crate::fake::Consumer)>,
    theirs: Vec<UpstreamNode>,
    delivered: Vec<u64>,
    made: usize,
}

impl Nodes {
    fn count(&self) -> usize {
        self.ours.len() + self.theirs.len()
    }

    fn join(&mut self, rig: &Rig, ours: bool, seed: u64) {
        self.made += 1;
        if ours {
            let node = rig.node(&format!("n{}", self.made), &[]);
            let consumer = node.consume();
            self.ours.push((node, consumer));
        } else {
            let name = format!("6b1c7a9e-0000-4000-8000-{:012}", self.made);
            self.theirs.push(UpstreamNode::start(rig, &name, seed));
        }
    }

    async fn leave(&mut self, ours: bool, crash: bool) {
        if ours {
            let (node, consumer) = self.ours.remove(0);
            if crash {
                node.kill().await;
            } else {
                node.source.close(seconds(5)).await;
            }
            self.delivered.extend(consumer.got());
        } else {
            let node = self.theirs.remove(0);
            if crash {
                node.crash()
            } else {
                node.stop()
            }
            self.delivered.extend(node.delivered());
        }
    }

    fn readers(&self) -> BTreeMap<String, usize> {
        let mut readers = BTreeMap::new();
        let ours = self.ours.iter().flat_map(|(n, _)| n.reads());
        for shard in ours.chain(self.theirs.iter().flat_map(UpstreamNode::reads)) {
            *readers.entry(shard).or_default() += 1;
        }
        readers
    }

    /// Everything about a shard, for the message of a failure.
    fn rows(&self, shard: &str) -> String {
        let Some((node, _)) = self.ours.first() else { return String::new() };
        let rows = node.store.rows_now();
        format!("{:?}, nodes {:?}, readers {:?}", rows.shards.get(shard), rows.nodes, self.readers())
    }

    fn all_delivered(&self) -> std::collections::BTreeSet<u64> {
        let ours = self.ours.iter().flat_map(|(_, c)| c.got());
        let theirs = self.theirs.iter().flat_map(UpstreamNode::delivered);
        self.delivered.iter().copied().chain(ours).chain(theirs).collect()
    }
}

struct Watch {
    last_read: BTreeMap<String, Instant>,
}

impl Watch {
    /// At most one reader a shard, and none is left alone for long.
    fn look(&mut self, open: &[String], nodes: &Nodes, what: &str) {
        let readers = nodes.readers();
        for (shard, count) in &readers {
            assert!(*count <= 1, "{what}: {shard} has {count} readers");
        }
        for shard in open {
            let since = self.last_read.entry(shard.clone()).or_insert_with(Instant::now);
            if readers.contains_key(shard) {
                *since = Instant::now();
            }
            assert!(since.elapsed() < UNREAD, "{what}: nobody reads {shard}: {:?}", nodes.rows(shard));
        }
    }
}

async fn half_an_hour(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let names: Vec<String> = (0..random.random_range(4..9)).map(|n| format!("s{n}")).collect();
    let rig = Rig::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    rig.table.edit(|_| {});
    let (mut open, mut nodes) = (names, Nodes::default());
    let mut watch = Watch { last_read: BTreeMap::new() };
    nodes.join(&rig, seed.is_multiple_of(2), seed);
    let (mut written, mut next_event, mut split) = (Vec::new(), 30, 0);
    for second in 0..1_800_u64 {
        let what = format!("seed {seed}, second {second}");
        if second == next_event {
            next_event += random.random_range(100..180);
            let (ours, crash) = (random.random(), random.random());
            let leaving = if ours { !nodes.ours.is_empty() } else { !nodes.theirs.is_empty() };
            if nodes.count() >= 5 || (nodes.count() > 1 && leaving && random.random_bool(0.5)) {
                let ours = if leaving { ours } else { !ours };
                nodes.leave(ours, crash).await;
            } else {
                nodes.join(&rig, ours, seed + second);
            }
        }
        if second % 600 == 500 {
            let parent = open.remove(random.random_range(0..open.len()));
            let children = [format!("c{split}a"), format!("c{split}b")];
            split += 1;
            rig.stream.reshard(&[&parent], &[&children[0], &children[1]]);
            open.extend(children);
        }
        written.push(rig.stream.put(&open[random.random_range(0..open.len())]));
        tokio::time::sleep(seconds(1)).await;
        watch.look(&open, &nodes, &what);
    }
    tokio::time::sleep(seconds(120)).await;
    let delivered = nodes.all_delivered();
    let missing: Vec<&u64> = written.iter().filter(|n| !delivered.contains(n)).collect();
    assert!(missing.is_empty(), "seed {seed}: {missing:?}");
    for shard in rig.table.rows_now().shards.keys() {
        assert!(rig.table.history(shard).is_sorted(), "seed {seed}: {shard} went back");
    }
}

/// In this model no process is paused in the middle of a call; then Apache NiFi's own processor may read a shard for up
/// to ten seconds after another took it, which no partner can prevent.
#[tokio::test(start_paused = true)]
async fn half_an_hour_on_one_table_with_apache_nifis_own_processor() {
    for seed in 1..=6 {
        half_an_hour(seed).await;
    }
}
