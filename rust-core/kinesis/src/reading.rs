//! One course of reading through a shard: what polling and subscriptions have in common.
//!
//! A course knows the last record read, follows rewinds, turns records into drafts, finds the end of the shard, and
//! decides how long to wait after a trouble and when to tell it.

use crate::api::{Fetched, ShardId};
use crate::backoff::Backoff;
use crate::budget::Permit;
use crate::core::Core;
use crate::listing;
use crate::position::{Done, Start, start};
use crate::shard::Shard;
use crate::trouble::{Kind, Service, Trouble};
use bulletin::Level;
use futures::FutureExt;
use record::{Position, SequenceNumber};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// A trouble that the service gets over by itself is told after this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Throttling is normal where readers share a shard; it is told after this long.
const THROTTLE_PATIENCE: Duration = Duration::from_secs(60);
/// Pause after a trouble that only a person can end.
const SLOW: Duration = Duration::from_millis(2_500);
/// Pause after a position was refused.
const REFUSED: Duration = Duration::from_secs(30);
/// Code of a trouble with a stored position.
const POSITION_REFUSED: &str = "PositionRefused";

/// See the module.
pub(crate) struct Course<'a> {
    pub(crate) core: &'a Core,
    pub(crate) shard: &'a Arc<Shard>,
    generation: u64,
    /// Last record read in this course of reading, or before it.
    read: Option<Done>,
    /// The shard was opened at `read`, and no record came yet.
    unconfirmed: bool,
    at_end: bool,
    backoff: Backoff,
    troubled: Option<(Kind, Instant)>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(core: &'a Core, shard: &'a Arc<Shard>) -> Self {
        let (generation, mark) = shard.flow().restart();
        Self {
            core,
            shard,
            generation,
            read: mark.done,
            unconfirmed: false,
            at_end: false,
            backoff: Backoff::default(),
            troubled: None,
        }
    }

    /// Follows a rewind; tells whether there was one, after which nothing of the old course may be used.
    pub(crate) fn follow(&mut self) -> bool {
        let mut flow = self.shard.flow();
        if flow.generation() == self.generation {
            return false;
        }
        let (generation, mark) = flow.restart();
        self.core.counters.rewinds.fetch_add(1, Ordering::Relaxed);
        (self.generation, self.read, self.at_end) = (generation, mark.done, false);
        true
    }

    /// There is something to read, room for it, and a lease to read it under.
    pub(crate) fn ready(&self) -> bool {
        let room = !self.shard.flow().is_full(self.core.config.max_batch_size);
        room && !self.at_end && self.shard.lease.may_read()
    }

    /// Waits while [`Course::ready`] does not hold. Woken by a rewind or by room; the time-out is for the age of the
    /// lease, which nobody tells.
    pub(crate) async fn rest(&self) {
        self.shard.rests();
        let _ = tokio::time::timeout(Duration::from_millis(250), self.shard.wake.notified()).await;
    }

    /// Waits for memory.
    pub(crate) async fn memory(&self, bytes: usize) -> Permit {
        self.granted(bytes).await.0
    }

    /// As [`Course::memory`]; tells whether it had to be waited for.
    pub(crate) async fn granted(&self, bytes: usize) -> (Permit, bool) {
        if let Some(permit) = self.core.budget.acquire(bytes).now_or_never() {
            self.shard.asks();
            return (permit, false);
        }
        self.shard.rests();
        let permit = self.core.budget.acquire(bytes).await;
        self.shard.asks();
        (permit, true)
    }

    /// Where the shard is to be opened.
    pub(crate) fn start(&self) -> Start {
        start(self.read.as_ref(), self.shard.anchor)
    }

    /// The shard was asked to be opened there.
    pub(crate) fn opened(&mut self, start: &Start, answer: Result<(), Trouble>) -> Result<(), Trouble> {
        self.unconfirmed = matches!(start, Start::At(_));
        answer.map_err(|mut trouble| {
            if trouble.kind == Kind::Invalid && self.unconfirmed {
                POSITION_REFUSED.clone_into(&mut trouble.code);
            }
            trouble
        })
    }

    /// Takes records in; `false` when the course is over. `permit` covers them.
    pub(crate) async fn accept(
        &mut self,
        records: Vec<Fetched>,
        behind: Option<i64>,
        mut permit: Permit,
    ) -> bool {
        self.shard.set_behind(behind.unwrap_or(0));
        if records.is_empty() {
            return true;
        }
        self.check_trimmed(records.first().map(|r| &r.sequence));
        let page = records.iter().map(|r| r.data.len()).sum();
        // Dropped only where the shard was opened at a record that is done; later records are beyond it anyway.
        let drop_through = self.read.as_ref().map(Done::drop_through);
        let mut records = records.into_iter();
        loop {
            let before = records.len();
            let tail = self.shard.flow().take_tail(self.generation, self.core.config.max_batch_size);
            let shaper = &self.shard.shaper;
            let shaping = shaper.shape(&mut records, behind, tail, drop_through.as_ref(), &mut permit, page);
            let shaped = shaping.await;
            if !self.shard.flow().push(self.generation, shaped.drafts, shaped.silent) {
                return false;
            }
            self.core.counters.strays.add(shaped.strays);
            let count = (before - records.len()) as u64;
            self.core.counters.records.fetch_add(count, Ordering::Relaxed);
            self.read = shaped.read.map(Done::whole).or(self.read.take());
            self.core.exchange.offer(self.shard);
            self.core.checkpointer.mark_if_unsaved(self.shard);
            if records.len() == 0 {
                return true;
            }
            if !self.paid().await {
                return false;
            }
        }
    }

    /// There are records, and all of them were read before.
    pub(crate) fn has_read(&self, records: &[Fetched]) -> bool {
        let (Some(last), Some(read)) = (records.last(), &self.read) else { return false };
        Position::new(last.sequence.clone(), 0) <= read.drop_through()
    }

    /// Waits until the budget is no longer overdrawn, or everything of this shard was handed out and settled: then the
    /// others have overdrawn it, who may wait for us. `false` when the course is over.
    async fn paid(&self) -> bool {
        self.shard.rests();
        loop {
            {
                let flow = self.shard.flow();
                if flow.generation() != self.generation {
                    return false;
                }
                if !self.core.budget.is_overdrawn() || (flow.is_idle() && flow.buffered() == 0) {
                    self.shard.asks();
                    return true;
                }
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), self.shard.wake.notified()).await;
        }
    }

    /// The record of a position exists as long as it is in the retention time; when the first record from there on is
    /// another one, records between the two may be lost, and that must be told.
    fn check_trimmed(&mut self, first: Option<&SequenceNumber>) {
        let (Some(first), true) = (first, self.unconfirmed) else { return };
        self.unconfirmed = false;
        let Some(done) = &self.read else { return };
        let wanted = &done.position.sequence;
        if first > wanted {
            self.core.messages.once(
                Level::Error,
                format!(
                    "Records of shard {} of stream \"{}\" may be lost: the position {wanted} is older than the \
                     stream's retention time. Reading goes on at the oldest record, {first}. Raise the retention \
                     time of the stream when stops can last longer.",
                    self.shard.id, self.core.config.stream_name
                ),
            );
        }
    }

    /// The service showed no way on. Only a shard that is closed ends; anything else is a slip of the service, and
    /// `false`.
    pub(crate) async fn end(&mut self, children: Vec<ShardId>) -> Result<bool, Trouble> {
        let children = if children.is_empty() {
            match listing::closed(self.core, &self.shard.id).await? {
                Some(children) => children,
                None => return Ok(false),
            }
        } else {
            children
        };
        if self.shard.flow().push_end(self.generation, children) {
            self.at_end = true;
            self.core.checkpointer.mark(self.shard);
            self.core.nudge.notify_one();
        }
        Ok(true)
    }

    /// A call worked.
    pub(crate) fn recovered(&mut self) {
        self.shard.answered();
        self.backoff.reset();
        if self.troubled.take().is_some() {
            self.core.works(Service::Kinesis);
        }
    }

    /// How long to wait after a trouble; tells it when it is time.
    pub(crate) fn trouble(&mut self, trouble: &Trouble) -> Duration {
        let now = Instant::now();
        let since = match self.troubled {
            Some((kind, since)) if kind == trouble.kind => since,
            _ => now,
        };
        self.troubled = Some((trouble.kind, since));
        self.shard.failed(trouble);
        let lasts = now.duration_since(since);
        let wait = self.backoff.next();
        let (patience, wait) = match trouble.kind {
            Kind::Throttled => {
                self.core.counters.throttled.fetch_add(1, Ordering::Relaxed);
                (THROTTLE_PATIENCE, wait)
            }
            Kind::Unavailable | Kind::Other | Kind::InUse | Kind::Condition => (PATIENCE, wait),
            Kind::Unreachable => (Duration::from_secs(1), wait),
            Kind::ExpiredIterator => {
                (PATIENCE, if self.backoff.failures() > 1 { wait } else { Duration::ZERO })
            }
            Kind::NotFound => {
                // The stream may be gone or new, or the shard past its retention: the coordinator finds out.
                self.core.nudge.notify_one();
                (Duration::from_secs(3), wait.max(Duration::from_secs(1)))
            }
            Kind::Invalid => {
                self.core.nudge.notify_one();
                (Duration::from_secs(1), if lasts.is_zero() { Duration::from_secs(2) } else { REFUSED })
            }
            Kind::Denied | Kind::Credentials | Kind::Kms => (Duration::ZERO, SLOW + wait),
        };
        if lasts >= patience {
            self.say(trouble);
        }
        wait
    }

    fn say(&self, trouble: &Trouble) {
        if trouble.code != POSITION_REFUSED {
            self.core.tell(trouble);
            return;
        }
        let position = self.read.as_ref().map_or("", |d| d.position.sequence.as_str());
        self.core.messages.say(
            Level::Error,
            &format!("refused/{}", self.shard.id),
            format!(
                "Kinesis refuses the stored position {position} of shard {} of stream \"{}\" ({}). The row in table \
                 \"{}\" seems to belong to another stream of that name. Delete the row, or use another Application \
                 Name, to read the shard from the beginning.",
                self.shard.id, self.core.config.stream_name, trouble.message, self.core.config.application_name
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Rig, parts};

    /// A silence is counted on while memory is there, however many times the reader is woken.
    #[tokio::test(start_paused = true)]
    async fn only_memory_that_had_to_be_waited_for_is_said_to_be() {
        let core = Rig::new(&["s0"]).core(&[("Memory Budget", "1000000")]);
        let shard = parts::shard(1, "s0");
        let course = Course::new(&core, &shard);
        let (first, waited) = course.granted(1).await;
        assert!(!waited);
        drop(first);
        let (all, _) = course.granted(core.budget.capacity()).await;
        let give_back = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(all);
        };
        let ((_, waited), ()) = tokio::join!(course.granted(1), give_back);
        assert!(waited);
    }
}
