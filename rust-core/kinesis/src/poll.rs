//! Reads one shard with GetRecords.
//!
//! The iterator is kept through throttling, time-outs and server errors: it is still valid. When it expired, or the
//! answer named none although the shard goes on, a new one is made from the last record *read*; after a rollback, from
//! behind the last batch that still stands. The initial position is never asked for again.

use crate::api::Page;
use crate::core::{Core, within};
use crate::pace::Pace;
use crate::reading::Course;
use crate::shard::Shard;
use crate::trouble::{Kind, Service, Trouble};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Largest answer of GetRecords.
const LARGEST_PAGE: usize = 10_000_000;
/// Largest record, unless the stream was made for larger ones. What a first record is larger is a debt; see the budget.
const LARGEST_RECORD: usize = 1_048_576;
/// Room left for growth over what is expected when memory is reserved.
const GROWTH: usize = 256 * 1024;
/// An answer is there twice: while it is put together from what came over the network, and again beside the rows that
/// are made of it.
const COPIES: usize = 2;
const RECORDS: &str = "GetRecords";
/// Longest time of one GetRecords or GetShardIterator.
const LIMIT: Duration = Duration::from_secs(12);

struct Reader<'a> {
    course: Course<'a>,
    iterator: Option<String>,
    pace: Pace,
}

/// The task of one shard. Ends when the shard's `reading` is cancelled.
pub(crate) async fn run(core: Arc<Core>, shard: Arc<Shard>) {
    let course = Course::new(&core, &shard);
    let mut reader = Reader { course, iterator: None, pace: Pace::new() };
    loop {
        reader.step().await;
    }
}

impl Reader<'_> {
    async fn step(&mut self) {
        if self.course.follow() {
            self.iterator = None;
        }
        if !self.course.ready() {
            self.course.rest().await;
            return;
        }
        let until = self.pace.next();
        if until > Instant::now() {
            let _ = tokio::time::timeout_at(until, self.course.shard.wake.notified()).await;
            return;
        }
        if let Err(trouble) = self.fetch().await {
            let keeps = !matches!(trouble.kind, Kind::ExpiredIterator | Kind::NotFound | Kind::Invalid);
            self.iterator = self.iterator.take().filter(|_| keeps);
            let wait = self.course.trouble(&trouble);
            self.pace.hold(wait);
            if trouble.kind == Kind::Throttled && trouble.operation == RECORDS {
                self.pace.throttled();
            }
        }
    }

    async fn fetch(&mut self) -> Result<(), Trouble> {
        let core = self.course.core;
        let mut permit = self.course.memory(self.reserve() * COPIES).await;
        if self.course.follow() || !self.course.ready() {
            self.iterator = None;
            return Ok(());
        }
        if self.iterator.is_none() {
            self.iterator = Some(self.open().await?);
        }
        let Some(iterator) = self.iterator.as_deref() else { return Ok(()) };
        let sent = Instant::now();
        self.pace.hold(Duration::from_millis(205));
        let page = {
            let _slot = core.calls.acquire().await;
            core.counters.calls.fetch_add(1, Ordering::Relaxed);
            let call = core.stream.records(iterator, self.pace.limit(core.config.max_records_per_request));
            within(LIMIT, Service::Kinesis, RECORDS, call).await?
        };
        self.iterator = None;
        self.course.recovered();
        let bytes = page.bytes();
        permit.resize(bytes * COPIES);
        core.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let behind = page.millis_behind.unwrap_or(0) > 0;
        self.pace.answered(sent, bytes, page.records.len(), behind);
        let Page { records, next_iterator, millis_behind, children } = page;
        if !self.course.accept(records, millis_behind, permit).await {
            return Ok(());
        }
        self.iterator = next_iterator;
        if self.iterator.is_none() && !self.course.end(children).await? {
            self.pace.hold(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Memory the next page may need. An empty page before it says nothing: after an outage the next one is full.
    fn reserve(&self) -> usize {
        match self.pace.expected(self.course.core.config.max_records_per_request) {
            None if self.pace.is_new() => LARGEST_PAGE,
            None => LARGEST_RECORD,
            Some(bytes) => (bytes * 3 / 2 + GROWTH).min(LARGEST_PAGE),
        }
    }

    async fn open(&mut self) -> Result<String, Trouble> {
        let start = self.course.start();
        let core = self.course.core;
        let _slot = core.calls.acquire().await;
        let call = core.stream.iterator(&self.course.shard.id, &start);
        let answer = within(LIMIT, Service::Kinesis, "GetShardIterator", call).await;
        let (iterator, answer) = match answer {
            Ok(iterator) => (iterator, Ok(())),
            Err(trouble) => (String::new(), Err(trouble)),
        };
        self.course.opened(&start, answer).map(|()| iterator)
    }
}
