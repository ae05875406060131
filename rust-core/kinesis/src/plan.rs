//! Who reads what: a pure function from the table and the shard list to the leases to take and to give back.
//!
//! Fair share: readable shards, open and closed ones apart, are divided by rank among the live nodes, so that counts
//! differ by at most one and no lease moves without need. A shard becomes readable when its listed parents have ended. A lease is free when it has no
//! owner, or when its owner showed no sign of life for a whole lease by our own monotonic clock; wall clocks of
//! different machines are never compared.

use crate::api::{ShardId, ShardInfo};
use crate::heartbeats::Heartbeats;
use crate::store::{LeasePrint, Rows, ShardRow};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long a lease lasts without a sign of life. The same as in Apache NiFi's own processor.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// A shard that nobody took for this long is left over: two refreshes of Apache NiFi's own processor, and a little.
const LEFT_OVER: Duration = Duration::from_secs(25);

/// When something in the table was last seen to change, by our own clock.
#[derive(Default)]
pub(crate) struct Observed {
    leases: HashMap<ShardId, (LeasePrint, Instant)>,
    pub(crate) heartbeats: Heartbeats,
    /// Since when a listed shard has no owner.
    unowned: HashMap<ShardId, Instant>,
    /// Leases of our own earlier incarnation as they were in the very first reading. See [`Observed::inherited`].
    inheritance: Option<HashMap<ShardId, LeasePrint>>,
}

impl Observed {
    /// Takes note of a consistent reading of the table.
    pub(crate) fn note(&mut self, rows: &Rows, me: &Me, now: Instant, wall_ms: i64) {
        self.inheritance.get_or_insert_with(|| {
            let ours = |row: &ShardRow| row.owner.as_deref().is_some_and(|o| me.is_earlier_self(o));
            rows.shards.iter().filter(|(_, r)| ours(r)).map(|(s, r)| (s.clone(), r.print())).collect()
        });
        self.leases.retain(|shard, _| rows.shards.contains_key(shard));
        for (shard, row) in &rows.shards {
            let print = row.print();
            match self.leases.get_mut(shard) {
                Some((seen, _)) if *seen == print => {}
                Some(entry) => *entry = (print, now),
                None => {
                    self.leases.insert(shard.clone(), (print, now));
                }
            }
        }
        self.heartbeats.note(&rows.nodes, now, wall_ms);
    }

    /// Takes note of the listed shards nobody has.
    pub(crate) fn note_unowned(&mut self, shards: &[ShardInfo], rows: &Rows, now: Instant) {
        let owned =
            |id: &str| rows.shards.get(id).is_some_and(|r| r.owner.is_some()) && !self.expired(id, now);
        let unowned: BTreeSet<ShardId> =
            shards.iter().filter(|s| !owned(&s.id)).map(|s| s.id.clone()).collect();
        self.unowned.retain(|shard, _| unowned.contains(shard));
        for shard in unowned {
            self.unowned.entry(shard).or_insert(now);
        }
    }

    /// Nobody took the shard for longer than a node needs to see that it could.
    fn left_over(&self, shard: &str, now: Instant) -> bool {
        self.unowned.get(shard).is_some_and(|since| now.duration_since(*since) > LEFT_OVER)
    }

    /// The owner showed no sign of life for a whole lease.
    fn expired(&self, shard: &str, now: Instant) -> bool {
        self.leases.get(shard).is_some_and(|(_, since)| now.duration_since(*since) > LEASE)
    }

    /// The lease is still exactly as an earlier process with our Node Id left it when we started.
    ///
    /// Taking it at once is safe because that process is gone: NiFi gives one Node Id to one processor on one node, and
    /// it starts a source only after the one before it was closed or its process died. Should two processes run
    /// under one Node Id nevertheless (a cloned machine), the newer one takes the leases once; the older one finds
    /// its writes fenced, and since only what was seen in the *first* reading can be inherited, it does not take them
    /// back: it waits like any other node. So they do not fight.
    fn inherited(&self, shard: &str, row: &ShardRow) -> bool {
        let first = self.inheritance.as_ref().and_then(|i| i.get(shard));
        first.is_some_and(|print| *print == row.print())
    }

