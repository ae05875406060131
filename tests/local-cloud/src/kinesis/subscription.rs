//! `SubscribeToShard`: a stream of events for five minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{self, Stream as Events};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Kinesis;
use super::answer::Answer;
use super::consumers::{Consumer, ConsumerRef};
use super::events::{Kind, frame};
use super::log::Page;
use super::number::Number;
use super::read::{Start, behind};
use super::router::Format;
use super::shard::Shard;
use super::stream::Stream;
use crate::aws::AwsError;
use crate::sync::lock;

/// A subscription ends by itself after this time, as on AWS.
const LIFE_MS: i64 = 300_000;
/// An event is sent this often even when there is nothing to tell.
const IDLE_MS: i64 = 5_000;
/// A shard cannot be subscribed to again so soon after a successful call.
const GUARD_MS: i64 = 5_000;
/// Records of one event.
const EVENT_RECORDS: usize = 10_000;
const EVENT_BYTES: usize = 1 << 20;
/// How often a computed shard is looked at.
const GENERATED_POLL_MS: i64 = 100;
/// Bytes a second when read limits are enforced.
const BYTES_PER_SECOND: i64 = 2 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SubscribeToShard {
    #[serde(rename = "ConsumerARN")]
    consumer_arn: String,
    shard_id: String,
    starting_position: Start,
}

/// The subscriptions of a consumer, by shard.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    current: Mutex<HashMap<u32, Current>>,
}

#[derive(Debug)]
struct Current {
    started_ms: i64,
    end: CancellationToken,
}

impl Subscriptions {
    /// Starts a subscription and ends the one before it; `None` when that one began too recently.
    fn start(&self, shard: u32, now_ms: i64) -> Option<CancellationToken> {
        let mut current = lock(&self.current);
        let end = CancellationToken::new();
        let new = Current { started_ms: now_ms, end: end.clone() };
        match current.get(&shard) {
            Some(old) if now_ms - old.started_ms < GUARD_MS => return None,
            _ => {}
        }
        if let Some(old) = current.insert(shard, new) {
            old.end.cancel();
        }
        Some(end)
    }

    pub(crate) fn end_all(&self) {
        lock(&self.current).values().for_each(|current| current.end.cancel());
    }
}

/// One running subscription.
struct Running {
    kinesis: Kinesis,
    stream: Arc<Stream>,
    shard: Arc<Shard>,
    consumer: Arc<Consumer>,
    format: Format,
    grown: watch::Receiver<()>,
    end: CancellationToken,
    ends_ms: i64,
    idle_ms: i64,
    /// Earliest instant of the next event under read limits.
    paced_ms: i64,
    ordinal: u64,
    phase: Phase,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Greeting,
    Running,
    Over,
}

