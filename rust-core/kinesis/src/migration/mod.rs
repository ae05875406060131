//! Takes over the positions of a lease table of the Kinesis Client Library, once, under the same table name.
//!
//! Every step looks at both tables anew and does the next thing; nothing is remembered between steps but how long
//! others have been quiet. So a process may die after any call, and any node may go on:
//!
//! | main table | side table | next |
//! | --- | --- | --- |
//! | legacy | none, or empty | make it, mark it |
//! | legacy | ours | copy and compare all rows, mark as complete, delete the main table |
//! | none | ours | make the main table |
//! | current | ours, not swapped | copy and compare all rows, mark as swapped, delete the side table |
//! | current | any other | nothing: the table is ready |
//!
//! While the main table is legacy it is the authority, whatever another migration left in the side table. It is deleted
//! only when every row was compared, under a lock that was confirmed a moment before.

mod dynamo;
mod lease;
mod tables;
mod words;
mod work;

pub(crate) use lease::Lease;
pub(crate) use tables::MigrationStore;
#[cfg(test)]
pub(crate) use tables::{Copy, Look};
pub(crate) use tables::{Layout, Life, Lock, Marker, Side, Which};

use crate::api::{ShardId, ShardInfo, StreamInfo};
use crate::core::Core;
use crate::position::Anchor;
use crate::store::{ShardRow, StreamRow};
use crate::trouble::Trouble;
use bulletin::Level;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;
use work::{LOOK_EVERY, Work};

/// The library renews a lease every third of its fail-over time, 10 seconds by default: without a renewal for this long
/// nobody uses the table any more.
const QUIET: Duration = Duration::from_secs(20);
/// A holder of the lock that gave no sign of life for this long is gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Apache NiFi's own migration gives no sign of life while it works; its lock ends after two minutes.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(180);

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The main table can be used.
    Ready,
    /// Look again after a while.
    Wait(Duration),
}

/// What a step is told about the stream.
pub(crate) struct Scene<'a> {
    pub(crate) stream: &'a StreamInfo,
    pub(crate) shards: &'a [ShardInfo],
    /// Longest time of a call.
    pub(crate) limit: Duration,
}

/// What is observed from step to step.
#[derive(Default)]
pub(crate) struct Migration {
    /// Signs of life of the library's workers, and since when they are the same.
    leases: Option<(HashMap<String, Option<u64>>, Instant)>,
    /// The lock as it is, and since when.
    lock: Option<(Marker, Instant)>,
    /// Holder of the lock when we came.
    first_holder: Option<Option<String>>,
    /// Made by us and not used yet.
    made_side: bool,
}

impl Migration {
    /// Takes the next step towards a main table that can be used.
    pub(crate) async fn step(&mut self, core: &Core, scene: &Scene<'_>) -> Result<Step, Trouble> {
        let work = Work { core, scene };
        match work.look(Which::Main).await? {
            Some((Layout::Current, Life::Active)) => match work.our_side().await? {
                Some(marker) if !marker.swapped => self.restore(&work, marker).await,
                marker => {
                    let mine = std::mem::take(&mut self.made_side);
                    work.tidy(marker.is_some() || mine).await;
                    Ok(Step::Ready)
                }
            },
            Some((Layout::Foreign(keys), _)) => Ok(work.refuse(words::foreign_main(core, &keys))),
            Some((Layout::Legacy, Life::Active)) => self.convert(&work).await,
            Some(_) => Ok(Step::Wait(LOOK_EVERY)),
            None => match work.our_side().await? {
                Some(marker) => self.make_again(&work, marker).await,
                None => work.make_first().await,
            },
        }
    }

