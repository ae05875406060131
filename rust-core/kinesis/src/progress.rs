//! Leases are not kept by a node that cannot read under them.
//!
//! A lease is renewed whatever its reader does, so a node that reaches DynamoDB and not Kinesis would keep its shards for
//! ever. A shard without an answer is given up when other nodes are there. When that is so for all shards of a node, the
//! node also leaves the share-out until a record can be asked for again; otherwise it would take back what it gave.

use crate::api::ShardId;
use crate::core::{Core, within};
use crate::holding;
use crate::plan::Plan;
use crate::position::Start;
use crate::seat;
use crate::shard::{Shard, lock};
use crate::trouble::{Service, Trouble};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// A reader without an answer for this long makes no progress.
const STUCK: Duration = Duration::from_secs(120);
/// A shard that was given up is left to others for this long.
const AVOID: Duration = Duration::from_secs(60);
/// Longest time of a trial call.
const LIMIT: Duration = Duration::from_secs(5);

/// What was given up.
#[derive(Default)]
pub(crate) struct Progress {
    avoided: HashMap<ShardId, Instant>,
}

impl Progress {
    /// Gives up what makes no progress, and takes out of the plan what is not to be taken now.
    pub(crate) async fn watch(&mut self, core: &Arc<Core>, plan: &mut Plan) {
        self.avoided.retain(|_, since| since.elapsed() < AVOID);
        if core.abstains.load(Ordering::Acquire) {
            if trial(core).await.is_ok() {
                core.abstains.store(false, Ordering::Release);
                self.avoided.clear();
            }
            plan.acquire.clear();
            return;
        }
        let held: Vec<Arc<Shard>> = core.held().into_iter().filter(|s| !s.is_draining()).collect();
        let stuck: Vec<&Arc<Shard>> = held.iter().filter(|s| s.unanswered() >= STUCK).collect();
        if plan.nodes > 1 && !stuck.is_empty() {
            let all = stuck.len() == held.len();
            for shard in stuck {
                self.avoided.insert(shard.id.clone(), Instant::now());
                holding::give_up(core, shard.clone());
            }
            if all {
                core.abstains.store(true, Ordering::Release);
                if let Err(trouble) = seat::retire(core, LIMIT).await {
                    core.tell(&trouble);
                }
                plan.acquire.clear();
            }
        }
        plan.acquire.retain(|shard| !self.avoided.contains_key(shard));
    }
}

/// Asks for one record of some shard.
async fn trial(core: &Core) -> Result<(), Trouble> {
    let shards = lock(&core.known).shards.clone();
    let Some(shard) = shards.iter().find(|s| !s.closed).or(shards.first()) else { return Ok(()) };
    let start = Start::TrimHorizon;
    let call = core.stream.iterator(&shard.id, &start);
    let iterator = within(LIMIT, Service::Kinesis, "GetShardIterator", call).await?;
    within(LIMIT, Service::Kinesis, "GetRecords", core.stream.records(&iterator, 1)).await.map(|_| ())
}
