//! The state of one shard between reading and committing: what is buffered, what is handed out, what is done.
//!
//! Guarantee: the frontier is contiguous. It moves past a record only when every batch up to that record was
//! committed; a batch that was rolled back voids all later ones of the shard, and reading starts again behind the
//! last batch that is still valid, also at the end of the shard.

use crate::api::ShardId;
use crate::draft::Draft;
use crate::position::Done;
use crate::store::Checkpoint;
use record::{Position, ShardedNumber};
use std::collections::VecDeque;
use tokio::time::Instant;

/// Parts from which on a batch takes no more records. Many, because a session of NiFi costs much more than a FlowFile in
/// it; bounded, because NiFi keeps all FlowFiles of a session in memory.
const PARTS: usize = 5_000;

/// A place between two batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything up to here; `None` before the first record.
    pub(crate) done: Option<Done>,
    /// Last position up to here that became a row; zero when there was none.
    pub(crate) last_row: ShardedNumber,
}

#[derive(Debug)]
struct Outstanding {
    batch: u64,
    /// The place behind the batch.
    mark: Mark,
    committed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    /// Read up to the end; the children are known.
    Read(Vec<ShardId>),
}

/// What a settlement did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The frontier moved.
    Advanced,
    /// An earlier batch is still open.
    Waiting,
    /// Reading starts again.
    Rewound,
    /// The batch had been voided before; nothing happened.
    Void,
}

/// See the module.
pub(crate) struct Flow {
    generation: u64,
    buffer: VecDeque<Draft>,
    outstanding: VecDeque<Outstanding>,
    frontier: Mark,
    /// `last_row` of what was handed out so far.
    emitted_row: ShardedNumber,
    end: End,
    /// Nothing is accepted any more.
    stopped: bool,
    saved: Mark,
    saved_end: bool,
}

impl Flow {
    /// A shard whose table row says `mark`.
    pub(crate) fn new(mark: Mark) -> Self {
        Self {
            generation: 0,
            buffer: VecDeque::new(),
            outstanding: VecDeque::new(),
            emitted_row: mark.last_row.clone(),
            saved: mark.clone(),
            frontier: mark,
            end: End::Open,
            stopped: false,
            saved_end: false,
        }
    }

    /// Names the present course of reading; pages of an earlier one are not accepted.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Everything up to here is committed.
    pub(crate) fn frontier(&self) -> &Mark {
        &self.frontier
    }

    /// Drops what was not handed out and begins a new course of reading behind what was.
    pub(crate) fn restart(&mut self) -> (u64, Mark) {
        self.generation += 1;
        self.buffer.clear();
        self.end = End::Open;
        let mark = self.outstanding.back().map_or(&self.frontier, |o| &o.mark).clone();
        self.emitted_row = mark.last_row.clone();
        (self.generation, mark)
    }

    /// Takes the last draft out so that the reader can add rows to it. The reader brings it back with [`Flow::push`].
    pub(crate) fn take_tail(&mut self, generation: u64, full: usize) -> Option<Draft> {
        let open = self.buffer.back().is_some_and(|d| d.whole && d.takes_more(full));
        if generation == self.generation && open { self.buffer.pop_back() } else { None }
    }

    /// Adds what was read. `silent` is the position of records at the end of the page that have no content.
    /// `false`: the course of reading is over, nothing was added.
    pub(crate) fn push(&mut self, generation: u64, drafts: Vec<Draft>, silent: Option<Position>) -> bool {
        if generation != self.generation || self.stopped {
            return false;
        }
        self.buffer.extend(drafts);
        let Some(position) = silent else { return true };
        if let Some(tail) = self.buffer.back_mut() {
            tail.covers = position;
        } else if let Some(last) = self.outstanding.back_mut() {
            // Some batch at or before this one is still open, so the frontier passes the records with this one.
            last.mark.done = Some(Done::whole(position));
        } else {
            self.frontier.done = Some(Done::whole(position));
        }
        true
    }

    /// The reader reached the end of the shard.
    pub(crate) fn push_end(&mut self, generation: u64, children: Vec<ShardId>) -> bool {
        let current = generation == self.generation && !self.stopped;
        if current {
            self.end = End::Read(children);
        }
        current
    }

