//! Whether the open shards of a listing take every hash key there is.
//!
//! A hash key that no listed open shard takes means that records are written to a shard which is not read. One listing
//! proves nothing: a parent may be closed in it and its children not be listed yet. So a hole is told when it stays.

use crate::api::{HashKeys, ShardInfo};
use crate::core::Core;
use bulletin::Level;
use std::time::Duration;
use tokio::time::Instant;

/// A hole that is there for this long is told.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holes of the latest listing, each with the time since when it is known.
#[derive(Default)]
pub(crate) struct Audit {
    holes: Vec<(HashKeys, Instant)>,
}

impl Audit {
    /// Takes note of a new listing, and tells the holes that stay.
    pub(crate) fn note(&mut self, core: &Core, shards: &[ShardInfo]) {
        let now = Instant::now();
        let earlier = std::mem::take(&mut self.holes);
        for hole in holes(shards) {
            let within =
                |(old, _): &&(HashKeys, Instant)| old.start() <= hole.start() && hole.end() <= old.end();
            let since = earlier.iter().find(within).map_or(now, |(_, since)| *since);
            if now.duration_since(since) >= PATIENCE {
                tell(core, &hole, now.duration_since(since));
            }
            self.holes.push((hole, since));
        }
    }
}

fn tell(core: &Core, hole: &HashKeys, lasts: Duration) {
    let (first, last) = (hole.start(), hole.end());
    core.messages.say(
        Level::Warn,
        &format!("hole/{first}"),
        format!(
            "The list of shards of stream \"{}\" has a hole: for {} seconds no open shard has been listed for the hash \
             keys {first} to {last}. Records with such keys wait until their shard is listed; the other shards are read. \
             Compare with what kinesis:ListShards shows.",
            core.config.stream_name,
            lasts.as_secs()
        ),
    );
}

/// The hash keys that no open shard takes. None when it cannot be known, because an open shard tells no range, and for
/// a list without any open shard: such a stream takes no records.
fn holes(shards: &[ShardInfo]) -> Vec<HashKeys> {
    let open = shards.iter().filter(|s| !s.closed).map(|s| s.keys.clone());
    let Some(mut ranges) = open.collect::<Option<Vec<HashKeys>>>() else { return Vec::new() };
    if ranges.is_empty() {
        return Vec::new();
    }
    ranges.sort_by_key(|range| *range.start());
    let (mut holes, mut next) = (Vec::new(), Some(0));
    for range in ranges {
        let Some(from) = next else { break };
        if *range.start() > from {
            holes.push(from..=range.start() - 1);
        }
        next = range.end().checked_add(1).map(|after| after.max(from));
    }
    holes.extend(next.map(|from| from..=u128::MAX));
    holes
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
