//! A stream on loopback, sources on it, and a reader that plays NiFi.
#![allow(dead_code, reason = "every test program uses a part")]

use kinesis::{Level, Source, SourceConfig};
use local_cloud::{AccessKey, LocalCloud, Options, Policy};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const STREAM: &str = "orders";
pub const TABLE: &str = "orders-app";
/// Secret of every key but the cloud's own.
const SECRET: &str = "top secret";

pub struct Rig {
    pub cloud: LocalCloud,
    next: AtomicU64,
    /// Where each record went.
    homes: Mutex<BTreeMap<u64, String>>,
}

impl Rig {
    pub async fn start(shards: u32) -> Self {
        Self::start_with(Options::default(), shards).await
    }

    pub async fn start_with(options: Options, shards: u32) -> Self {
        let cloud = LocalCloud::start(options).await.unwrap();
        cloud.kinesis().create_stream(STREAM, shards).unwrap();
        Self { cloud, next: AtomicU64::new(1), homes: Mutex::default() }
    }

    /// Writes `{"n":<number>}` records over all shards; gives the numbers.
    pub fn put(&self, count: u64) -> Vec<u64> {
        self.put_sized(count, 0)
    }

    /// As [`Rig::put`], with this many bytes of padding.
    pub fn put_sized(&self, count: u64, padding: usize) -> Vec<u64> {
        (0..count).map(|_| self.put_one(padding)).collect()
    }

    /// Writes one record with this many bytes of padding; gives its number.
    pub fn put_one(&self, padding: usize) -> u64 {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let payload = format!("{{\"n\":{n},\"x\":\"{}\"}}", "y".repeat(padding));
        let receipt = self.cloud.kinesis().put(STREAM, &format!("key-{n}"), payload.into_bytes()).unwrap();
        self.homes.lock().unwrap().insert(n, receipt.shard_id);
        n
    }

    /// The shard that took a record.
    pub fn shard_of(&self, number: u64) -> String {
        self.homes.lock().unwrap()[&number].clone()
    }

    /// Adds an access key, or gives it other rights.
    pub fn key(&self, id: &str, policy: Option<Policy>) {
        self.cloud.add_access_key(AccessKey::new(id, SECRET, "connector", policy));
    }

    pub fn config(&self, node: &str, more: &[(&str, &str)]) -> SourceConfig {
        self.config_as(self.cloud.access_key_id(), self.cloud.secret_access_key(), node, more)
    }

    pub fn config_of(&self, key: &str, node: &str, more: &[(&str, &str)]) -> SourceConfig {
        self.config_as(key, SECRET, node, more)
    }

    fn config_as(&self, key: &str, secret: &str, node: &str, more: &[(&str, &str)]) -> SourceConfig {
        let endpoint = self.cloud.aws_endpoint();
        let base = [
            ("Stream Name", STREAM),
            ("Application Name", TABLE),
            ("Region", "us-west-2"),
            ("AWS Access Key ID", key),
            ("AWS Secret Access Key", secret),
            ("Endpoint Override URL", &endpoint),
            ("Node Id", node),
        ];
        let properties: BTreeMap<String, String> =
            base.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        SourceConfig::from_properties(&properties).unwrap()
    }

    pub fn source(&self, node: &str, more: &[(&str, &str)]) -> Source {
        Source::start(self.config(node, more), &tokio::runtime::Handle::current())
    }

    pub fn source_as(&self, key: &str, node: &str, more: &[(&str, &str)]) -> Source {
        Source::start(self.config_of(key, node, more), &tokio::runtime::Handle::current())
    }
}

#[derive(Default)]
struct Seen {
    numbers: Vec<u64>,
    failed: Vec<Vec<u8>>,
    parts: Vec<Vec<(&'static str, String)>>,
    bytes: usize,
    said: Vec<(Level, String)>,
}

/// Takes batches and commits them, as NiFi does.
pub struct Reader {
    pub source: Arc<Source>,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Reader {
    pub fn start(source: Source) -> Self {
        let (source, seen) = (Arc::new(source), Arc::<Mutex<Seen>>::default());
        let (taken, noted) = (source.clone(), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok(batch) = taken.next_batch(Duration::from_millis(100)).await {
                {
                    let mut noted = noted.lock().unwrap();
                    noted.said.extend(taken.messages().into_iter().map(|m| (m.level, m.text)));
                    for part in batch.iter().flat_map(|b| &b.parts) {
                        note(&mut noted, part);
                    }
                }
                match batch {
                    Some(batch) => taken.settle(batch.id, true).unwrap(),
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        });
        Self { source, seen, task }
    }

    pub fn got(&self) -> Vec<u64> {
        self.seen.lock().unwrap().numbers.clone()
    }

    pub fn failed(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().failed.clone()
    }

    pub fn part(&self, index: usize) -> Vec<(&'static str, String)> {
        self.seen.lock().unwrap().parts[index].clone()
    }

    pub fn bytes(&self) -> usize {
        self.seen.lock().unwrap().bytes
    }

    pub fn said(&self) -> Vec<String> {
        self.seen.lock().unwrap().said.iter().map(|(_, t)| t.clone()).collect()
    }

    /// What was said that is worse than information.
    pub fn troubles(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.said.iter().filter(|(level, _)| *level != Level::Info).map(|(_, text)| text.clone()).collect()
    }

    /// Waits until all numbers came; fails after `limit`.
    pub async fn until(&self, wanted: &[u64], limit: Duration) {
        let all = || {
            let got: std::collections::BTreeSet<u64> = self.got().into_iter().collect();
            wanted.iter().all(|n| got.contains(n))
        };
        let deadline = Instant::now() + limit;
        while !all() {
            let (got, said) = (self.got().len(), self.said());
            assert!(Instant::now() < deadline, "wanted {}, got {got}, said {said:?}", wanted.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for a bulletin with all these words; fails after `limit`.
    pub async fn until_said(&self, words: &[&str], limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.said().iter().any(|t| words.iter().all(|w| t.contains(w))) {
            assert!(Instant::now() < deadline, "nobody said {words:?} but {:?}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop(self) {
        self.source.close(Duration::from_secs(5)).await;
        self.task.await.unwrap();
    }
}

fn note(seen: &mut Seen, part: &kinesis::Part) {
    seen.parts.push(part.attributes.clone());
    seen.bytes += part.content.len();
    if part.failed {
        seen.failed.push(part.content.to_vec());
        return;
    }
    let rows = part.content.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let numbers: Vec<u64> = rows
        .map(|l| serde_json::from_slice::<serde_json::Value>(l).unwrap()["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers.len() as u64, part.records);
    seen.numbers.extend(numbers);
}

pub async fn until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
