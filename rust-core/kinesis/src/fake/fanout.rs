//! Subscriptions in memory.

use super::stream::{FakeStream, after, position, trouble};
use crate::api::{ConsumerInfo, Event, NextEvent, ShardId, Subscription};
use crate::position::Start;
use crate::trouble::{Kind, Trouble};
use std::time::Duration;
use tokio::time::Instant;

/// Life of a subscription.
const LIFE: Duration = Duration::from_secs(300);
/// Between two events without records.
const IDLE: Duration = Duration::from_secs(5);

/// What the fake knows about fan-out.
#[derive(Default)]
pub(crate) struct FanOut {
    consumer: Option<Instant>,
    /// A consumer becomes active after this long; two seconds by default.
    creating: Option<Duration>,
    subscriptions: u64,
    subscribed: Vec<(ShardId, Instant)>,
    /// Subscriptions up to this number of a shard send nothing any more.
    silent: Vec<(ShardId, u64)>,
    /// Subscriptions up to this number of a shard send their next event at this time.
    late: Vec<(ShardId, u64, Instant)>,
    /// Subscriptions up to this number end.
    ended: u64,
}

/// One subscription.
pub(crate) struct FakeSubscription {
    stream: FakeStream,
    shard: ShardId,
    number: u64,
    index: usize,
    opened: Instant,
    done: bool,
}

impl FakeStream {
    /// All open subscriptions of a shard fall silent without closing.
    pub(crate) fn silence(&self, shard: &str) {
        self.with(|data| {
            let number = data.fanout.subscriptions;
            data.fanout.silent.push((shard.into(), number));
        });
    }

    /// The next event of all open subscriptions of a shard is on its way for this long.
    pub(crate) fn delay_events(&self, shard: &str, time: Duration) {
        self.with(|data| {
            let number = data.fanout.subscriptions;
            data.fanout.late.push((shard.into(), number, Instant::now() + time));
        });
    }

    /// The service ends all open subscriptions.
    pub(crate) fn end_subscriptions(&self) {
        self.with(|data| data.fanout.ended = data.fanout.subscriptions);
    }

    /// A consumer is CREATING for this long.
    pub(crate) fn consumer_takes(&self, time: Duration) {
        self.with(|data| data.fanout.creating = Some(time));
    }

    /// Somebody deregisters the consumer.
    pub(crate) fn drop_consumer(&self) {
        self.with(|data| {
            data.fanout.consumer = None;
            data.fanout.ended = data.fanout.subscriptions;
        });
    }

    pub(crate) fn has_consumer(&self) -> bool {
        self.with(|data| data.fanout.consumer.is_some())
    }

    /// Subscriptions opened so far.
    pub(crate) fn subscriptions(&self) -> u64 {
        self.with(|data| data.fanout.subscriptions)
    }

    pub(crate) async fn describe_consumer(&self) -> Result<ConsumerInfo, Trouble> {
        self.call("consumer", |data| {
            let since =
                data.fanout.consumer.ok_or_else(|| trouble("consumer", Kind::NotFound, "no consumer"))?;
            let creating = data.fanout.creating.unwrap_or(Duration::from_secs(2));
            Ok(ConsumerInfo { arn: "arn:consumer".into(), active: since.elapsed() > creating })
        })
        .await
    }

    pub(crate) async fn register_consumer(&self) -> Result<ConsumerInfo, Trouble> {
        self.call("register", |data| {
            if data.fanout.consumer.is_some() {
                return Err(trouble("register", Kind::InUse, "exists"));
            }
            data.fanout.consumer = Some(Instant::now());
            Ok(ConsumerInfo { arn: "arn:consumer".into(), active: false })
        })
        .await
    }

    pub(crate) async fn open_subscription(
        &self,
        shard: &str,
        start: &Start,
    ) -> Result<FakeSubscription, Trouble> {
        const OPERATION: &str = "SubscribeToShard";
        let stream = self.clone();
        self.call("subscribe", move |data| {
            if data.fanout.consumer.is_none() {
                return Err(trouble(OPERATION, Kind::NotFound, "no consumer"));
            }
            let recent = |(s, at): &(ShardId, Instant)| &**s == shard && at.elapsed() < IDLE;
            if data.fanout.subscribed.iter().any(recent) {
                return Err(trouble(OPERATION, Kind::InUse, "subscribed within five seconds"));
            }
            let index = position(data, OPERATION, shard, start)?;
            data.fanout.subscriptions += 1;
            data.fanout.subscribed.push((shard.into(), Instant::now()));
            let number = data.fanout.subscriptions;
            Ok(FakeSubscription {
                stream,
                shard: shard.into(),
                number,
                index,
                opened: Instant::now(),
                done: false,
            })
        })
        .await
    }
}

enum Turn {
    Event(Event),
    Wait,
    Silent,
    End,
}

impl FakeSubscription {
    fn turn(&mut self, idle: bool) -> Turn {
        let (shard, number, index) = (self.shard.clone(), self.number, self.index);
        let over = self.done || self.opened.elapsed() >= LIFE;
        let cut = self.stream.faults.hangs("events");
        let turn = self.stream.with(|data| {
            if cut || data.fanout.silent.iter().any(|(s, n)| *s == shard && number <= *n) {
                return Turn::Silent;
            }
            let late =
                |(s, n, at): &(ShardId, u64, Instant)| *s == shard && number <= *n && Instant::now() < *at;
            if data.fanout.late.iter().any(late) {
                return Turn::Wait;
            }
            if over || number <= data.fanout.ended || !data.has(&shard) {
                return Turn::End;
            }
            let (records, end, children) = after(data, &shard, index);
            if records.is_empty() && !end && !idle {
                return Turn::Wait;
            }
            let continuation = (!end).then(|| data.newest());
            Turn::Event(Event { records, continuation, millis_behind: Some(0), children })
        });
        if let Turn::Event(event) = &turn {
            self.index += event.records.len();
            self.done = event.continuation.is_none();
        }
        turn
    }
}

impl Subscription for FakeSubscription {
    fn next(mut self: Box<Self>) -> NextEvent {
        Box::pin(async move {
            let asked = Instant::now();
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                match self.turn(asked.elapsed() >= IDLE) {
                    Turn::Event(event) => return (self as Box<dyn Subscription>, Ok(Some(event))),
                    Turn::End => return (self as Box<dyn Subscription>, Ok(None)),
                    Turn::Silent => std::future::pending().await,
                    Turn::Wait => {}
                }
            }
        })
    }
}
