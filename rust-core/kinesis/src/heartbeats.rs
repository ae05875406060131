//! When the heartbeats in the table were last seen to change, by our own clock.

use crate::plan::LEASE;
use crate::store::NodeRow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// How long a heartbeat counts: as long as the leases of the node, so that those are shared out when they are free.
const VALID: Duration = LEASE.saturating_add(Duration::from_secs(1));
/// A heartbeat that is older than this by the wall clock when it is seen for the first time is not counted at all.
/// Wide, because clocks differ; a mistake costs balance for 40 seconds and never safety.
pub(crate) const LONG_DEAD_MS: i64 = 600_000;

/// What becomes of a row that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The node stopped, or is gone: another node may beat in the row.
    Free,
    /// A node beats in it, or another program's node did.
    Taken,
    /// Not watched for long enough to tell.
    Unknown,
}

/// The rows of all heartbeats.
#[derive(Default)]
pub(crate) struct Heartbeats {
    seen: HashMap<String, Seen>,
    /// A reading of the table was noted.
    noted: bool,
}

struct Seen {
    row: NodeRow,
    since: Instant,
    /// Counts until it is too old.
    counts: bool,
    /// Somebody wrote the row while we watched.
    moved: bool,
}

impl Heartbeats {
    /// Takes note of a consistent reading of the table.
    pub(crate) fn note(&mut self, rows: &BTreeMap<String, NodeRow>, now: Instant, wall_ms: i64) {
        let first = !std::mem::replace(&mut self.noted, true);
        self.seen.retain(|key, _| rows.contains_key(key));
        for (key, row) in rows {
            let (counts, moved) = match self.seen.get(key) {
                Some(seen) if seen.row == *row => continue,
                Some(_) => (true, true),
                None => {
                    let age = row.heartbeat.map_or(0, |beat| wall_ms.saturating_sub(beat));
                    (age < LONG_DEAD_MS, !first)
                }
            };
            self.seen.insert(key.clone(), Seen { row: row.clone(), since: now, counts, moved });
        }
    }

    /// Names of the nodes that live; one that has two rows comes twice.
    pub(crate) fn live(&self, now: Instant) -> impl Iterator<Item = &str> {
        let alive = move |seen: &Seen| seen.counts && seen.row.heartbeat.is_some() && !seen.is_old(now);
        self.seen.iter().filter(move |(_, seen)| alive(seen)).map(|(key, seen)| seen.row.node(key))
    }

    /// What is to become of the row with this key.
    pub(crate) fn fate(&self, key: &str, now: Instant) -> Fate {
        match self.seen.get(key) {
            None => Fate::Unknown,
            Some(seen) if seen.row.heartbeat.is_none() => Fate::Free,
            // A node of Apache NiFi's own processor beats in its row without looking whose it is by now.
            Some(seen) if seen.row.name.is_none() => Fate::Taken,
            Some(seen) if seen.is_old(now) => Fate::Free,
            Some(seen) if seen.moved => Fate::Taken,
            Some(_) => Fate::Unknown,
        }
    }
}

impl Seen {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.since) > VALID
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(heartbeat: Option<i64>, name: Option<&str>) -> NodeRow {
        NodeRow { heartbeat, name: name.map(str::to_owned) }
    }

    #[test]
    fn a_row_is_free_when_its_node_stopped_or_was_silent_for_a_lease() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rows = BTreeMap::from([
            ("stopped".to_owned(), row(None, Some("n"))),
            ("silent".to_owned(), row(Some(1), Some("n"))),
            ("beats".to_owned(), row(Some(1), Some("m"))),
            ("theirs".to_owned(), row(Some(1), None)),
            ("theirs-stopped".to_owned(), row(None, None)),
        ]);
        let mut seen = Heartbeats::default();
        seen.note(&rows, at(0), 1);
        let fates = |seen: &Heartbeats, now| {
            ["stopped", "silent", "beats", "theirs", "theirs-stopped"].map(|key| seen.fate(key, now))
        };
        use Fate::{Free, Taken, Unknown};
        assert_eq!(fates(&seen, at(0)), [Free, Unknown, Unknown, Taken, Free]);
        rows.insert("beats".to_owned(), row(Some(2), Some("m")));
        rows.insert("stopped".to_owned(), row(Some(9), Some("o")));
        rows.insert("new".to_owned(), row(Some(9), Some("p")));
        seen.note(&rows, at(10), 11);
        assert_eq!(fates(&seen, at(10)), [Taken, Unknown, Taken, Taken, Free]);
        assert_eq!(seen.fate("new", at(10)), Taken, "somebody made it since");
        assert_eq!(fates(&seen, at(31)), [Taken, Unknown, Taken, Taken, Free]);
        assert_eq!(fates(&seen, at(32)), [Taken, Free, Taken, Taken, Free]);
        assert_eq!(fates(&seen, at(42)), [Free, Free, Free, Taken, Free]);
        assert_eq!(seen.fate("unheard of", at(42)), Unknown);
    }
}
