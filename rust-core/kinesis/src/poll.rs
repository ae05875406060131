//! Reads one shard with GetRecords.
//!
//! The iterator is kept through throttling, time-outs and server errors: it is still valid. When it expired, or the
//! answer named none although the shard goes on, a new one is made from the last record *read*; after a rollback, from
//! behind the last batch that still stands. The initial position is never asked for again.

use crate::api::{Page, ShardId};
use crate::backoff::Backoff;
use crate::core::{Core, within};
use crate::messages::Level;
use crate::pace::Pace;
use crate::position::{Done, Start, start};
use crate::shard::Shard;
use crate::trouble::{Kind, Service, Trouble};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Largest answer of GetRecords.
const LARGEST_PAGE: usize = 10_000_000;
/// Room left for growth over the last page when memory is reserved.
const GROWTH: usize = 256 * 1024;
/// Longest time of one GetRecords or GetShardIterator.
const LIMIT: Duration = Duration::from_secs(12);
/// A trouble that the service gets over by itself is told after this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Throttling is normal where readers share a shard; it is told after this long.
const THROTTLE_PATIENCE: Duration = Duration::from_secs(60);
/// Pause after a trouble that only a person can end.
const SLOW: Duration = Duration::from_secs(5);
/// Pause after a position was refused.
const REFUSED: Duration = Duration::from_secs(30);

struct Reader<'a> {
    core: &'a Core,
    shard: &'a Arc<Shard>,
    generation: u64,
    /// Last record read in this course of reading, or before it.
    read: Option<Done>,
    /// The shard was opened at `read`, and no record came yet.
    unconfirmed: bool,
    iterator: Option<String>,
    at_end: bool,
    pace: Pace,
    backoff: Backoff,
    troubled: Option<(Kind, Instant)>,
    last_page: Option<usize>,
}

/// The task of one shard. Ends when the shard's `reading` is cancelled.
pub(crate) async fn run(core: Arc<Core>, shard: Arc<Shard>) {
    let mut reader = Reader::new(&core, &shard);
    loop {
        reader.step().await;
    }
}

impl<'a> Reader<'a> {
    fn new(core: &'a Core, shard: &'a Arc<Shard>) -> Self {
        let (generation, mark) = shard.flow().restart();
        Self {
            core,
            shard,
            generation,
            read: mark.done,
            unconfirmed: false,
            iterator: None,
            at_end: false,
            pace: Pace::new(),
            backoff: Backoff::default(),
            troubled: None,
            last_page: None,
        }
    }

    async fn step(&mut self) {
        if !self.ready() {
            // Woken by a rewind or by room; the time-out is for the age of the lease, which nobody tells.
            let _ = tokio::time::timeout(Duration::from_millis(250), self.shard.wake.notified()).await;
            return;
        }
        let until = self.pace.next();
        if until > Instant::now() {
            let _ = tokio::time::timeout_at(until, self.shard.wake.notified()).await;
            return;
        }
        if let Err(trouble) = self.fetch().await {
            self.trouble(&trouble);
        }
    }

    /// Follows rewinds; tells whether a fetch makes sense.
    fn ready(&mut self) -> bool {
        let mut flow = self.shard.flow();
        if flow.generation() != self.generation {
            let (generation, mark) = flow.restart();
            self.core.counters.rewinds.fetch_add(1, Ordering::Relaxed);
            (self.generation, self.read, self.iterator, self.at_end) = (generation, mark.done, None, false);
        }
        let room = flow.buffered() < self.core.config.max_batch_size;
        drop(flow);
        room && !self.at_end && self.shard.lease.may_read()
    }

