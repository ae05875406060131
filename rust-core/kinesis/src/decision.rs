//! Where the shards of a stream begin: decided at the first start of an application name, and kept in the table.
//!
//! The user's setting counts only when nobody has read the stream under that name. A table with rows of Apache NiFi's
//! own processor is gone on with: a shard with a position there resumes, a shard without a row came after that
//! processor stopped and is read from its oldest record.

use crate::api::{Answer, ShardInfo, StreamInfo};
use crate::config::InitialPosition;
use crate::core::{Core, within};
use crate::position::Anchor;
use crate::shard::lock;
use crate::store::{Rows, ShardRow, StreamRow};
use crate::trouble::{Service, Trouble};
use bulletin::Level;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest time of one write for a shard.
const LIMIT: Duration = Duration::from_secs(15);
/// Writes under way at once.
const CONCURRENT: usize = 16;
/// What came so long before the other processor's last sign of life may have been read by it and not stored. As much as
/// clocks may be off for AWS to accept a request.
const MARGIN_MS: i64 = 300_000;

/// The beginning that is in force for this stream, or for a newer one of its name; decides it when nobody has.
pub(crate) async fn in_force(
    core: &Core,
    rows: &Rows,
    stream: &StreamInfo,
    limit: Duration,
) -> Result<StreamRow, Trouble> {
    let taken_over = is_taken_over(rows, stream);
    let anchor = match rows.stream {
        Some(row) if row.created >= stream.created => return Ok(row),
        Some(_) => {
            core.messages.once(
                Level::Warn,
                format!(
                    "Stream \"{}\" was deleted and created again. Its new records are read from the oldest one \
                     on; the stored positions of the earlier stream are discarded.",
                    core.config.stream_name
                ),
            );
            Anchor::TrimHorizon
        }
        None if taken_over => {
            // Before the decision: what is not written when we die here is written at the next start.
            keep_places(core, rows, stream).await?;
            Anchor::TrimHorizon
        }
        None => Anchor::decide(core.config.initial_position, stream.now_ms),
    };
    let wanted = StreamRow { anchor, created: stream.created };
    let decided = within(limit, Service::DynamoDb, "UpdateItem", core.store.decide(wanted)).await?;
    if taken_over && decided == wanted {
        tell_taken_over(core, rows);
    }
    if rows.stream.is_none() && decided == wanted && matches!(anchor, Anchor::Latest(_)) {
        skip_closed(core, wanted).await?;
    }
    Ok(decided)
}

/// Another program has read the stream under the name of our application.
fn is_taken_over(rows: &Rows, stream: &StreamInfo) -> bool {
    rows.stream.is_none() && rows.shards.values().any(|r| r.created.is_none_or(|c| c == stream.created))
}

/// Says where reading goes on. Counted as the rows were before the decision; the shards without a position that are not
/// read from their oldest record begin where `places` says.
fn tell_taken_over(core: &Core, rows: &Rows) {
    let shards = lock(&core.known).shards.clone();
    let row = |s: &ShardInfo| rows.shards.get(&s.id).cloned().unwrap_or_default();
    let behind = shards.iter().filter(|s| row(s).done().is_some()).count();
    let ended = shards.iter().filter(|s| row(s).ended && row(s).done().is_none()).count();
    let without = shards.len() - behind - ended;
    core.messages.once(
        Level::Info,
        format!(
            "Table \"{}\" was written by another program, such as Apache NiFi's own ConsumeKinesis, and is taken over. \
             Reading of stream \"{}\" goes on behind the stored positions of {behind} shards. {without} shards have no \
             position: one that program has tried to read begins five minutes before its last sign of life there, or \
             earlier if Initial Stream Position says so; one it has not seen begins at its oldest record.",
            core.config.application_name, core.config.stream_name
        ),
    );
}

/// Shards that were closed before "now" have nothing to read. Marking them saves every node from opening them.
async fn skip_closed(core: &Core, decision: StreamRow) -> Result<(), Trouble> {
    let shards = lock(&core.known).shards.clone();
    let closed = shards.iter().filter(|s| s.closed);
    write_all(closed.map(|s| core.store.skip(&s.id, decision)).collect()).await
}

/// Stores the beginnings of shards that the other processor read and stored no position of.
async fn keep_places(core: &Core, rows: &Rows, stream: &StreamInfo) -> Result<(), Trouble> {
    let shards = lock(&core.known).shards.clone();
    let places = places(&shards, rows, core.config.initial_position, stream);
    write_all(places.into_iter().map(|(s, place)| core.store.begin(&s.id, place)).collect()).await
}

async fn write_all(writes: Vec<Answer<'_, ()>>) -> Result<(), Trouble> {
    let writes: Vec<_> =
        writes.into_iter().map(|w| within(LIMIT, Service::DynamoDb, "UpdateItem", w)).collect();
    let mut writes = futures::stream::iter(writes).buffer_unordered(CONCURRENT);
    let mut result = Ok(());
    while let Some(written) = writes.next().await {
        result = result.and(written);
    }
    result
}

/// The beginnings of shards with a row, but without a position. Left out are those that begin at their oldest record.
fn places<'a>(
    shards: &'a [ShardInfo],
    rows: &Rows,
    initial: InitialPosition,
    stream: &StreamInfo,
) -> Vec<(&'a ShardInfo, StreamRow)> {
    let listed: BTreeMap<&str, &ShardInfo> = shards.iter().map(|s| (&*s.id, s)).collect();
    let place = |shard: &'a ShardInfo| {
        let anchor = quiet_since(rows.shards.get(&shard.id)?, initial, stream.now_ms)?;
        // What came to a descendant of a shard that was read came after that.
        let begins = !descends_from_read(shard, &listed, rows);
        begins.then_some((shard, StreamRow { anchor, created: stream.created }))
    };
    shards.iter().filter_map(place).collect()
}

/// The other processor stores a position with everything it commits, so it committed nothing up to its last sign of life.
fn quiet_since(row: &ShardRow, initial: InitialPosition, now_ms: i64) -> Option<Anchor> {
    if row.done().is_some() || row.anchor.is_some() || row.ended {
        return None;
    }
    let quiet = row.updated?.min(now_ms).saturating_sub(MARGIN_MS);
    match initial {
        InitialPosition::TrimHorizon => None,
        InitialPosition::Latest => Some(Anchor::Latest(quiet)),
        InitialPosition::AtTimestamp(ms) => Some(Anchor::AtTimestamp(ms.min(quiet))),
    }
}

/// A shard above this one has a position.
fn descends_from_read(shard: &ShardInfo, listed: &BTreeMap<&str, &ShardInfo>, rows: &Rows) -> bool {
    let (mut next, mut seen) = (vec![shard], BTreeSet::new());
    while let Some(shard) = next.pop() {
        for parent in &shard.parents {
            if rows.shards.get(parent).is_some_and(|r| r.done().is_some()) {
                return true;
            }
            next.extend(listed.get(&**parent).filter(|p| seen.insert(&p.id)));
        }
    }
    false
}