    /// Takes the drafts of one batch: up to about `full` bytes, never ending inside a Kinesis record. Each draft comes
    /// with the last position that became a row before it.
    pub(crate) fn take(&mut self, batch: u64, full: usize) -> Option<Vec<(Draft, ShardedNumber)>> {
        let count = self.cut(full)?;
        let mut parts = Vec::with_capacity(count);
        let mut covers = None;
        for draft in self.buffer.drain(..count) {
            let previous = self.emitted_row.clone();
            if draft.is_success() {
                self.emitted_row = draft.last.sharded();
            }
            covers = Some(draft.covers.clone());
            parts.push((draft, previous));
        }
        let mark = Mark { done: covers.map(Done::whole), last_row: self.emitted_row.clone() };
        self.outstanding.push_back(Outstanding { batch, mark, committed: false });
        Some(parts)
    }

    /// How many drafts make the next batch.
    fn cut(&self, full: usize) -> Option<usize> {
        let mut bytes = 0;
        let mut last_whole = None;
        for (index, draft) in self.buffer.iter().enumerate() {
            bytes += draft.content.len();
            if draft.whole {
                last_whole = Some(index + 1);
                if bytes >= full || index + 1 >= PARTS {
                    break;
                }
            }
        }
        last_whole
    }

    /// What became of a batch.
    pub(crate) fn settle(&mut self, batch: u64, committed: bool) -> Settled {
        let Some(index) = self.outstanding.iter().position(|o| o.batch == batch) else {
            return Settled::Void;
        };
        if !committed {
            self.outstanding.truncate(index);
            self.restart();
            return Settled::Rewound;
        }
        self.outstanding[index].committed = true;
        if index > 0 {
            return Settled::Waiting;
        }
        while self.outstanding.front().is_some_and(|o| o.committed) {
            if let Some(first) = self.outstanding.pop_front() {
                self.frontier = first.mark;
            }
        }
        Settled::Advanced
    }

    /// Voids everything: the lease is gone, or the source closes.
    pub(crate) fn void(&mut self) {
        self.stop();
        if !self.outstanding.is_empty() {
            self.end = End::Open;
        }
        self.outstanding.clear();
    }

    /// Drops what was not handed out; what was handed out can still be settled.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.generation += 1;
        // What is dropped here was not delivered, so the end does not count as reached.
        if !self.buffer.is_empty() {
            self.end = End::Open;
        }
        self.buffer.clear();
    }

    /// Nothing is handed out.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// The batch is handed out and was not voided.
    pub(crate) fn is_out(&self, batch: u64) -> bool {
        self.outstanding.iter().any(|o| o.batch == batch)
    }

    /// Batches handed out and not settled.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Bytes not handed out.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.iter().map(|d| d.content.len()).sum()
    }

    /// Enough is buffered for a batch of up to about `full` bytes.
    pub(crate) fn is_full(&self, full: usize) -> bool {
        self.buffer.len() >= PARTS || self.buffered() >= full
    }

    /// When the oldest record that was not handed out was read.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.buffer.front().map(|d| d.since)
    }

    /// The end was read and everything is committed.
    fn complete(&self) -> bool {
        matches!(self.end, End::Read(_)) && self.buffer.is_empty() && self.outstanding.is_empty()
    }

    /// The end is stored: the shard needs nobody any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.saved_end
    }

    /// What is committed but not stored yet.
    pub(crate) fn unsaved(&self) -> Option<Checkpoint> {
        let ended = self.complete();
        if self.saved == self.frontier && self.saved_end == ended {
            return None;
        }
        let children = match &self.end {
            End::Read(children) if ended => children.clone(),
            _ => Vec::new(),
        };
        let done = self.frontier.done.clone();
        Some(Checkpoint { done, last_row: self.frontier.last_row.clone(), ended, children })
    }

    /// `checkpoint` is stored.
    pub(crate) fn saved(&mut self, checkpoint: &Checkpoint) {
        self.saved = Mark { done: checkpoint.done.clone(), last_row: checkpoint.last_row.clone() };
        self.saved_end |= checkpoint.ended;
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