impl Kinesis {
    /// Opens a subscription; the frames follow for as long as the stream is polled.
    pub(crate) fn subscribe(
        &self,
        request: &SubscribeToShard,
        format: Format,
    ) -> Result<impl Events<Item = Bytes> + Send + use<>, AwsError> {
        let (stream, consumer) = self.consumer(&ConsumerRef::by_arn(&request.consumer_arn))?;
        let shard = stream.shard(&request.shard_id)?;
        let now_ms = self.now_ms();
        if consumer.status(now_ms) != "ACTIVE" {
            return Err(AwsError::in_use(format!(
                "Consumer {} is not ACTIVE, instead in state {}.",
                consumer.arn,
                consumer.status(now_ms)
            )));
        }
        let ordinal = stream.ordinal(&shard, &request.starting_position, now_ms)?;
        let end = consumer.subscriptions.start(shard.index, now_ms).ok_or_else(|| {
            AwsError::in_use(format!(
                "Another active subscription exists for this consumer: {}:{}:{}",
                stream.account, stream.name, consumer.name
            ))
        })?;
        let running = Running {
            kinesis: self.clone(),
            grown: shard.grown.subscribe(),
            stream,
            shard,
            consumer,
            format,
            end,
            ends_ms: now_ms + LIFE_MS,
            idle_ms: now_ms + IDLE_MS,
            paced_ms: now_ms,
            ordinal,
            phase: Phase::Greeting,
        };
        Ok(stream::unfold(running, |mut running| async move {
            running.next().await.map(|bytes| (bytes, running))
        }))
    }
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Greeting => {
                self.phase = Phase::Running;
                let empty = if self.format == Format::Cbor { b"\xa0".as_slice() } else { b"{}" };
                return Some(frame(Kind::Event("initial-response"), self.format.content_type(), empty));
            }
            Phase::Over => return None,
            Phase::Running => {}
        }
        let clock = self.kinesis.inner.clock.clone();
        loop {
            let now_ms = clock.now_ms();
            if now_ms >= self.ends_ms {
                return None;
            }
            if self.end.is_cancelled() {
                return Some(self.taken_away());
            }
            self.grown.borrow_and_update();
            if now_ms >= self.paced_ms {
                if let Err(error) = self.still_there() {
                    return Some(self.exception(&error));
                }
                let page = self.page();
                if !page.entries.is_empty() || page.closed.is_some() || now_ms >= self.idle_ms {
                    return Some(self.event(page, now_ms));
                }
            }
            let mut due_ms = if now_ms < self.paced_ms { self.paced_ms } else { self.idle_ms };
            if self.shard.generated() {
                due_ms = due_ms.min(now_ms + GENERATED_POLL_MS);
            }
            tokio::select! {
                () = clock.sleep_until(due_ms.min(self.ends_ms)) => {}
                () = self.end.cancelled() => {}
                _ = self.grown.changed() => {}
            }
        }
    }

    fn page(&self) -> Page {
        self.kinesis.page(&self.stream, &self.shard, self.ordinal, (EVENT_RECORDS, EVENT_BYTES))
    }

    fn event(&mut self, page: Page, now_ms: i64) -> Bytes {
        self.ordinal = page.next;
        self.idle_ms = now_ms + IDLE_MS;
        if self.kinesis.limits().read {
            let bytes: usize = page.entries.iter().map(|entry| entry.size()).sum();
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.paced_ms = now_ms + bytes.saturating_mul(1000) / BYTES_PER_SECOND;
        }
        let behind_ms = behind(&page, now_ms);
        let ended = page.closed.is_some();
        if ended {
            self.phase = Phase::Over;
        }
        let answer =
            Answer { next_iterator: None, behind_ms, child_shards: self.stream.children(&page), page };
        let payload = answer.event(self.format, (!ended).then(|| self.continuation(now_ms)));
        frame(Kind::Event("SubscribeToShardEvent"), self.format.content_type(), &payload)
    }

    /// A number after everything read and before everything to come: it moves on with time even when nothing is
    /// written, and need not be the number of a record.
    fn continuation(&self, now_ms: i64) -> Number {
        let last_ms = lock(&self.shard.log).arrival(now_ms);
        Number::new(self.shard.created_ms, self.ordinal, last_ms, self.shard.index)
    }

    /// Whether stream and consumer are still what they were when the subscription began.
    fn still_there(&self) -> Result<(), AwsError> {
        let (_, consumer) = self.kinesis.consumer(&ConsumerRef::by_arn(&self.consumer.arn))?;
        if Arc::ptr_eq(&consumer, &self.consumer) {
            Ok(())
        } else {
            Err(AwsError::not_found(format!("Consumer {} not found.", self.consumer.arn)))
        }
    }

    fn taken_away(&mut self) -> Bytes {
        let error = match self.still_there() {
            Ok(()) if self.consumer.status(self.kinesis.now_ms()) == "ACTIVE" => AwsError::in_use(format!(
                "Another active subscription exists for this consumer: {}:{}:{}",
                self.stream.account, self.stream.name, self.consumer.name
            )),
            _ => AwsError::not_found(format!("Consumer {} not found.", self.consumer.arn)),
        };
        self.exception(&error)
    }

    fn exception(&mut self, error: &AwsError) -> Bytes {
        self.phase = Phase::Over;
        let payload = self.format.encode(&serde_json::json!({ "message": error.message }));
        frame(Kind::Exception(&error.code), self.format.content_type(), &payload)
    }
}
