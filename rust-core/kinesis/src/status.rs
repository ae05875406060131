//! The state of a source as JSON.

use crate::core::Core;
use crate::shard::{Shard, lock};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// See the module. Names are stable; values are for reading, not for decisions.
pub(crate) fn json(core: &Core) -> Value {
    let known = lock(&core.known).clone();
    let held = core.held();
    let state = match () {
        () if core.cancel.is_cancelled() => "closed",
        () if core.stopped.load(Ordering::Acquire) => "stopping",
        () if known.running => "running",
        () => "starting",
    };
    let counters = &core.counters;
    json!({
        "state": state,
        "stream": core.config.stream_name,
        "application": core.config.application_name,
        "node": core.me.node,
        "owner": core.me.owner,
        "nodes": known.nodes,
        "shardsListed": known.shards.len(),
        "shardsReadable": known.readable,
        "shards": held.iter().map(|s| shard(s)).collect::<Vec<_>>(),
        "millisBehind": held.iter().filter_map(|s| s.behind()).max(),
        "budget": { "usedBytes": core.budget.used(), "bytes": core.budget.capacity() },
        "batches": {
            "handedOut": core.exchange.handed_out(),
            "outstanding": core.exchange.outstanding(),
        },
        "records": counters.records.load(Ordering::Relaxed),
        "bytes": counters.bytes.load(Ordering::Relaxed),
        "calls": counters.calls.load(Ordering::Relaxed),
        "throttled": counters.throttled.load(Ordering::Relaxed),
        "rewinds": counters.rewinds.load(Ordering::Relaxed),
        "repeatedEvents": counters.repeated_events.all(),
        "aggregatedRecordsOfOtherShards": counters.strays.all(),
        "tableThrottled": counters.table_throttled.all(),
        "leasesLost": counters.leases_lost.load(Ordering::Relaxed),
    })
}

fn shard(shard: &Shard) -> Value {
    let flow = shard.flow();
    json!({
        "id": &*shard.id,
        "state": if shard.is_draining() { "draining" } else { "reading" },
        "epoch": shard.lease.holder.epoch,
        "leaseAgeMillis": u64::try_from(shard.lease.age().as_millis()).unwrap_or(u64::MAX),
        "lineage": shard.lineage,
        "startAnchor": shard.anchor.to_string(),
        "committed": flow.frontier().done.as_ref().map(|d| d.position.sharded().to_string()),
        "bufferedBytes": flow.buffered(),
        "outstandingBatches": flow.outstanding(),
        "millisBehind": shard.behind(),
    })
}
