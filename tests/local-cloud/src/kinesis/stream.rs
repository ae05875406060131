//! One stream: state, shards and the routing of partition keys.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use md5::{Digest as _, Md5};

use super::consumers::Consumer;
use super::disk::Disk;
use super::shard::{Shard, shard_id};
use crate::aws::AwsError;
use crate::sync::{lock, read, write};

/// State of a stream as `StreamStatus` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

/// Gives every stream and shard a creation time of its own, so that their numbers and iterators can be told apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Creations(Arc<AtomicI64>);

impl Creations {
    /// Now, or the first millisecond that no stream or shard has yet.
    pub(crate) fn next(&self, now_ms: i64) -> i64 {
        let later = |last: i64| Some(now_ms.max(last + 1));
        match self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later) {
            Ok(last) | Err(last) => now_ms.max(last + 1),
        }
    }
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) created_ms: i64,
    pub(crate) on_demand: bool,
    pub(crate) state: RwLock<State>,
}

/// What changes about a stream.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) status: Status,
    /// When a passing state is over.
    pub(crate) settles_ms: i64,
    /// All shards that can still be named, by index.
    pub(crate) shards: BTreeMap<u32, Arc<Shard>>,
    /// Open shards by the end of their hash range.
    routes: Vec<(u128, Arc<Shard>)>,
    pub(crate) next_index: u32,
    created: Creations,
    pub(crate) retention_hours: u32,
    pub(crate) max_record_kib: usize,
    pub(crate) consumers: BTreeMap<String, Arc<Consumer>>,
    /// Keeps the stream over a restart.
    disk: Option<Disk>,
}

impl State {
    pub(crate) fn new(status: Status, settles_ms: i64, created: Creations, disk: Option<Disk>) -> Self {
        Self {
            status,
            settles_ms,
            shards: BTreeMap::new(),
            routes: Vec::new(),
            next_index: 0,
            created,
            retention_hours: 24,
            max_record_kib: 1024,
            consumers: BTreeMap::new(),
            disk,
        }
    }

    /// Adds an open shard; the routes are rebuilt by [`State::route`].
    pub(crate) fn add(&mut self, now_ms: i64, start: u128, end: u128, parents: &[u32]) -> Arc<Shard> {
        let mut shard = Shard::new(self.next_index, start, end, self.created.next(now_ms));
        shard.parent = parents.first().copied();
        shard.adjacent_parent = parents.get(1).copied();
        lock(&shard.log).records = self.disk.as_ref().map(|disk| disk.records(shard.created_ms));
        self.next_index += 1;
        let shard = Arc::new(shard);
        self.shards.insert(shard.index, Arc::clone(&shard));
        shard
    }

    /// Rebuilds the routing table from the open shards.
    pub(crate) fn route(&mut self) {
        let mut open: Vec<_> = self.open().map(|shard| (shard.end_hash, Arc::clone(shard))).collect();
        open.sort_by_key(|(end, _)| *end);
        self.routes = open;
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.values().filter(|shard| shard.closed().is_none())
    }

    /// The instant this moment's trim horizon lies at.
    pub(crate) fn horizon_ms(&self, now_ms: i64) -> i64 {
        now_ms - i64::from(self.retention_hours) * 3_600_000
    }
}

/// Hash of a partition key: its MD5 as a 128-bit number.
pub(crate) fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// `shards` equal parts of the hash space, as inclusive ranges.
pub(crate) fn even_ranges(shards: u32) -> Vec<(u128, u128)> {
    let count = u128::from(shards.max(1));
    let part = u128::MAX / count;
    (0..count)
        .map(|at| (at * part + u128::from(at > 0), if at + 1 == count { u128::MAX } else { (at + 1) * part }))
        .collect()
}

impl Stream {
    /// Keeps what `state` says over a restart; to be called under its lock.
    pub(crate) fn save(&self, state: &State) -> Result<(), AwsError> {
        let saved = state.disk.as_ref().map_or(Ok(()), |disk| disk.save(self, state));
        saved.map_err(|error| AwsError::new("InternalFailure", error.to_string()).with_status(500))
    }

    /// Removes what was kept.
    pub(crate) fn forget(&self) {
        let state = read(&self.state);
        if let Some(disk) = &state.disk {
            disk.forget(self, &state);
        }
    }

    /// The open shard that owns a hash.
    pub(crate) fn shard_for(&self, hash: u128) -> Result<Arc<Shard>, AwsError> {
        let state = read(&self.state);
        let at = state.routes.partition_point(|(end, _)| *end < hash);
        match state.routes.get(at) {
            Some((_, shard)) => Ok(Arc::clone(shard)),
            None => Err(self.not_active(&state)),
        }
    }

    /// A shard by its id; the error is the service's.
    pub(crate) fn shard(&self, id: &str) -> Result<Arc<Shard>, AwsError> {
        let state = read(&self.state);
        let found = super::shard::shard_index(id).and_then(|index| state.shards.get(&index));
        found.cloned().ok_or_else(|| {
            AwsError::not_found(format!(
                "Shard {id} in stream {} under account {} does not exist",
                self.name, self.account
            ))
        })
    }

    pub(crate) fn not_active(&self, state: &State) -> AwsError {
        AwsError::in_use(format!(
            "Stream {} under account {} not ACTIVE, instead in state {}",
            self.name,
            self.account,
            state.status.name()
        ))
    }

    /// Applies what the passing of time has brought: the end of a passing state, expired closed shards.
    /// False when the stream is gone.
    pub(crate) fn settle(&self, now_ms: i64) -> bool {
        {
            let state = read(&self.state);
            let settled = state.status == Status::Active || now_ms < state.settles_ms;
            let horizon = state.horizon_ms(now_ms);
            if settled && !state.shards.values().any(|shard| shard.expired(horizon)) {
                return true;
            }
        }
        let mut state = write(&self.state);
        if state.status != Status::Active && now_ms >= state.settles_ms {
            if state.status == Status::Deleting {
                return false;
            }
            state.status = Status::Active;
        }
        let horizon = state.horizon_ms(now_ms);
        state.shards.retain(|_, shard| !shard.expired(horizon));
        true
    }

    pub(crate) fn shard_name(index: u32) -> String {
        shard_id(index)
    }
}

impl Shard {
    /// Whether the shard was closed so long ago that nothing of it is kept.
    fn expired(&self, horizon_ms: i64) -> bool {
        // Only a shard that is old enough to be expired is worth its lock.
        self.created_ms < horizon_ms && self.closed().is_some_and(|closed| closed.at_ms < horizon_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_ranges_cover_the_space_without_overlap() {
        for shards in [1, 2, 3, 7, 16, 1000] {
            let ranges = even_ranges(shards);
            assert_eq!(ranges.len(), shards as usize);
            assert_eq!(ranges[0].0, 0);
            assert_eq!(ranges[ranges.len() - 1].1, u128::MAX);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].1 + 1, pair[1].0);
            }
        }
    }

    #[test]
    fn keys_hash_as_the_service_does() {
        // MD5("a") = 0cc175b9c0f1b6a831c399e269772661.
        assert_eq!(hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }
}