    /// Live nodes, ourselves included, in a fixed order.
    pub(crate) fn live_nodes(&self, me: &Me, now: Instant) -> Vec<String> {
        let mut nodes: BTreeSet<String> = self.heartbeats.live(now).map(str::to_owned).collect();
        nodes.insert(me.node.clone());
        nodes.into_iter().collect()
    }
}

/// Our two names.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    /// Stable name of the processor on this NiFi node.
    pub(crate) node: String,
    /// Name of this run of it; value of `leaseOwner`.
    pub(crate) owner: String,
}

impl Me {
    pub(crate) fn new(node: &str) -> Self {
        let incarnation = uuid::Uuid::new_v4().simple().to_string();
        Self { node: node.to_owned(), owner: format!("{node}/{}", &incarnation[..12]) }
    }

    /// `owner` is another run under our Node Id.
    pub(crate) fn is_earlier_self(&self, owner: &str) -> bool {
        owner != self.owner
            && owner
                .strip_prefix(self.node.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|incarnation| !incarnation.contains('/'))
    }
}

/// What the planner looks at.
pub(crate) struct View<'a> {
    pub(crate) shards: &'a [ShardInfo],
    /// Rows of the stream as it is now; rows of an earlier stream of the same name count as absent.
    pub(crate) rows: &'a BTreeMap<ShardId, ShardRow>,
    pub(crate) observed: &'a Observed,
    pub(crate) me: &'a Me,
    /// Leases we hold and keep.
    pub(crate) held: &'a BTreeSet<ShardId>,
    /// Leases we hold and are about to give back.
    pub(crate) draining: &'a BTreeSet<ShardId>,
    /// A shard is readable only when its parents have ended.
    pub(crate) parents_first: bool,
    pub(crate) now: Instant,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Take these, in this order.
    pub(crate) acquire: Vec<ShardId>,
    /// Drain and release these.
    pub(crate) drain: Vec<ShardId>,
    /// Live nodes.
    pub(crate) nodes: usize,
    /// Readable shards of the stream, whoever reads them.
    pub(crate) readable: usize,
}

#[derive(Default)]
struct Class {
    total: usize,
    mine: Vec<ShardId>,
    /// Ours in the table, or our predecessor's: taken whatever the share.
    owed: Vec<ShardId>,
    free: Vec<ShardId>,
    /// Leases a node has in the table.
    counts: HashMap<String, usize>,
}

/// The plan for one reading of the table.
pub(crate) fn plan(view: &View<'_>) -> Plan {
    let nodes = view.observed.live_nodes(view.me, view.now);
    let listed: BTreeMap<&str, &ShardInfo> = view.shards.iter().map(|s| (&*s.id, s)).collect();
    let (mut open, mut closed) = (Class::default(), Class::default());
    for shard in listed.values() {
        if ended(view, &shard.id)
            || (view.parents_first && !view.held.contains(&shard.id) && blocked(view, &listed, shard))
        {
            continue;
        }
        let class = if shard.closed { &mut closed } else { &mut open };
        sort_in(view, shard, class);
    }
    let mut plan = Plan { nodes: nodes.len(), readable: open.total + closed.total, ..Plan::default() };
    let mut ceiling = shares_with_others(view).then(|| listed.len().div_ceil(nodes.len()));
    for class in [open, closed] {
        let rank = rank(&class, &nodes, &view.me.node);
        let kept = settle(view, class, nodes.len(), rank, ceiling, &mut plan);
        ceiling = ceiling.map(|c| c.saturating_sub(kept));
    }
    plan
}

/// An owner that is a node of Apache NiFi's own processor. Ours are `<node>/<run>`.
fn is_other(owner: &str) -> bool {
    !owner.contains('/')
}