    async fn fetch(&mut self) -> Result<(), Trouble> {
        let mut permit = self.core.budget.acquire(self.reserve()).await;
        if !self.ready() {
            return Ok(());
        }
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => self.open().await?,
        };
        let limit = self.core.config.max_records_per_request;
        let sent = Instant::now();
        self.pace.hold(Duration::from_millis(205));
        let answer = {
            let _slot = self.core.calls.acquire().await;
            self.core.counters.calls.fetch_add(1, Ordering::Relaxed);
            within(LIMIT, Service::Kinesis, "GetRecords", self.core.stream.records(&iterator, limit)).await
        };
        let page = match answer {
            Ok(page) => page,
            Err(trouble) => {
                self.iterator = Some(iterator);
                return Err(trouble);
            }
        };
        self.recovered();
        let bytes = page.bytes();
        permit.resize(bytes);
        self.last_page = Some(bytes);
        self.core.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let behind = page.millis_behind.unwrap_or(0);
        self.shard.set_behind(behind);
        self.pace.answered(sent, bytes, page.records.len(), behind > 0);
        self.accept(page, permit).await
    }

    /// Memory the next page may need.
    fn reserve(&self) -> usize {
        self.last_page.map_or(LARGEST_PAGE, |bytes| (bytes * 3 / 2 + GROWTH).min(LARGEST_PAGE))
    }

    async fn open(&mut self) -> Result<String, Trouble> {
        let start = start(self.read.as_ref(), self.shard.anchor);
        self.unconfirmed = matches!(start, Start::At(_));
        let _slot = self.core.calls.acquire().await;
        let call = self.core.stream.iterator(&self.shard.id, &start);
        within(LIMIT, Service::Kinesis, "GetShardIterator", call).await.map_err(|mut t| {
            if t.kind == Kind::Invalid && matches!(start, Start::At(_)) {
                t.code = "PositionRefused".to_owned();
            }
            t
        })
    }

    async fn accept(&mut self, page: Page, permit: crate::budget::Permit) -> Result<(), Trouble> {
        let Page { records, next_iterator, millis_behind, children } = page;
        self.check_trimmed(records.first().map(|r| &r.sequence));
        let count = records.len() as u64;
        let full = self.core.config.max_batch_size;
        // Dropped only where the shard was opened at a record that is done; later pages are beyond it anyway.
        let drop_through = self.read.as_ref().map(Done::drop_through);
        if count > 0 {
            let tail = self.shard.flow().take_tail(self.generation, full);
            let shaped =
                self.shard.shaper.shape(records, millis_behind, tail, drop_through.as_ref(), permit).await;
            if !self.shard.flow().push(self.generation, shaped.drafts, shaped.silent) {
                return Ok(());
            }
            self.core.counters.records.fetch_add(count, Ordering::Relaxed);
            self.read = shaped.read.map(Done::whole).or(self.read.take());
            self.core.exchange.offer(self.shard);
            self.core.checkpointer.mark_if_unsaved(self.shard);
        }
        match next_iterator {
            Some(iterator) => self.iterator = Some(iterator),
            None => self.end(children).await?,
        }
        Ok(())
    }

    /// The record of a position exists as long as it is in the retention time; when the first record from there on is
    /// another one, records between the two may be lost, and that must be told.
    fn check_trimmed(&mut self, first: Option<&record::SequenceNumber>) {
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

    /// The service named no next iterator. Only a shard that is closed ends; anything else is a slip of the service.
    async fn end(&mut self, children: Vec<ShardId>) -> Result<(), Trouble> {
        let children = if children.is_empty() {
            match crate::listing::closed(self.core, &self.shard.id).await? {
                Some(children) => children,
                None => {
                    self.pace.hold(Duration::from_secs(1));
                    return Ok(());
                }
            }
        } else {
            children
        };
        if self.shard.flow().push_end(self.generation, children) {
            self.at_end = true;
            self.core.checkpointer.mark(self.shard);
            self.core.nudge.notify_one();
        }
        Ok(())
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if self.troubled.take().is_some() {
            self.core.works(Service::Kinesis);
        }
    }

    fn trouble(&mut self, trouble: &Trouble) {
        let now = Instant::now();
        let since = match self.troubled {
            Some((kind, since)) if kind == trouble.kind => since,
            _ => now,
        };
        self.troubled = Some((trouble.kind, since));
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
                self.iterator = None;
                (PATIENCE, if self.backoff.failures() > 1 { wait } else { Duration::ZERO })
            }
            Kind::NotFound => {
                // The stream may be gone or new, or the shard past its retention: the coordinator finds out.
                self.iterator = None;
                self.core.nudge.notify_one();
                (Duration::from_secs(3), wait.max(Duration::from_secs(1)))
            }
            Kind::Invalid => {
                self.iterator = None;
                self.core.nudge.notify_one();
                (Duration::from_secs(1), if lasts.is_zero() { Duration::from_secs(2) } else { REFUSED })
            }
            Kind::Denied | Kind::Credentials | Kind::Kms => (Duration::ZERO, SLOW.mul_f64(0.5) + wait),
        };
        self.pace.hold(wait);
        if lasts >= patience {
            self.say(trouble);
        }
    }

    fn say(&self, trouble: &Trouble) {
        if trouble.code != "PositionRefused" {
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
