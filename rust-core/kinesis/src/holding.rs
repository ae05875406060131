//! Taking leases and giving them back.

use crate::api::{ShardId, ShardInfo};
use crate::checkpoint::{self, Saved};
use crate::config::ConsumerType;
use crate::core::{Core, within};
use crate::fanout;
use crate::flow::{Flow, Mark};
use crate::poll;
use crate::position::Anchor;
use crate::shape::Shaper;
use crate::shard::{Lease, Shard, lock};
use crate::store::{Claim, Holder, Rows, ShardRow, StreamRow};
use crate::trouble::{Service, Trouble};
use bulletin::Level;
use record::ShardedNumber;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time of one write.
const LIMIT: Duration = Duration::from_secs(10);
/// How long batches that are out may take to be settled before a drained lease is released all the same.
const DRAIN: Duration = Duration::from_secs(20);
const DRAIN_LOOK: Duration = Duration::from_millis(25);

/// The claim for a shard whose row, if any, is in `rows`.
pub(crate) fn claim(core: &Core, info: &ShardInfo, rows: &Rows, decision: StreamRow) -> Claim {
    let row = rows.shards.get(&info.id).cloned().unwrap_or_default();
    let reset = row.created.is_some_and(|c| c != decision.created);
    let done = if reset { None } else { row.done() };
    let repair = done.filter(|d| row.padded.as_ref() != Some(&d.position.padded()));
    Claim {
        shard: info.id.clone(),
        owner: core.me.owner.clone(),
        seen: row.print(),
        anchor: Anchor::of_shard(decision.anchor, info.parents.iter().any(|p| continues(rows, p, decision))),
        store_anchor: reset || row.sequence.is_none(),
        lineage: new_lineage(),
        created: decision.created,
        parents: info.parents.clone(),
        reset,
        repair,
    }
}

/// The parent's records lead up to the child's first one: something of the parent was delivered, or would have been.
/// A parent that was closed before the beginning the user asked for says nothing about its child; nor does one that
/// gave no record since then, whose child the stream's own beginning fits as well.
fn continues(rows: &Rows, parent: &str, decision: StreamRow) -> bool {
    rows.shards.get(parent).is_some_and(|r| {
        !r.skipped
            && r.created.is_none_or(|c| c == decision.created)
            && (r.done().is_some() || r.anchor.is_none_or(|a| a == Anchor::TrimHorizon))
    })
}

/// 12 hexadecimal digits at random.
fn new_lineage() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// Writes the claim and, when it holds, begins to read.
pub(crate) async fn acquire(core: &Arc<Core>, claim: Claim) -> Result<(), Trouble> {
    let sent = Instant::now();
    let write = core.store.acquire(&claim, core.clock.wall_ms());
    let row = match within(LIMIT, Service::DynamoDb, "UpdateItem", write).await? {
        Some(row) => row,
        None => {
            // Either another node was faster, or an attempt of ours was applied and its answer lost.
            let read = core.store.row(&claim.shard);
            match within(LIMIT, Service::DynamoDb, "GetItem", read).await? {
                Some(row) if row.owner.as_deref() == Some(claim.owner.as_str()) => row,
                _ => return Ok(()),
            }
        }
    };
    let epoch = row.counter.unwrap_or(0);
    let holder = Holder { shard: claim.shard.clone(), owner: claim.owner.clone(), epoch };
    let shard = Arc::new(shard(core, &claim, &row, Lease::new(holder, sent)));
    tracing::info!(shard = %shard.id, epoch, "lease acquired");
    core.hold(shard.clone());
    if core.stopped.load(Ordering::Acquire) {
        shard.drain();
        return Ok(());
    }
    let (reader_core, reading) = (core.clone(), shard.reading.clone());
    let name = format!("reader of {}", shard.id);
    match core.config.consumer_type {
        ConsumerType::SharedThroughput => {
            core.tasks.supervise(name, reading, move || poll::run(reader_core.clone(), shard.clone()))
        }
        ConsumerType::EnhancedFanOut => {
            core.tasks.supervise(name, reading, move || fanout::run(reader_core.clone(), shard.clone()))
        }
    }
    Ok(())
}