    /// The main table is legacy.
    async fn convert(&mut self, work: &Work<'_>) -> Result<Step, Trouble> {
        let core = work.core;
        let leases = work.leases(None).await?;
        let sorted = lease::sort(leases.clone(), work.scene.stream);
        if let Some(text) = words::not_ours(core, &sorted, work.scene.shards) {
            return Ok(work.refuse(text));
        }
        let side = match work.look(Which::Side).await? {
            None => None,
            Some((Layout::Current, Life::Active)) => Some(work.side().await?),
            Some((Layout::Current, _)) => return Ok(Step::Wait(LOOK_EVERY)),
            Some(_) => return Ok(work.refuse(words::foreign_side(core, "it has other keys"))),
        };
        if let Some(why) = side.as_ref().and_then(Side::foreign) {
            return Ok(work.refuse(words::foreign_side(core, &why)));
        }
        if !self.is_quiet(&leases) {
            core.messages.say(Level::Warn, "migration/busy", words::busy(core, &leases));
            return Ok(Step::Wait(LOOK_EVERY));
        }
        let Some(side) = side else {
            work.call("CreateTable", core.migration.make(Which::Side)).await?;
            self.made_side = true;
            core.messages.once(Level::Info, words::begins(core, sorted.ours.len()));
            return Ok(Step::Wait(LOOK_EVERY));
        };
        let Some(lock) = self.lock(work, side.marker.as_ref()).await? else {
            return Ok(Step::Wait(LOOK_EVERY));
        };
        let frame = lease::Frame {
            stream: work.scene.stream,
            shards: work.scene.shards,
            initial: core.config.initial_position,
        };
        let wanted = lease::rows(&sorted.ours, &frame);
        if !work.fill(Which::Side, &lock, &wanted, stream_row(&sorted, &frame), &side.rows).await? {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        let written = work.side().await?;
        let again = work.leases(Some(&lock)).await?;
        if again != leases || wanted.iter().any(|(id, row)| !same(row, written.rows.shards.get(id))) {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        if written.foreign().is_some()
            || !work.call("UpdateItem", core.migration.complete(&lock, wanted.len(), work.now())).await?
        {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        words::earlier(core, &sorted);
        words::timestamps(core, &sorted);
        work.delete(Which::Main, &lock, &Layout::Legacy).await
    }

    /// The main table is gone; the side table has its rows.
    async fn make_again(&mut self, work: &Work<'_>, marker: Marker) -> Result<Step, Trouble> {
        if self.lock(work, Some(&marker)).await?.is_none() {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        if !marker.complete {
            work.core.messages.once(Level::Warn, words::incomplete(work.core));
        }
        work.call("CreateTable", work.core.migration.make(Which::Main)).await?;
        Ok(Step::Wait(LOOK_EVERY))
    }

    /// The main table is new; the side table may have rows that it lacks.
    async fn restore(&mut self, work: &Work<'_>, marker: Marker) -> Result<Step, Trouble> {
        let core = work.core;
        let Some(lock) = self.lock(work, Some(&marker)).await? else { return Ok(Step::Wait(LOOK_EVERY)) };
        let side = work.side().await?;
        let there = work.call("Query", core.migration.main()).await?;
        let missing: BTreeMap<ShardId, ShardRow> = (side.rows.shards.iter())
            .filter(|(id, row)| !covers(there.shards.get(*id), row))
            .map(|(id, row)| (id.clone(), ahead(row, there.shards.get(id))))
            .collect();
        // Just after a table was made anew the service may still judge a write by the keys of the old one; the step is
        // repeated until it does not.
        if !work.fill(Which::Main, &lock, &missing, side.rows.stream, &there).await? {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        let there = work.call("Query", core.migration.main()).await?;
        let all = side.rows.shards.iter().all(|(id, row)| covers(there.shards.get(id), row));
        if !all || !work.call("UpdateItem", core.migration.swapped(&lock, work.now())).await? {
            return Ok(Step::Wait(LOOK_EVERY));
        }
        core.messages.once(Level::Info, words::done(core, &side.rows));
        work.tidy(true).await;
        Ok(Step::Ready)
    }

    /// Nobody renewed a lease for a while.
    fn is_quiet(&mut self, leases: &[Lease]) -> bool {
        let print: HashMap<String, Option<u64>> =
            leases.iter().map(|lease| (lease.key.clone(), lease.counter)).collect();
        if leases.iter().all(|lease| lease.owner.is_none()) {
            return true;
        }
        match &self.leases {
            Some((seen, since)) if *seen == print => since.elapsed() >= QUIET,
            _ => {
                self.leases = Some((print, Instant::now()));
                false
            }
        }
    }

    /// The lock, if it is ours or could be taken.
    async fn lock(&mut self, work: &Work<'_>, marker: Option<&Marker>) -> Result<Option<Lock>, Trouble> {
        let (core, me) = (work.core, work.core.me.owner.as_str());
        let holder = marker.and_then(|m| m.owner.clone().or(m.migrator.clone()));
        let first = self.first_holder.get_or_insert_with(|| holder.clone()).clone();
        if let Some(marker) = marker.filter(|m| m.owner.as_deref() == Some(me)) {
            let lock = Lock { owner: me.to_owned(), epoch: marker.epoch.unwrap_or(0) };
            return Ok(work.alive(&lock).await?.then_some(lock));
        }
        // A process that ran under our Node Id before is gone; see `Observed::inherited`.
        let inherited = holder == first && holder.as_deref().is_some_and(|h| core.me.is_earlier_self(h));
        let idle = marker.is_some_and(|m| m.complete && m.owner.is_none());
        if holder.is_some() && !idle && !inherited && !self.is_abandoned(marker) {
            return Ok(None);
        }
        work.call("UpdateItem", core.migration.take(marker, me, work.now())).await?;
        // Whether it was taken is seen by the next look, which also understands an answer that was lost.
        let marker = work.call("GetItem", core.migration.marker()).await?;
        let ours = marker.filter(|m| m.owner.as_deref() == Some(me));
        Ok(ours.map(|m| Lock { owner: me.to_owned(), epoch: m.epoch.unwrap_or(0) }))
    }

    fn is_abandoned(&mut self, marker: Option<&Marker>) -> bool {
        let Some(marker) = marker else { return false };
        match &self.lock {
            Some((seen, since)) if seen == marker => {
                let patience = if marker.beats.is_some() { PATIENCE } else { PATIENCE_WITH_OTHERS };
                since.elapsed() >= patience
            }
            _ => {
                self.lock = Some((marker.clone(), Instant::now()));
                false
            }
        }
    }
}

/// When the library has read any shard, one without a lease is new and starts at its beginning.
fn stream_row(sorted: &lease::Sorted, frame: &lease::Frame<'_>) -> Option<StreamRow> {
    let row = StreamRow { anchor: Anchor::TrimHorizon, created: frame.stream.created };
    (!sorted.ours.is_empty()).then_some(row)
}

/// The side table's row says what the lease says. A beginning that was decided before stays.
fn same(wanted: &ShardRow, written: Option<&ShardRow>) -> bool {
    written.is_some_and(|w| {
        (wanted.sequence.is_none() || (w.sequence == wanted.sequence && w.padded == wanted.padded))
            && (wanted.sequence.is_none() || w.sub_sequence == wanted.sub_sequence)
            && (wanted.anchor.is_none() || w.anchor.is_some())
            && (w.ended || !wanted.ended)
            && w.created.is_some()
    })
}

/// The main table's row is not behind the side table's.
fn covers(main: Option<&ShardRow>, side: &ShardRow) -> bool {
    main.is_some_and(|m| {
        let (done, wanted) = (m.done().map(|d| d.position), side.done().map(|d| d.position));
        done >= wanted && (m.ended || !side.ended) && (m.anchor.is_some() || side.anchor.is_none())
    })
}

/// What of the side table's row the main table's lacks: never a position behind its own.
fn ahead(side: &ShardRow, main: Option<&ShardRow>) -> ShardRow {
    let mut row = side.clone();
    if main.is_some_and(|m| m.done().map(|d| d.position) >= side.done().map(|d| d.position)) {
        (row.sequence, row.padded, row.sub_sequence) = (None, None, None);
    }
    row
}