/// Nodes of Apache NiFi's own processor have leases. They count closed shards as work, never mark an end, and take up to
/// `ceil(listed shards / nodes)`.
fn shares_with_others(view: &View<'_>) -> bool {
    view.rows.iter().any(|(shard, row)| {
        row.owner.as_deref().is_some_and(is_other) && !view.observed.expired(shard, view.now)
    })
}

fn ended(view: &View<'_>, shard: &str) -> bool {
    view.rows.get(shard).is_some_and(|r| r.ended)
}

/// A parent that is still listed and has not ended comes first. A node of Apache NiFi's own processor reads parents and
/// children at once and never marks an end: waiting for it would be for ever.
fn blocked(view: &View<'_>, listed: &BTreeMap<&str, &ShardInfo>, shard: &ShardInfo) -> bool {
    let with_others = |p: &str| view.rows.get(p).and_then(|r| r.owner.as_deref()).is_some_and(is_other);
    shard.parents.iter().any(|p| listed.contains_key(&**p) && !ended(view, p) && !with_others(p))
}

fn sort_in(view: &View<'_>, shard: &ShardInfo, class: &mut Class) {
    class.total += 1;
    let id = shard.id.clone();
    if let Some(owner) = view.rows.get(&id).and_then(|r| r.owner.as_deref()) {
        // Ours are `<node>/<run>`; Apache NiFi's own are the node.
        let node = owner.rsplit_once('/').map_or(owner, |(node, _)| node);
        *class.counts.entry(node.to_owned()).or_default() += 1;
    }
    if view.draining.contains(&id) {
        return;
    }
    if view.held.contains(&id) {
        class.mine.push(id);
        return;
    }
    let Some(row) = view.rows.get(&id) else {
        class.free.push(id);
        return;
    };
    match row.owner.as_deref() {
        None => class.free.push(id),
        // The table says it is ours although we do not know: an acquisition whose answer was lost.
        Some(owner) if owner == view.me.owner => class.owed.push(id),
        Some(_) if view.observed.inherited(&id, row) => class.owed.push(id),
        Some(_) if view.observed.expired(&id, view.now) => class.free.push(id),
        Some(_) => {}
    }
}

/// Nodes that have more come first, so that what does not divide evenly stays where it is.
fn rank(class: &Class, nodes: &[String], me: &str) -> usize {
    let have = |node: &str| class.counts.get(node).copied().unwrap_or(0);
    let mine = have(me);
    nodes.iter().filter(|n| have(n) > mine || (have(n) == mine && n.as_str() < me)).count()
}

/// Shards of a class for the node of this rank.
fn share(total: usize, nodes: usize, rank: usize) -> usize {
    total / nodes + usize::from(rank < total % nodes)
}

/// Gives the leases of the class that are kept or to be taken. With a `ceiling` nodes share that do not balance as we
/// do: what they leave over is taken up to the ceiling, and only what is above it is given back.
fn settle(
    view: &View<'_>,
    mut class: Class,
    nodes: usize,
    rank: usize,
    ceiling: Option<usize>,
    plan: &mut Plan,
) -> usize {
    let share = share(class.total, nodes, rank);
    // Nodes begin at different places of the list, so that they do not all reach for the same lease.
    let offset = class.free.len() * rank / nodes;
    class.free.rotate_left(offset);
    let have = class.mine.len() + class.owed.len();
    let most = ceiling.unwrap_or(share).max(share);
    plan.acquire.append(&mut class.owed);
    let rest = class.free.split_off(share.saturating_sub(have).min(class.free.len()));
    let have = have + class.free.len();
    plan.acquire.append(&mut class.free);
    let left_over = rest.into_iter().filter(|id| view.observed.left_over(id, view.now));
    let before = plan.acquire.len();
    plan.acquire.extend(left_over.take(most.saturating_sub(have)));
    let kept = have + plan.acquire.len() - before;
    let excess = class.mine.len().saturating_sub(most);
    plan.drain.extend(class.mine.into_iter().rev().take(excess));
    kept - excess
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
