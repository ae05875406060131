//! The parts a step of a migration is made of.

use super::tables::{Copy, Layout, Life, Lock, Look, Marker, Side, Which};
use super::{Lease, Scene, Step, same, words};
use crate::api::{Answer, ShardId};
use crate::core::{Core, within};
use crate::store::{Rows, ShardRow, StreamRow};
use crate::trouble::{Kind, Service, Trouble};
use bulletin::Level;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two looks at a table in transition, or at what another node does.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause between two looks at something only a person can change.
const LOOK_AT_TROUBLE: Duration = Duration::from_secs(10);
/// A table is deleted at most this long after the lock was confirmed.
const CONFIRMED: Duration = Duration::from_secs(5);
/// Rows written between two signs of life.
const CHUNK: usize = 64;
/// Writes under way at once.
const CONCURRENT: usize = 16;

/// One step: everything it needs at hand.
pub(super) struct Work<'a> {
    pub(super) core: &'a Core,
    pub(super) scene: &'a Scene<'a>,
}

impl Work<'_> {
    pub(super) fn now(&self) -> i64 {
        self.core.clock.wall_ms()
    }

    pub(super) async fn call<T>(&self, operation: &'static str, call: Answer<'_, T>) -> Result<T, Trouble> {
        within(self.scene.limit, Service::DynamoDb, operation, call).await
    }

    pub(super) async fn look(&self, which: Which) -> Result<Look, Trouble> {
        let look = self.call("DescribeTable", self.core.migration.look(which)).await;
        if which == Which::Main && look.is_ok() {
            self.core.works(Service::DynamoDb);
        }
        look
    }

    /// The marker of an unfinished migration of our stream. Without permission on the side table there is none: the
    /// permission may be left out when there never was a legacy table.
    pub(super) async fn our_side(&self) -> Result<Option<Marker>, Trouble> {
        match self.look(Which::Side).await {
            Ok(Some((Layout::Current, Life::Active))) => {
                self.call("GetItem", self.core.migration.marker()).await
            }
            Ok(_) => Ok(None),
            Err(trouble) if trouble.kind == Kind::Denied => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn side(&self) -> Result<Side, Trouble> {
        self.call("Scan", self.core.migration.side()).await
    }

    /// All items of the legacy table, in the order of their keys.
    pub(super) async fn leases(&self, lock: Option<&Lock>) -> Result<Vec<Lease>, Trouble> {
        let (mut leases, mut from) = (Vec::new(), None);
        loop {
            let (page, next) = self.call("Scan", self.core.migration.leases(from)).await?;
            leases.extend(page);
            from = next;
            if from.is_none() {
                leases.sort_by(|a: &Lease, b| a.key.cmp(&b.key));
                return Ok(leases);
            }
            if let Some(lock) = lock {
                self.alive(lock).await?;
            }
        }
    }

    pub(super) async fn alive(&self, lock: &Lock) -> Result<bool, Trouble> {
        self.call("UpdateItem", self.core.migration.beat(lock, self.now())).await
    }

    pub(super) fn refuse(&self, text: String) -> Step {
        self.core.messages.say(Level::Error, "table/layout", text);
        Step::Wait(LOOK_AT_TROUBLE)
    }

    pub(super) async fn make_first(&self) -> Result<Step, Trouble> {
        self.call("CreateTable", self.core.migration.make(Which::Main)).await?;
        self.core.messages.once(
            Level::Info,
            format!("Created table \"{}\" for the positions.", self.core.config.application_name),
        );
        Ok(Step::Wait(LOOK_EVERY))
    }

    /// Writes what `there` lacks. `false`: the lock was lost.
    pub(super) async fn fill(
        &self,
        which: Which,
        lock: &Lock,
        wanted: &BTreeMap<ShardId, ShardRow>,
        stream: Option<StreamRow>,
        there: &Rows,
    ) -> Result<bool, Trouble> {
        let store = &self.core.migration;
        if let Some(row) = stream.filter(|_| there.stream.is_none()) {
            self.call("UpdateItem", store.copy_stream(which, row)).await?;
        }
        let copies: Vec<Copy> = (wanted.iter())
            .filter(|(id, row)| !same(row, there.shards.get(*id)))
            .map(|(id, row)| {
                let seen = there.shards.get(id).and_then(|r| r.sequence.clone());
                Copy { shard: id.clone(), row: row.clone(), seen }
            })
            .collect();
        for chunk in copies.chunks(CHUNK) {
            let writes =
                chunk.iter().map(|copy| self.call("UpdateItem", store.copy(which, copy, self.now())));
            let mut writes = futures::stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(CONCURRENT);
            while let Some(written) = writes.next().await {
                written?;
            }
            if !self.alive(lock).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes a table that still has this layout, a moment after the lock was confirmed.
    pub(super) async fn delete(&self, which: Which, lock: &Lock, layout: &Layout) -> Result<Step, Trouble> {
        let asked = Instant::now();
        let alive = self.alive(lock).await?;
        let look = self.look(which).await?;
        if alive && look.is_some_and(|(l, _)| l == *layout) && asked.elapsed() < CONFIRMED {
            self.call("DeleteTable", self.core.migration.unmake(which)).await?;
        }
        Ok(Step::Wait(LOOK_EVERY))
    }

    /// Deletes the side table when `ours` and nothing else is in it. The main table can be used whatever comes of it.
    pub(super) async fn tidy(&self, ours: bool) {
        if !ours {
            return;
        }
        let core = self.core;
        let deleted = async {
            let Some((Layout::Current, Life::Active)) = self.look(Which::Side).await? else { return Ok(()) };
            if let Some(why) = self.side().await?.foreign() {
                core.messages.once(Level::Warn, words::side_stays(core, &why));
                return Ok(());
            }
            self.call("DeleteTable", core.migration.unmake(Which::Side)).await
        };
        if let Err(trouble) = deleted.await {
            let trouble: Trouble = trouble;
            core.messages.once(Level::Warn, words::side_stays(core, &trouble.explain(&core.place)));
        }
    }
}
