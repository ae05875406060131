//! Numbered records of many keys, put past the network, so that the ledger is certain whatever the connections suffer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local_cloud::{LocalCloud, kpl_aggregate};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::producer::bad_payload;
use crate::{Error, Result};

const KEYS: u32 = 97;
const TICK: Duration = Duration::from_millis(25);
/// One record in this many has a value that its column refuses.
const REJECTED_EVERY: u64 = 400;
/// One record in this many is no JSON object.
const UNREADABLE_EVERY: u64 = 150;

/// What stands in a numeric column of a record that its table refuses, as JSON.
pub(super) const REFUSED_VALUE: &str = "\"many\"";

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A row of the table.
    Row,
    /// A row of the error table, told through `invalid`.
    Rejected,
    /// No row: it leaves through `parse-failure`, byte for byte.
    Unreadable,
}

/// A record, and where Kinesis stored it.
#[derive(Debug, Clone)]
pub struct Written {
    /// Number among all records.
    pub id: u64,
    /// Its key.
    pub key: u32,
    /// Number among the records of the key.
    pub n: u64,
    /// What must become of it.
    pub fate: Fate,
    /// Shard that took it.
    pub shard: String,
    /// Its sequence number.
    pub sequence: String,
    /// Its place in an aggregate.
    pub sub: u64,
    /// It arrived between these two moments of the cloud's clock, in milliseconds since 1970.
    pub between: (i64, i64),
}

impl Written {
    /// The partition key.
    pub fn partition_key(&self) -> String {
        key_text(self.key)
    }

    /// Its sharded sequence number.
    pub fn position(&self) -> String {
        format!("{}{:020}", self.sequence, self.sub)
    }

    /// What was put when it is unreadable.
    pub fn payload(&self) -> Vec<u8> {
        bad_payload(self.id)
    }
}

fn key_text(key: u32) -> String {
    format!("key-{key}")
}

/// What was written so far.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Mutex<Vec<Written>>,
    put: AtomicU64,
    enough: AtomicBool,
}

impl Ledger {
    /// How many records were put.
    pub fn put(&self) -> u64 {
        self.put.load(Ordering::Relaxed)
    }

    /// Ends the writing.
    pub fn stop(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// All lines, by number.
    pub fn take(&self) -> Vec<Written> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes until it is told to stop: at times nothing, at times a trickle, at times a burst.
pub async fn write(cloud: Arc<LocalCloud>, stream: String, seed: u64, ledger: Arc<Ledger>) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut numbers = vec![0_u64; usize::try_from(KEYS).unwrap_or(0)];
    let (mut per_tick, mut mood_ends) = (5, Instant::now());
    while !ledger.enough.load(Ordering::Relaxed) {
        if Instant::now() >= mood_ends {
            per_tick = [0, 1, 5, 10, 20, 60][rng.random_range(0..6)];
            mood_ends = Instant::now() + Duration::from_millis(rng.random_range(300..4000));
        }
        for _ in 0..per_tick {
            put_one(&cloud, &stream, &mut rng, &mut numbers, &ledger)?;
        }
        sleep(TICK).await;
    }
    Ok(())
}

fn put_one(
    cloud: &LocalCloud,
    stream: &str,
    rng: &mut StdRng,
    numbers: &mut [u64],
    ledger: &Ledger,
) -> Result<()> {
    let key = rng.random_range(0..KEYS);
    let number = &mut numbers[usize::try_from(key).unwrap_or(0)];
    let together = if rng.random_ratio(1, 40) { rng.random_range(2..6) } else { 1 };
    let mut records = Vec::new();
    for _ in 0..together {
        let id = ledger.put.fetch_add(1, Ordering::Relaxed);
        *number += 1;
        records.push((id, *number, record(rng, id, key, *number)));
    }
    let text = key_text(key);
    let data = match records.as_slice() {
        [(_, _, (one, _))] => one.clone().into(),
        many => kpl_aggregate(many.iter().map(|(_, _, (payload, _))| (text.as_str(), payload.as_slice()))),
    };
    let before = cloud.clock().now_ms();
    let receipt = cloud
        .kinesis()
        .put(stream, &text, data)
        .map_err(|error| Error::Unexpected(format!("putting a record onto {stream}: {error}")))?;
    let between = (before, cloud.clock().now_ms());
    let mut lines = ledger.lines.lock().unwrap_or_else(PoisonError::into_inner);
    for (sub, (id, n, (_, fate))) in (0..).zip(records) {
        let (shard, sequence) = (receipt.shard_id.clone(), receipt.sequence_number.clone());
        lines.push(Written { id, key, n, fate, shard, sequence, sub, between });
    }
    Ok(())
}

fn record(rng: &mut StdRng, id: u64, key: u32, n: u64) -> (Vec<u8>, Fate) {
    if id % UNREADABLE_EVERY == UNREADABLE_EVERY / 2 {
        return (bad_payload(id), Fate::Unreadable);
    }
    let rejected = id % REJECTED_EVERY == REJECTED_EVERY / 3;
    let quantity = if rejected { REFUSED_VALUE.to_owned() } else { (id % 1000).to_string() };
    let size = if rng.random_ratio(1, 500) { 20_000 } else { rng.random_range(0..300) };
    let text = format!(
        "{{\"id\": {id}, \"k\": \"{}\", \"n\": {n}, \"qty\": {quantity}, \"pad\": \"{}\"}}",
        key_text(key),
        "x".repeat(size)
    );
    (text.into_bytes(), if rejected { Fate::Rejected } else { Fate::Row })
}
