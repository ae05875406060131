//! Keeps leases and the heartbeat fresh by its own timer, whatever readers, NiFi or the coordinator are doing.

use crate::checkpoint::still_ours;
use crate::core::{Core, within};
use crate::seat;
use crate::shard::{Shard, lock};
use crate::trouble::{Service, Trouble};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// A lease of this age is renewed. The same pace as Apache NiFi's own processor.
const RENEW_AFTER: Duration = Duration::from_millis(9_000);
/// Leases are renewed up to this much later, so that those taken together spread out.
const SPREAD_MS: u64 = 1_000;
/// Pace of the heartbeat.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// How often leases are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Renewals under way at once.
const CONCURRENT: usize = 64;
/// Longest time of one renewal: several fit into a lease.
const LIMIT: Duration = Duration::from_secs(5);

/// The task that renews leases.
pub(crate) async fn leases(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way: HashSet<u64> = HashSet::new();
    let mut renewals = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some((shard, answer)) = renewals.next() => {
                let (shard, answer): (Arc<Shard>, Result<bool, Trouble>) = (shard, answer);
                under_way.remove(&shard.serial);
                match answer {
                    Ok(true) => core.works(Service::DynamoDb),
                    Ok(false) => core.lose(&shard),
                    Err(trouble) => core.tell(&trouble),
                }
            }
            _ = ticks.tick() => {}
        }
        for shard in core.held() {
            if renewals.len() >= CONCURRENT {
                break;
            }
            let spread = Duration::from_millis(shard.serial.wrapping_mul(97) % SPREAD_MS);
            if shard.lease.age() >= RENEW_AFTER + spread && !shard.is_gone() && under_way.insert(shard.serial)
            {
                let core = &core;
                renewals.push(async move {
                    let answer = renew(core, &shard).await;
                    (shard, answer)
                });
            }
        }
    }
}

async fn renew(core: &Core, shard: &Shard) -> Result<bool, Trouble> {
    let sent = Instant::now();
    let write = core.store.renew(&shard.lease.holder, core.clock.wall_ms());
    let renewed =
        within(LIMIT, Service::DynamoDb, "UpdateItem", write).await? || still_ours(core, shard).await?;
    if renewed {
        shard.lease.renewed(sent);
    }
    Ok(renewed)
}

/// The task that tells the other nodes that we live.
pub(crate) async fn heartbeat(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The table may not be there yet, and the coordinator beats before its first plan.
    while !lock(&core.known).running {
        tokio::time::sleep(TICK).await;
    }
    loop {
        ticks.tick().await;
        if core.abstains.load(Ordering::Acquire) {
            continue;
        }
        while let Err(trouble) = seat::beat(&core).await {
            core.tell(&trouble);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}
