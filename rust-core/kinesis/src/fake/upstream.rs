//! A node of Apache NiFi's own processor on the same table, as far as the table shows it: how it takes, keeps and gives
//! back leases, and that it stores sequence numbers alone. Made from a description of its behaviour.

use super::{FakeStore, FakeStream, Rig, numbers_of};
use crate::api::{ShardId, ShardInfo, StreamApi};
use crate::position::Start;
use crate::shard::lock;
use crate::store::{Rows, ShardRow};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const LEASE_MS: i64 = 30_000;
const HEARTBEAT_MS: i64 = 40_000;
const REFRESH: Duration = Duration::from_secs(10);
const LIST: Duration = Duration::from_secs(60);
const TRIGGER: Duration = Duration::from_millis(500);
/// Between two calls, so that other nodes come in between.
const CALL: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Seen {
    owned: BTreeSet<ShardId>,
    delivered: Vec<u64>,
}

/// A running node.
pub(crate) struct UpstreamNode {
    id: String,
    table: FakeStore,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

struct Worker {
    id: String,
    table: FakeStore,
    stream: FakeStream,
    random: StdRng,
    seen: Arc<Mutex<Seen>>,
    shards: Vec<ShardInfo>,
    listed: Option<Instant>,
    refreshed: Option<Instant>,
    draining: BTreeMap<ShardId, Instant>,
}

impl UpstreamNode {
    /// Schedules the processor.
    pub(crate) fn start(rig: &Rig, id: &str, seed: u64) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let mut worker = Worker {
            id: id.to_owned(),
            table: rig.table.clone(),
            stream: rig.stream.for_node(),
            random: StdRng::seed_from_u64(seed),
            seen: seen.clone(),
            shards: Vec::new(),
            listed: None,
            refreshed: None,
            draining: BTreeMap::new(),
        };
        let task = tokio::spawn(async move {
            loop {
                worker.trigger().await;
                tokio::time::sleep(TRIGGER).await;
            }
        });
        Self { id: id.to_owned(), table: rig.table.clone(), seen, task }
    }

    /// Shards it fetches from.
    pub(crate) fn reads(&self) -> Vec<String> {
        lock(&self.seen).owned.iter().map(ToString::to_string).collect()
    }

    /// Numbers it committed.
    pub(crate) fn delivered(&self) -> Vec<u64> {
        lock(&self.seen).delivered.clone()
    }

    /// The process dies.
    pub(crate) fn crash(&self) {
        self.task.abort();
        lock(&self.seen).owned.clear();
    }

    /// A clean stop: leases are released, the heartbeat's attributes removed.
    pub(crate) fn stop(&self) {
        self.crash();
        let id = self.id.as_str();
        self.table.edit(|rows| {
            for row in rows.shards.values_mut().filter(|r| r.owner.as_deref() == Some(id)) {
                (row.owner, row.expiry) = (None, None);
            }
            rows.nodes.entry(id.to_owned()).or_default().heartbeat = None;
        });
    }
}

impl Worker {
    async fn trigger(&mut self) {
        if self.refreshed.is_none_or(|t| t.elapsed() >= REFRESH) {
            self.refresh().await;
            self.refreshed = Some(Instant::now());
        }
        let owned = lock(&self.seen).owned.clone();
        for shard in owned {
            self.fetch(&shard).await;
        }
    }

