//! Leases are not kept by a node that cannot read under them.
//!
//! A lease is renewed whatever its reader does, so a node that reaches DynamoDB and not Kinesis would keep its shards for
//! ever. A shard without an answer is given up when other nodes are there. When that is so for all shards of a node, the
//! node also leaves the share-out until a trial call works; otherwise it would take back what it gave.
//!
//! A trial is not the whole of reading: events of a subscription may still not come through. So a node that came back is
//! on trial until a shard is answered. It gives up sooner then, and stays away for longer each time.

use crate::api::ShardId;
use crate::config::ConsumerType;
use crate::core::{Core, within};
use crate::holding;
use crate::plan::Plan;
use crate::position::Start;
use crate::seat;
use crate::shard::{Shard, lock};
use crate::trouble::{Kind, Service, Trouble};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// A reader without an answer for this long makes no progress.
const STUCK: Duration = Duration::from_secs(120);
/// The same for a node on trial.
const STUCK_ON_TRIAL: Duration = Duration::from_secs(40);
/// A shard that was given up is left to others for this long.
const AVOID: Duration = Duration::from_secs(60);
/// How long a node stays away after its first trial in vain, and at most.
const AWAY: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(1_800));
/// Longest time of a trial call.
const LIMIT: Duration = Duration::from_secs(5);
/// A shard that no stream has.
const NO_SHARD: &str = "shardId-999999999999";

/// What was given up, and when.
#[derive(Default)]
pub(crate) struct Progress {
    avoided: HashMap<ShardId, Instant>,
    /// This node left the share-out then.
    left: Option<Instant>,
    /// It stays away for this long, unless nobody else is there.
    away: Duration,
    /// It came back, and no shard has been answered since.
    on_trial: bool,
}

impl Progress {
    /// Gives up what makes no progress, and takes out of the plan what is not to be taken now.
    pub(crate) async fn watch(&mut self, core: &Arc<Core>, plan: &mut Plan) {
        self.avoided.retain(|_, since| since.elapsed() < AVOID);
        if core.abstains.load(Ordering::Acquire) {
            self.try_again(core, plan.nodes).await;
            plan.acquire.clear();
            return;
        }
        let held: Vec<Arc<Shard>> = core.held().into_iter().filter(|s| !s.is_draining()).collect();
        if self.on_trial && held.iter().any(|s| s.was_answered()) {
            (self.on_trial, self.away) = (false, Duration::ZERO);
        }
        let limit = if self.on_trial { STUCK_ON_TRIAL } else { STUCK };
        let stuck: Vec<&Arc<Shard>> = held.iter().filter(|s| s.unanswered() >= limit).collect();
        if plan.nodes > 1 && !stuck.is_empty() {
            let all = stuck.len() == held.len();
            for shard in stuck {
                self.avoided.insert(shard.id.clone(), Instant::now());
                holding::give_up(core, shard.clone());
            }
            if all {
                self.leave(core).await;
                plan.acquire.clear();
            }
        }
        plan.acquire.retain(|shard| !self.avoided.contains_key(shard));
    }

    /// Others are to share out what we had.
    async fn leave(&mut self, core: &Core) {
        core.abstains.store(true, Ordering::Release);
        self.left = Some(Instant::now());
        if self.on_trial {
            self.away = (self.away * 2).clamp(AWAY.0, AWAY.1);
        }
        if let Err(trouble) = seat::retire(core, LIMIT).await {
            core.tell(&trouble);
        }
    }

    /// Ends the abstention when a call works and it is time.
    async fn try_again(&mut self, core: &Core, nodes: usize) {
        let away = self.left.is_some_and(|since| since.elapsed() < self.away);
        if away && nodes > 1 {
            return;
        }
        match trial(core).await {
            Ok(()) => {
                core.abstains.store(false, Ordering::Release);
                self.avoided.clear();
                self.on_trial = true;
            }
            Err(trouble) => core.tell(&trouble),
        }
    }
}

/// Calls as the readers do, without taking anything away from another node.
async fn trial(core: &Core) -> Result<(), Trouble> {
    let answer = match core.config.consumer_type {
        ConsumerType::SharedThroughput => ask_for_a_record(core).await,
        ConsumerType::EnhancedFanOut => subscribe_to_nothing(core).await,
    };
    match answer {
        // The service heard us, and would serve us.
        Err(trouble) if matches!(trouble.kind, Kind::Throttled | Kind::NotFound | Kind::Invalid) => Ok(()),
        answer => answer,
    }
}

async fn ask_for_a_record(core: &Core) -> Result<(), Trouble> {
    let shards = lock(&core.known).shards.clone();
    let Some(shard) = shards.iter().find(|s| !s.closed).or(shards.first()) else { return Ok(()) };
    let call = core.stream.iterator(&shard.id, &Start::TrimHorizon);
    let iterator = within(LIMIT, Service::Kinesis, "GetShardIterator", call).await?;
    within(LIMIT, Service::Kinesis, "GetRecords", core.stream.records(&iterator, 1)).await.map(|_| ())
}

/// A subscription to a shard would end that of the node that reads it. What is said about a shard that does not exist
/// tells as well whether subscriptions are answered and permitted; GetRecords may be neither.
async fn subscribe_to_nothing(core: &Core) -> Result<(), Trouble> {
    let arn = core.consumer.arn(core).await?;
    let lane = core.serials.load(Ordering::Relaxed);
    let call = core.stream.subscribe(&arn, NO_SHARD, &Start::TrimHorizon, lane);
    within(LIMIT, Service::Kinesis, "SubscribeToShard", call).await.map(|_| ())
}
