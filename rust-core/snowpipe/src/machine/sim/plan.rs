//! What a seed is about: rows, how they are cut into FlowFiles, and what the configuration promises about them.

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::super::*;
use crate::config::{GapStrategy, Resolution};

/// Rows of a body.
const BODY_ROWS: usize = 6;
/// Rows of a FlowFile.
const FLOW_FILE_ROWS: usize = 9;
/// Whether there are rows that fit into no request.
const LARGE_ROWS: bool = true;

/// A FlowFile in the queue of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlowFile {
    pub(super) rows: Vec<u64>,
    pub(super) previous: u64,
    /// Its content is not compressed: rows can be told apart by their bytes.
    pub(super) plain: bool,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) resolution: Resolution,
    pub(super) gap_strategy: GapStrategy,
    /// All rows, in order.
    pub(super) rows: Vec<u64>,
    /// Rows that the service rejects.
    pub(super) bad: BTreeSet<u64>,
    /// Rows that fit into no request.
    pub(super) large: BTreeSet<u64>,
    /// What each node has in its queue.
    pub(super) queues: Vec<Vec<FlowFile>>,
    /// Whether FlowFiles wait for what never comes, and are given up.
    pub(super) losing: bool,
    /// One process does it all: only it knows which rows were given up, or fit into no request. After its end the rows behind
    /// such ones wait as behind any that are missing.
    pub(super) alone: bool,
    /// Bodies may be found too large.
    pub(super) splits: bool,
    /// A FlowFile is in one body.
    pub(super) one_body: bool,
    /// Each row is stored once and in order.
    pub(super) once: bool,
}

impl Plan {
    pub(super) fn draw(seed: u64, rng: &mut StdRng) -> Self {
        let (resolution, gap_strategy) = match seed % 10 {
            7 => (Resolution::Record, [GapStrategy::Publish, GapStrategy::Fail][rng.random_range(0..2)]),
            8 => (Resolution::FlowFile, GapStrategy::Wait),
            9 => (Resolution::Disabled, GapStrategy::Wait),
            _ => (Resolution::Record, GapStrategy::Wait),
        };
        let one_body = resolution != Resolution::Record && rng.random();
        let losing = gap_strategy != GapStrategy::Wait;
        let refusing = LARGE_ROWS && seed % 10 == 6;
        let mut rows: Vec<u64> = Vec::new();
        for _ in 0..rng.random_range(20..150) {
            let step = rng.random_range(1..50);
            rows.push(rows.last().copied().unwrap_or(0) + step);
        }
        let mut some = |one_in: u32| rows.iter().filter(|_| rng.random_ratio(1, one_in)).copied().collect();
        let bad: BTreeSet<u64> = match seed / 10 % 4 {
            0 => BTreeSet::new(),
            1 => some(60),
            2 => some(12),
            _ => some(3),
        };
        let large: BTreeSet<u64> = if refusing { some(10) } else { BTreeSet::new() };
        let bad = bad.difference(&large).copied().collect();
        let mut plan = Self {
            resolution,
            gap_strategy,
            rows,
            bad,
            large,
            queues: Vec::new(),
            losing,
            alone: losing || refusing,
            splits: !one_body,
            one_body,
            once: match resolution {
                Resolution::Record => true,
                Resolution::FlowFile => one_body,
                Resolution::Disabled => false,
            },
        };
        plan.queues = plan.cut(rng);
        plan
    }

    /// The shard moves: the second node begins at a checkpoint the first one has long passed. Its cuts are others, but for
    /// FlowFiles that are known by their end only.
    fn cut(&self, rng: &mut StdRng) -> Vec<Vec<FlowFile>> {
        let all = self.flow_files(rng);
        if self.alone {
            return vec![shuffled(self.doubled(all, rng), rng)];
        }
        let handover = rng.random_range(0..=all.len());
        let replay = rng.random_range(0..=handover);
        let mut second = all[replay..].to_vec();
        if self.resolution == Resolution::Record {
            let from = second.first().map_or(self.rows.len(), |first| self.position(first.rows[0]));
            second = self.pieces(from, rng);
        }
        let first = self.doubled(all[..handover].to_vec(), rng);
        vec![shuffled(first, rng), shuffled(second, rng)]
    }

    fn position(&self, row: u64) -> usize {
        self.rows.partition_point(|other| *other < row)
    }

    fn flow_files(&self, rng: &mut StdRng) -> Vec<FlowFile> {
        let mut all = self.pieces(0, rng);
        if self.losing {
            // Some never come.
            all.retain(|_| rng.random_ratio(19, 20));
        }
        all
    }

    /// Cuts rows into FlowFiles, each knowing the row before it.
    fn pieces(&self, from: usize, rng: &mut StdRng) -> Vec<FlowFile> {
        let longest = if self.one_body { BODY_ROWS } else { FLOW_FILE_ROWS };
        let mut previous = from.checked_sub(1).map_or(0, |at| self.rows[at]);
        let mut rest = &self.rows[from..];
        let mut cut = Vec::new();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rng.random_range(1..=rest.len().min(longest)));
            cut.push(FlowFile { rows: head.to_vec(), previous, plain: rng.random_ratio(3, 4) });
            previous = *head.last().unwrap();
            rest = tail;
        }
        cut
    }

    fn doubled(&self, mut flow_files: Vec<FlowFile>, rng: &mut StdRng) -> Vec<FlowFile> {
        let again: Vec<FlowFile> = flow_files.iter().filter(|_| rng.random_ratio(1, 6)).cloned().collect();
        flow_files.extend(again);
        flow_files
    }

    /// Rows that end up in the table.
    pub(super) fn is_good(&self, row: u64) -> bool {
        !self.bad.contains(&row) && !self.large.contains(&row)
    }

    pub(super) fn has_tokens(&self) -> bool {
        self.resolution == Resolution::Record
    }

    /// Rows that a body has room for.
    pub(super) fn body_rows(&self) -> usize {
        BODY_ROWS
    }

    pub(super) fn rules(&self) -> Rules {
        Rules {
            label: "channel c".into(),
            tracked: self.resolution != Resolution::Disabled,
            row_tokens: self.has_tokens(),
            insert_timeout: Duration::from_secs(30),
            tracking_timeout: Duration::from_secs(90),
            gap_strategy: self.gap_strategy,
            gap_timeout: Duration::from_secs(if self.losing { 3 } else { 300 }),
            request_interval: Duration::from_millis(100),
            byte_rate: 20_000_000,
            error_query: String::new(),
        }
    }
}

fn shuffled(mut flow_files: Vec<FlowFile>, rng: &mut StdRng) -> Vec<FlowFile> {
    flow_files.shuffle(rng);
    flow_files
}

pub(super) fn token(n: u64) -> Token {
    n.to_string().parse().unwrap()
}