    async fn change<T: Default>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        tokio::time::sleep(CALL).await;
        let mut result = T::default();
        self.table.edit(|rows| result = change(rows));
        result
    }

    /// Takes or renews: nobody's, ours, or expired by our clock.
    async fn acquire(&self, shard: &ShardId) -> bool {
        let (now, id) = (self.stream.now_ms(), self.id.clone());
        self.change(|rows| {
            let row = rows.shards.entry(shard.clone()).or_insert_with(ShardRow::default);
            let free = match &row.owner {
                None => true,
                Some(owner) => *owner == id || row.expiry.is_some_and(|e| e < now),
            };
            if free {
                (row.owner, row.expiry) = (Some(id), Some(now + LEASE_MS));
                row.updated = Some(now);
            }
            free
        })
        .await
    }

    async fn release(&self, shard: &ShardId) {
        let id = self.id.clone();
        self.change(|rows| {
            let row = rows.shards.get_mut(shard).filter(|r| r.owner.as_ref() == Some(&id));
            if let Some(row) = row {
                (row.owner, row.expiry) = (None, None);
            }
        })
        .await;
    }

    async fn refresh(&mut self) {
        if self.listed.is_none_or(|t| t.elapsed() >= LIST) {
            self.shards = self.stream.list_shards().await.unwrap();
            self.listed = Some(Instant::now());
        }
        let now = self.stream.now_ms();
        let id = self.id.clone();
        self.change(|rows| {
            rows.nodes.entry(id).or_default().heartbeat = Some(now);
        })
        .await;
        let rows = self.change(|rows| rows.clone()).await;
        let live = |shard: &ShardId| {
            let row = rows.shards.get(shard)?;
            row.owner.clone().filter(|_| row.expiry.is_some_and(|e| e >= now))
        };
        let (mut mine, mut available) = (BTreeSet::new(), Vec::new());
        for shard in &self.shards {
            match live(&shard.id) {
                Some(owner) if owner == self.id => {
                    mine.insert(shard.id.clone());
                }
                Some(_) => {}
                None => available.push(shard.id.clone()),
            }
        }
        lock(&self.seen).owned.retain(|s| mine.contains(s));
        let beating = rows.nodes.values().filter(|n| n.heartbeat.is_some_and(|h| now <= h + HEARTBEAT_MS));
        let target = self.shards.len().div_ceil(beating.count().max(1));
        self.shed(target);
        self.keep().await;
        available.shuffle(&mut self.random);
        for shard in available {
            if lock(&self.seen).owned.len() >= target {
                return;
            }
            if self.acquire(&shard).await {
                self.draining.remove(&shard);
                lock(&self.seen).owned.insert(shard);
            }
        }
    }

    /// Stops fetching what is above the target.
    fn shed(&mut self, target: usize) {
        let mut owned: Vec<ShardId> = lock(&self.seen).owned.iter().cloned().collect();
        owned.shuffle(&mut self.random);
        for shard in owned.into_iter().skip(target) {
            lock(&self.seen).owned.remove(&shard);
            self.draining.insert(shard, Instant::now() + REFRESH);
        }
    }

    /// Renews what is owned, whatever comes of it, and what drains, until it is released.
    async fn keep(&mut self) {
        let owned: Vec<ShardId> = lock(&self.seen).owned.iter().cloned().collect();
        for shard in &owned {
            self.acquire(shard).await;
        }
        for (shard, until) in self.draining.clone() {
            if Instant::now() >= until {
                self.release(&shard).await;
                self.draining.remove(&shard);
            } else {
                self.acquire(&shard).await;
            }
        }
    }

    /// Reads from behind the stored number, commits, and stores the number alone.
    async fn fetch(&mut self, shard: &ShardId) {
        let stored = self.table.shard(shard).sequence;
        let start = stored.map_or(Start::TrimHorizon, Start::After);
        let Ok(iterator) = self.stream.iterator(shard, &start).await else { return };
        let Ok(page) = self.stream.records(&iterator, 100).await else { return };
        let Some(last) = page.records.last().map(|r| r.sequence.clone()) else { return };
        lock(&self.seen).delivered.extend(page.records.iter().flat_map(|r| numbers_of(&r.data)));
        let (now, id) = (self.stream.now_ms(), self.id.clone());
        self.change(|rows| {
            let row = rows.shards.get_mut(shard).filter(|r| r.owner.as_ref() == Some(&id));
            if let Some(row) = row {
                (row.sequence, row.expiry) = (Some(last), Some(now + LEASE_MS));
                row.updated = Some(now);
            }
        })
        .await;
    }
}
