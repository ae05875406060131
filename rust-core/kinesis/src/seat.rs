//! The row of the table that a node's heartbeat is written to.
//!
//! Rows cannot be deleted: the documented policy does not allow it, nor does Apache NiFi's own processor do it. A node
//! whose name was lost with NiFi's local state comes back under a new one. So a node without a row takes over one that
//! a node left, and makes a new one only when every row has a node. Whether a node lives is judged as for leases, by our
//! own clock. Should it live after all, its next heartbeat is refused and it looks for another row; leases do not depend
//! on heartbeats.
//!
//! Apache NiFi's own processor counts heartbeats and does not look at `nodeName`.

use crate::core::{Core, within};
use crate::heartbeats::{Fate, Heartbeats};
use crate::shard::lock;
use crate::store::{NodeRow, Rows};
use crate::trouble::{Service, Trouble};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time of one write.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether this node has a row.
pub(crate) fn is_taken(core: &Core) -> bool {
    lock(&core.seat).is_some()
}

/// Beats in our own row, in one that was left, or in a new one. Nothing happens while another reading of the table is
/// needed to choose; `rows` must have been noted.
pub(crate) async fn take(core: &Core, rows: &Rows, seen: &Heartbeats, now: Instant) -> Result<(), Trouble> {
    let me = core.me.node.as_str();
    if let Some(key) = own(&rows.nodes, me) {
        return sit(core, key).await;
    }
    let mut refused = false;
    for (key, row) in rows.nodes.iter().filter(|(key, _)| seen.fate(key, now) == Fate::Free) {
        let write = core.store.adopt(key, row, me, core.clock.wall_ms());
        if within(LIMIT, Service::DynamoDb, "UpdateItem", write).await? {
            *lock(&core.seat) = Some(key.clone());
            return Ok(());
        }
        refused = true;
    }
    if refused || rows.nodes.keys().any(|key| seen.fate(key, now) == Fate::Unknown) {
        return Ok(());
    }
    if rows.nodes.contains_key(me) {
        return sit(core, &uuid::Uuid::new_v4().to_string()).await;
    }
    sit(core, me).await
}

/// The row we beat in before, or one of our name that has no node.
fn own<'a>(nodes: &'a BTreeMap<String, NodeRow>, me: &'a str) -> Option<&'a str> {
    nodes.iter().find(|(key, row)| row.node(key) == me).map(|(key, _)| key.as_str())
}

async fn sit(core: &Core, key: &str) -> Result<(), Trouble> {
    let write = core.store.beat(key, &core.me.node, core.clock.wall_ms());
    if within(LIMIT, Service::DynamoDb, "UpdateItem", write).await? {
        *lock(&core.seat) = Some(key.to_owned());
    }
    Ok(())
}

/// One heartbeat. Without a row, or when it is another node's by now, the coordinator finds one.
pub(crate) async fn beat(core: &Core) -> Result<(), Trouble> {
    let Some(key) = lock(&core.seat).clone() else { return Ok(()) };
    let write = core.store.beat(&key, &core.me.node, core.clock.wall_ms());
    if !within(LIMIT, Service::DynamoDb, "UpdateItem", write).await? {
        tracing::info!("the row of our heartbeat was taken over");
        *lock(&core.seat) = None;
        core.nudge.notify_one();
    }
    Ok(())
}

/// Others are not to count us any more.
pub(crate) async fn retire(core: &Core, limit: Duration) -> Result<(), Trouble> {
    let Some(key) = lock(&core.seat).clone() else { return Ok(()) };
    let write = core.store.retire(&key, &core.me.node);
    within(limit, Service::DynamoDb, "UpdateItem", write).await
}
