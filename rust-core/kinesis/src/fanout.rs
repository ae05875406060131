//! Reads one shard through a subscription of its own (enhanced fan-out).
//!
//! A subscription ends after five minutes by design and goes on from the continuation number of the last event taken
//! in, or, after a rollback or a day without room, from behind the last batch that still stands or record read. Events of an earlier subscription cannot
//! reach a later one: each has its own. A subscription that is silent is replaced; a healthy one sends an event about
//! every five seconds even when there are no records. While NiFi takes nothing, no event is asked for, and that silence
//! is ours.

use crate::api::{Event, NextEvent};
use crate::core::{Core, within};
use crate::position::Start;
use crate::reading::Course;
use crate::shard::Shard;
use crate::trouble::{Kind, NOT_ACTIVE, Service, Trouble};
use record::SequenceNumber;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Silence after which a subscription is replaced.
const SILENCE: Duration = Duration::from_secs(30);
/// The service refuses to subscribe again to a shard within five seconds.
const AGAIN: Duration = Duration::from_millis(5_100);
/// The service keeps records for at least a day; less, for the time between an event and its taking in.
const RETAINED: Duration = Duration::from_secs(23 * 3_600);
/// Longest time until a subscription is open.
const LIMIT: Duration = Duration::from_secs(12);

struct Reader<'a> {
    course: Course<'a>,
    /// The wait for the next event of the open subscription.
    next: Option<NextEvent>,
    /// When that wait began, not counting times without room.
    listening: Option<Instant>,
    /// Where the last event said to go on, and when.
    continuation: Option<(SequenceNumber, Instant)>,
    not_before: Instant,
}

/// The task of one shard. Ends when the shard's `reading` is cancelled.
pub(crate) async fn run(core: Arc<Core>, shard: Arc<Shard>) {
    let course = Course::new(&core, &shard);
    let mut reader =
        Reader { course, next: None, listening: None, continuation: None, not_before: Instant::now() };
    loop {
        reader.step().await;
    }
}

impl Reader<'_> {
    async fn step(&mut self) {
        if self.course.follow() {
            (self.next, self.continuation) = (None, None);
        }
        if !self.course.ready() {
            self.listening = None;
            self.course.rest().await;
            return;
        }
        let answer = if self.next.is_some() { self.listen().await } else { self.subscribe().await };
        if let Err(trouble) = answer {
            self.next = None;
            self.failed(&trouble);
        }
    }

    fn failed(&mut self, trouble: &Trouble) {
        let wait = self.course.trouble(trouble);
        let wait = match trouble.kind {
            // Another subscription is still open, or the consumer or the shard is gone: soon enough is often enough.
            Kind::InUse | Kind::NotFound => wait.max(AGAIN),
            _ => wait,
        };
        if trouble.kind == Kind::NotFound {
            self.course.core.consumer.doubt();
        }
        if trouble.code == NOT_ACTIVE {
            // Other nodes wait for the same consumer: no reason to give the shard up.
            self.course.shard.rests();
        }
        self.hold(wait);
    }

    fn hold(&mut self, wait: Duration) {
        self.not_before = self.not_before.max(Instant::now() + wait);
    }

    async fn subscribe(&mut self) -> Result<(), Trouble> {
        let (core, shard) = (self.course.core, self.course.shard);
        if self.not_before > Instant::now() {
            let _ = tokio::time::timeout_at(self.not_before, shard.wake.notified()).await;
            return Ok(());
        }
        shard.asks();
        let arn = core.consumer.arn(core).await?;
        let start = self.start();
        core.counters.calls.fetch_add(1, Ordering::Relaxed);
        let call = core.stream.subscribe(&arn, &shard.id, &start, shard.serial);
        let answer = within(LIMIT, Service::Kinesis, "SubscribeToShard", call).await;
        let (subscription, answer) = match answer {
            Ok(subscription) => (Some(subscription), Ok(())),
            Err(trouble) => (None, Err(trouble)),
        };
        self.course.opened(&start, answer)?;
        self.hold(AGAIN);
        if subscription.as_ref().is_some_and(|s| s.is_alone()) {
            core.consumer.tell_http_1(core);
        }
        self.next = subscription.map(|s| s.next());
        self.listening = None;
        Ok(())
    }

    /// A continuation number need not be that of a record, so nothing shows when records behind it have left the retention
    /// time: it is used only while that cannot be.
    fn start(&self) -> Start {
        match &self.continuation {
            Some((number, since)) if since.elapsed() < RETAINED => Start::After(number.clone()),
            _ => self.course.start(),
        }
    }

    async fn listen(&mut self) -> Result<(), Trouble> {
        let core = self.course.core;
        // Events have no announced size: wait until there is any room, then account for what came.
        let (mut permit, waited) = self.course.granted(1).await;
        if waited {
            self.listening = None;
        }
        let until = *self.listening.get_or_insert_with(Instant::now) + SILENCE;
        let Some(next) = self.next.as_mut() else { return Ok(()) };
        let (subscription, event) = tokio::select! {
            came = next => came,
            () = self.course.shard.wake.notified() => return Ok(()),
            () = tokio::time::sleep_until(until) => {
                self.next = None;
                tracing::info!(shard = %self.course.shard.id, "silent subscription replaced");
                return Ok(());
            }
        };
        (self.next, self.listening) = (None, None);
        let Some(event) = event? else { return Ok(()) };
        self.course.recovered();
        let bytes = event.records.iter().map(|r| r.data.len()).sum();
        permit.resize(bytes);
        core.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let Event { records, continuation, millis_behind, children } = event;
        if self.course.has_read(&records) {
            core.counters.repeated_events.add(1);
        }
        if !self.course.accept(records, millis_behind, permit).await {
            return Ok(());
        }
        if continuation.is_none() || !children.is_empty() {
            if !self.course.end(children).await? {
                self.hold(AGAIN);
            }
            return Ok(());
        }
        self.continuation = continuation.map(|number| (number, Instant::now()));
        self.next = Some(subscription.next());
        Ok(())
    }
}