fn shard(core: &Core, claim: &Claim, row: &ShardRow, lease: Lease) -> Shard {
    let config = &core.config;
    let listed = lock(&core.known).shards.clone();
    let keys = listed.iter().find(|s| s.id == claim.shard).and_then(|s| s.keys.clone());
    let mark = Mark { done: row.done(), last_row: row.last_row.clone().unwrap_or_else(ShardedNumber::zero) };
    let shaper = Shaper {
        stream: config.stream_name.clone(),
        shard: claim.shard.to_string(),
        strategy: config.processing_strategy.clone(),
        output: config.output_strategy,
        format: config.arrival_format,
        full: config.max_batch_size,
        // A shard that takes all keys saves the work of looking at them.
        keys: keys.filter(|keys| *keys != (0..=u128::MAX)),
    };
    Shard::new(
        core.serials.fetch_add(1, Ordering::Relaxed),
        lease,
        row.lineage.clone().unwrap_or_else(|| claim.lineage.clone()),
        row.anchor.unwrap_or(claim.anchor),
        shaper,
        Flow::new(mark),
        core.cancel.child_token(),
    )
}

/// Brings what is held in line with the table and the list: leases that another node has are given up, finished and
/// vanished shards are released. `rows` must have been read after the last acquisition.
pub(crate) fn reconcile(core: &Arc<Core>, rows: &Rows) {
    let listed = lock(&core.known).shards.clone();
    for shard in core.held() {
        let holder = &shard.lease.holder;
        let ours = rows.shards.get(&shard.id).is_some_and(|r| {
            r.owner.as_deref() == Some(holder.owner.as_str()) && r.counter == Some(holder.epoch)
        });
        if !ours {
            core.lose(&shard);
        } else if shard.flow().is_finished() {
            release_later(core, shard, "end");
        } else if !listed.iter().any(|s| s.id == shard.id) {
            core.messages.once(
                Level::Info,
                format!(
                    "Shard {} of stream \"{}\" is no longer listed; its records have left the retention time.",
                    shard.id, core.config.stream_name
                ),
            );
            release_later(core, shard, "vanished");
        }
    }
}

/// Gives an excess lease back in order: no more reading, what is out is settled and stored, then the release.
pub(crate) fn drain(core: &Arc<Core>, id: &ShardId) {
    if let Some(shard) = core.held().into_iter().find(|s| s.id == *id) {
        release_later(core, shard, "balance");
    }
}

/// Gives up a lease under which nothing can be read here.
pub(crate) fn give_up(core: &Arc<Core>, shard: Arc<Shard>) {
    let (id, stream, seconds) = (&shard.id, &core.config.stream_name, shard.unanswered().as_secs());
    let what = match shard.trouble() {
        Some(trouble) => format!(
            "Shard {id} of stream \"{stream}\" could not be read for {seconds} seconds ({}). Its lease is given up, so \
             that another node can read it.",
            trouble.brief()
        ),
        None => format!(
            "Kinesis has not answered for shard {id} of stream \"{stream}\" for {seconds} seconds. Its lease is given \
             up, so that another node can read it."
        ),
    };
    core.messages.say(Level::Warn, &format!("stuck/{id}"), what);
    release_later(core, shard, "no progress");
}

fn release_later(core: &Arc<Core>, shard: Arc<Shard>, why: &'static str) {
    core.exchange.unschedule(&shard);
    if !shard.drain() {
        return;
    }
    tracing::info!(shard = %shard.id, why, "lease is given back");
    let (cancel, owner) = (core.cancel.clone(), core.clone());
    core.tasks.supervise(format!("release of {}", shard.id), cancel, move || {
        let (core, shard) = (owner.clone(), shard.clone());
        async move { release(&core, &shard).await }
    });
}

async fn release(core: &Core, shard: &Shard) {
    let began = Instant::now();
    while !shard.flow().is_idle() && began.elapsed() < DRAIN && !shard.is_gone() {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    // What was not settled in time is read by the next owner.
    shard.flow().void();
    while let Saved::More | Saved::Failed(_) = checkpoint::save(core, shard).await {
        if began.elapsed() > DRAIN * 2 {
            break;
        }
        tokio::time::sleep(DRAIN_LOOK * 10).await;
    }
    let released = within(LIMIT, Service::DynamoDb, "UpdateItem", core.store.release(&shard.lease.holder));
    if let Err(trouble) = released.await {
        // Not renewed any more, so other nodes get it after the lease time at the latest.
        core.tell(&trouble);
    }
    shard.lose();
    core.forget(shard);
    core.nudge.notify_one();
}
