//! The list of shards, kept fresh without asking the service too often.

use crate::api::{ShardId, ShardInfo};
use crate::core::{Core, within};
use crate::shard::lock;
use crate::trouble::{Service, Trouble};
use std::sync::Arc;
use std::time::Duration;

/// Longest time of one listing, all pages.
const LIMIT: Duration = Duration::from_secs(30);

/// Lists the shards and remembers the list.
pub(crate) async fn refresh(core: &Core) -> Result<Arc<Vec<ShardInfo>>, Trouble> {
    let shards = Arc::new(within(LIMIT, Service::Kinesis, "ListShards", core.stream.list_shards()).await?);
    lock(&core.known).shards = shards.clone();
    Ok(shards)
}

/// The children of a closed shard, perhaps none; `None` when the shard is open. Asks the service when the list at hand
/// does not show the shard as closed. Callers pause after `None`.
pub(crate) async fn closed(core: &Core, shard: &str) -> Result<Option<Vec<ShardId>>, Trouble> {
    let known = lock(&core.known).shards.clone();
    if let Some(children) = closed_in(&known, shard) {
        return Ok(Some(children));
    }
    Ok(closed_in(&refresh(core).await?, shard))
}

fn closed_in(shards: &[ShardInfo], shard: &str) -> Option<Vec<ShardId>> {
    let children: Vec<ShardId> =
        shards.iter().filter(|s| s.parents.iter().any(|p| &**p == shard)).map(|s| s.id.clone()).collect();
    let closed = shards.iter().any(|s| &*s.id == shard && s.closed);
    (closed || !children.is_empty()).then_some(children)
}
