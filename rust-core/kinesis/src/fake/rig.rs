//! Nodes on one stream and one table, and a consumer that plays NiFi.

use super::{FakeStore, FakeStream};
use crate::batch::{Batch, Part};
use crate::clock::Clock;
use crate::config::SourceConfig;
use crate::core::World;
use crate::shard::lock;
use crate::source::Source;
use bulletin::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A stream and a table.
pub(crate) struct Rig {
    pub(crate) stream: FakeStream,
    pub(crate) table: FakeStore,
}

/// Properties for tests; `more` are further ones.
pub(crate) fn config(node: &str, more: &[(&str, &str)]) -> SourceConfig {
    let base =
        [("Stream Name", "orders"), ("Application Name", "app"), ("Region", "us-west-2"), ("Node Id", node)];
    let properties: BTreeMap<String, String> =
        base.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    SourceConfig::from_properties(&properties).unwrap()
}

/// A started source and the handles to plague it.
pub(crate) struct Node {
    pub(crate) source: Arc<Source>,
    pub(crate) stream: FakeStream,
    pub(crate) store: FakeStore,
}

impl Rig {
    pub(crate) fn new(shards: &[&str]) -> Self {
        Self { stream: FakeStream::new(shards), table: FakeStore::default() }
    }

    /// Starts a node.
    pub(crate) fn node(&self, name: &str, more: &[(&str, &str)]) -> Node {
        self.node_with_skew(name, more, 0)
    }

    /// Starts a node whose wall clock is off by `skew_ms`.
    pub(crate) fn node_with_skew(&self, name: &str, more: &[(&str, &str)], skew_ms: i64) -> Node {
        let (stream, store) = (self.stream.for_node(), self.table.for_node());
        let clock = {
            let stream = stream.clone();
            Clock::new(move || stream.now_ms() + skew_ms)
        };
        let table = Arc::new(store.clone());
        let world = World { stream: Arc::new(stream.clone()), store: table.clone(), migration: table, clock };
        let source = Source::start_in(config(name, more), world, &tokio::runtime::Handle::current());
        Node { source: Arc::new(source), stream, store }
    }

    /// Who has the lease of a shard: node name.
    pub(crate) fn owner(&self, shard: &str) -> Option<String> {
        let owner = self.table.shard(shard).owner?;
        owner.rsplit_once('/').map(|(node, _)| node.to_owned())
    }
}

impl Node {
    /// Shards this node reads.
    pub(crate) fn reads(&self) -> Vec<String> {
        let status = self.source.status();
        let shards = status["shards"].as_array().unwrap().iter();
        shards.filter(|s| s["state"] == "reading").map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The next batch within `wait`.
    pub(crate) async fn next(&self, wait: Duration) -> Option<Arc<Batch>> {
        self.source.next_batch(wait).await.unwrap()
    }

    /// A consumer that commits everything.
    pub(crate) fn consume(&self) -> Consumer {
        Consumer::start(self.source.clone())
    }

    /// As a process that dies: nothing is released or stored any more.
    pub(crate) async fn kill(self) {
        self.stream.faults.cut(true);
        self.store.faults.cut(true);
        self.source.close(Duration::from_millis(1)).await;
    }
}

/// Takes batches and commits them, as NiFi does.
pub(crate) struct Consumer {
    got: Arc<Mutex<Vec<(u64, Instant)>>>,
    messages: Arc<Mutex<Vec<Message>>>,
    task: JoinHandle<()>,
}

/// The numbers in a part: of `{"n":1}` rows.
pub(crate) fn numbers(part: &Part) -> Vec<u64> {
    numbers_of(&part.content)
}

/// The same of any text.
pub(super) fn numbers_of(content: &[u8]) -> Vec<u64> {
    let lines = record::lines(content);
    lines.map(|l| serde_json::from_slice::<serde_json::Value>(l).unwrap()["n"].as_u64().unwrap()).collect()
}

impl Consumer {
    fn start(source: Arc<Source>) -> Self {
        let (got, messages) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (seen, said) = (got.clone(), messages.clone());
        let task = tokio::spawn(async move {
            while let Ok(batch) = source.next_batch(Duration::from_millis(250)).await {
                lock(&said).extend(source.messages());
                let Some(batch) = batch else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                let now = Instant::now();
                let all = batch.parts.iter().filter(|p| !p.failed).flat_map(numbers);
                lock(&seen).extend(all.map(|n| (n, now)));
                let _ = source.settle(batch.id, true);
            }
        });
        Self { got, messages, task }
    }

    /// Numbers in the order of delivery.
    pub(crate) fn got(&self) -> Vec<u64> {
        lock(&self.got).iter().map(|(n, _)| *n).collect()
    }

    /// When the first record was delivered.
    pub(crate) fn first(&self) -> Option<Instant> {
        lock(&self.got).first().map(|(_, at)| *at)
    }

    /// When the last one was.
    pub(crate) fn last(&self) -> Option<Instant> {
        lock(&self.got).last().map(|(_, at)| *at)
    }

    /// Texts of the bulletins so far.
    pub(crate) fn said(&self) -> Vec<String> {
        lock(&self.messages).iter().map(|m| m.text.clone()).collect()
    }

    /// Waits until all of `wanted` were delivered; fails after `limit`.
    pub(crate) async fn until(&self, wanted: &[u64], limit: Duration) {
        let deadline = Instant::now() + limit;
        while !wanted.iter().all(|n| self.got().contains(n)) {
            assert!(
                Instant::now() < deadline,
                "wanted {wanted:?}, got {:?}, said {:?}",
                self.got(),
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for a condition; fails after `limit`.
pub(crate) async fn until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
