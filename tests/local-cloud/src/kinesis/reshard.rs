//! `SplitShard`, `MergeShards`, `UpdateShardCount`.
//!
//! Parents close and children open under one write lock of the stream, so that a key is at each moment routed
//! to exactly one open shard, and every record of a child is written after the last one of its parents.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::put::parse_hash;
use super::request::{StreamRef, check_range};
use super::shard::{Shard, shard_index};
use super::stream::{State, Status, Stream, even_ranges};
use crate::aws::AwsError;
use crate::sync::write;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SplitShard {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_split: String,
    new_starting_hash_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MergeShards {
    #[serde(flatten)]
    stream: StreamRef,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateShardCount {
    #[serde(flatten)]
    stream: StreamRef,
    target_shard_count: i64,
    #[serde(rename = "ScalingType")]
    _scaling_type: String,
}

impl Kinesis {
    pub(super) fn split_shard(&self, request: &SplitShard) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        let at = parse_hash(&request.new_starting_hash_key, "newStartingHashKey")?;
        self.reshard(&stream, self.transition_ms(), |state, now_ms| {
            stream.split(state, now_ms, &request.shard_to_split, Some(at)).map(drop)
        })?;
        Ok(Value::Null)
    }

    pub(super) fn merge_shards(&self, request: &MergeShards) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        self.reshard(&stream, self.transition_ms(), |state, now_ms| {
            stream.merge(state, now_ms, &request.shard_to_merge, &request.adjacent_shard_to_merge).map(drop)
        })?;
        Ok(Value::Null)
    }

    pub(super) fn update_shard_count(&self, request: &UpdateShardCount) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        check_range(request.target_shard_count, "targetShardCount", 1, 10_000)?;
        let target = u32::try_from(request.target_shard_count).unwrap_or(1);
        let mut current = 0;
        self.reshard(&stream, self.transition_ms(), |state, now_ms| {
            current = state.open().count();
            let wanted = usize::try_from(target).unwrap_or(usize::MAX);
            if wanted > current * 2 || wanted < current.div_ceil(2) {
                return Err(AwsError::invalid_argument(format!(
                    "UpdateShardCount cannot scale stream {} under account {} from {current} to {target} open shards: at most double and at least half of the current count.",
                    stream.name, stream.account
                )));
            }
            stream.rescale(state, now_ms, target)
        })?;
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardCount": current,
            "TargetShardCount": target,
        }))
    }

    /// Changes the shards of an ACTIVE stream, which is UPDATING for `transition_ms` afterwards.
    pub(super) fn reshard<T>(
        &self,
        stream: &Stream,
        transition_ms: i64,
        change: impl FnOnce(&mut State, i64) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let now_ms = self.now_ms();
        let mut state = write(&stream.state);
        if state.status != Status::Active {
            return Err(stream.not_active(&state));
        }
        let changed = change(&mut state, now_ms)?;
        state.route();
        // Children take records as soon as the lock is free.
        stream.save(&state)?;
        if transition_ms > 0 {
            state.status = Status::Updating;
            state.settles_ms = now_ms + transition_ms;
        }
        Ok(changed)
    }
}

impl Stream {
    /// Splits an open shard, in the middle when no hash key is given.
    pub(super) fn split(
        &self,
        state: &mut State,
        now_ms: i64,
        id: &str,
        at: Option<u128>,
    ) -> Result<Vec<String>, AwsError> {
        let parent = self.open_shard(state, id)?;
        let at = at.unwrap_or_else(|| parent.start_hash + (parent.end_hash - parent.start_hash) / 2 + 1);
        if at <= parent.start_hash || at > parent.end_hash {
            return Err(AwsError::invalid_argument(format!(
                "NewStartingHashKey {at} used in SplitShard() on shard {id} in stream {} under account {} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
                self.name, self.account, parent.start_hash, parent.end_hash
            )));
        }
        Ok(split_at(state, now_ms, &parent, at).map(|child| child.id.clone()).to_vec())
    }

    /// Merges two open neighbours.
    pub(super) fn merge(
        &self,
        state: &mut State,
        now_ms: i64,
        id: &str,
        adjacent: &str,
    ) -> Result<String, AwsError> {
        let (one, two) = (self.open_shard(state, id)?, self.open_shard(state, adjacent)?);
        let touch = |a: &Shard, b: &Shard| a.end_hash.checked_add(1) == Some(b.start_hash);
        if !touch(&one, &two) && !touch(&two, &one) {
            return Err(AwsError::invalid_argument(format!(
                "Shards {id} and {adjacent} in stream {} under account {} are not an adjacent pair of shards eligible for merging",
                self.name, self.account
            )));
        }
        Ok(merge_pair(state, now_ms, &one, &two).id.clone())
    }

    /// Splits and merges until the open shards are `target` equal ranges; each step is one of the service's.
    fn rescale(&self, state: &mut State, now_ms: i64, target: u32) -> Result<(), AwsError> {
        let ranges = even_ranges(target);
        for (start, _) in &ranges {
            let inside =
                state.open().find(|shard| shard.start_hash < *start && *start <= shard.end_hash).cloned();
            if let Some(shard) = inside {
                split_at(state, now_ms, &shard, *start);
            }
        }
        for (start, end) in ranges {
            loop {
                let mut parts: Vec<_> = state
                    .open()
                    .filter(|shard| start <= shard.start_hash && shard.end_hash <= end)
                    .cloned()
                    .collect();
                parts.sort_by_key(|shard| shard.start_hash);
                let [one, two, ..] = parts.as_slice() else { break };
                merge_pair(state, now_ms, one, two);
            }
        }
        Ok(())
    }

    fn open_shard(&self, state: &State, id: &str) -> Result<Arc<Shard>, AwsError> {
        let found = shard_index(id).and_then(|index| state.shards.get(&index)).cloned().ok_or_else(|| {
            AwsError::not_found(format!(
                "Could not find shard {id} in stream {} under account {}.",
                self.name, self.account
            ))
        })?;
        if found.closed().is_some() {
            return Err(AwsError::invalid_argument(format!(
                "Shard {id} in stream {} under account {} is not open.",
                self.name, self.account
            )));
        }
        Ok(found)
    }
}

fn split_at(state: &mut State, now_ms: i64, parent: &Shard, at: u128) -> [Arc<Shard>; 2] {
    let low = state.add(now_ms, parent.start_hash, at - 1, &[parent.index]);
    let high = state.add(now_ms, at, parent.end_hash, &[parent.index]);
    parent.close(now_ms, vec![low.index, high.index]);
    [low, high]
}

fn merge_pair(state: &mut State, now_ms: i64, one: &Shard, two: &Shard) -> Arc<Shard> {
    let (start, end) = (one.start_hash.min(two.start_hash), one.end_hash.max(two.end_hash));
    let child = state.add(now_ms, start, end, &[one.index, two.index]);
    one.close(now_ms, vec![child.index]);
    two.close(now_ms, vec![child.index]);
    child
}
