//! The checkpoint table in memory. What its conditions mean is tested against DynamoDB's own grammar in
//! `tests/local_cloud.rs`.

use super::FaultPlan;
use super::migration::Tables;
use crate::api::{Answer, ShardId};
use crate::migration::Layout;
use crate::plan::LEASE;
use crate::shard::lock;
use crate::store::{Checkpoint, Claim, Holder, LeaseStore, NodeRow, Rows, ShardRow, StreamRow, TableState};
use crate::trouble::{Kind, Service, Trouble};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(super) struct Data {
    pub(super) rows: Rows,
    pub(super) exists: bool,
    /// Stored positions of every shard in the order of writing.
    history: Vec<(ShardId, String)>,
}

/// One node's client of the table; clones of the table share the rows, each with faults of its own.
#[derive(Clone, Default)]
pub(crate) struct FakeStore {
    data: Arc<Mutex<Data>>,
    tables: Arc<Mutex<Tables>>,
    pub(crate) faults: FaultPlan,
}

impl FakeStore {
    /// Another node's client of the same table.
    pub(crate) fn for_node(&self) -> Self {
        Self { data: self.data.clone(), tables: self.tables.clone(), faults: FaultPlan::default() }
    }

    pub(crate) fn rows_now(&self) -> Rows {
        lock(&self.data).rows.clone()
    }

    pub(crate) fn shard(&self, shard: &str) -> ShardRow {
        lock(&self.data).rows.shards.get(shard).cloned().unwrap_or_default()
    }

    /// Changes rows as another program would.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Rows)) {
        if !self.exists() {
            self.set_main(Some(Layout::Current));
        }
        change(&mut lock(&self.data).rows);
    }

    /// Whether there are rows to read, and everything about the two tables.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut bool, &mut Tables) -> T) -> T {
        work(&mut lock(&self.data).exists, &mut lock(&self.tables))
    }

    /// A call of a migration.
    pub(super) async fn migrating<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Data, &mut Tables) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let (data, tables) = (self.data.clone(), self.tables.clone());
        let work = move || work(&mut lock(&data), &mut lock(&tables));
        self.faults.around(Service::DynamoDb, operation, work).await
    }

    pub(crate) fn exists(&self) -> bool {
        lock(&self.data).exists
    }

    /// Stored positions of a shard in the order of writing.
    pub(crate) fn history(&self, shard: &str) -> Vec<String> {
        let data = lock(&self.data);
        data.history.iter().filter(|(s, _)| &**s == shard).map(|(_, p)| p.clone()).collect()
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Data) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let data = self.data.clone();
        self.faults
            .around(Service::DynamoDb, operation, move || {
                let mut data = lock(&data);
                if !data.exists && !matches!(operation, "table" | "create") {
                    return Err(Trouble::new(Service::DynamoDb, operation, Kind::NotFound, "no table"));
                }
                work(&mut data)
            })
            .await
    }
}

fn holds(row: Option<&ShardRow>, holder: &Holder) -> bool {
    row.is_some_and(|r| r.owner.as_deref() == Some(holder.owner.as_str()) && r.counter == Some(holder.epoch))
}

fn lease_end(now_ms: i64) -> i64 {
    now_ms + i64::try_from(LEASE.as_millis()).unwrap()
}

fn claimed(data: &mut Data, claim: &Claim, now_ms: i64) -> Option<ShardRow> {
    let old = data.rows.shards.get(&claim.shard).cloned().unwrap_or_default();
    if old.print() != claim.seen {
        return None;
    }
    let mut row = if claim.reset {
        ShardRow { counter: old.counter, renewals: old.renewals, ..ShardRow::default() }
    } else {
        old
    };
    row.owner = Some(claim.owner.clone());
    (row.expiry, row.updated) = (Some(lease_end(now_ms)), Some(now_ms));
    row.counter = Some(row.counter.unwrap_or(0) + 1);
    if claim.store_anchor {
        row.anchor.get_or_insert(claim.anchor);
    }
    row.lineage.get_or_insert(claim.lineage.clone());
    row.created.get_or_insert(claim.created);
    if let Some(done) = &claim.repair {
        row.padded = Some(done.position.padded());
        row.sub_sequence = row.sub_sequence.filter(|_| done.within_record);
    }
    data.rows.shards.insert(claim.shard.clone(), row.clone());
    Some(row)
}

fn checkpointed(data: &mut Data, holder: &Holder, checkpoint: &Checkpoint, now_ms: i64) -> bool {
    let Some(row) = data.rows.shards.get_mut(&holder.shard) else { return false };
    if !holds(Some(row), holder) {
        return false;
    }
    if let Some(done) = &checkpoint.done {
        let padded = done.position.padded();
        if row.padded.as_ref().is_some_and(|p| *p > padded) {
            return false;
        }
        row.sequence = Some(done.position.sequence.clone());
        row.sub_sequence = done.within_record.then_some(done.position.sub_sequence);
        row.padded = Some(padded.clone());
        data.history.push((holder.shard.clone(), padded));
    }
    row.last_row = Some(checkpoint.last_row.clone());
    row.ended |= checkpoint.ended;
    (row.expiry, row.updated) = (Some(lease_end(now_ms)), Some(now_ms));
    row.renewals = Some(row.renewals.unwrap_or(0) + 1);
    true
}

impl LeaseStore for FakeStore {
    fn table(&self) -> Answer<'_, TableState> {
        Box::pin(
            self.call("table", |data| Ok(if data.exists { TableState::Ready } else { TableState::Missing })),
        )
    }

    fn rows(&self) -> Answer<'_, Rows> {
        Box::pin(self.call("rows", |data| Ok(data.rows.clone())))
    }

    fn row<'a>(&'a self, shard: &'a str) -> Answer<'a, Option<ShardRow>> {
        Box::pin(self.call("row", move |data| Ok(data.rows.shards.get(shard).cloned())))
    }

    fn decide(&self, decision: StreamRow) -> Answer<'_, StreamRow> {
        Box::pin(self.call("decide", move |data| {
            let stays = data.rows.stream.filter(|s| s.created >= decision.created);
            Ok(*data.rows.stream.insert(stays.unwrap_or(decision)))
        }))
    }

    fn skip<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()> {
        Box::pin(self.call("skip", move |data| {
            data.rows.shards.entry(shard.into()).or_insert_with(|| ShardRow {
                ended: true,
                skipped: true,
                anchor: Some(decision.anchor),
                created: Some(decision.created),
                ..ShardRow::default()
            });
            Ok(())
        }))
    }

    fn begin<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()> {
        Box::pin(self.call("begin", move |data| {
            let row = data.rows.shards.entry(shard.into()).or_default();
            if row.anchor.is_none() && row.sequence.is_none() {
                row.anchor = Some(decision.anchor);
                row.created.get_or_insert(decision.created);
            }
            Ok(())
        }))
    }

    fn beat<'a>(&'a self, key: &'a str, node: &'a str, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.call("beat", move |data| {
            let row = data.rows.nodes.entry(key.to_owned()).or_default();
            let ours = row.name.as_deref().is_none_or(|name| name == node);
            if ours {
                *row = NodeRow { heartbeat: Some(now_ms), name: Some(node.to_owned()) };
            }
            Ok(ours)
        }))
    }

    fn adopt<'a>(&'a self, key: &'a str, seen: &'a NodeRow, node: &'a str, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.call("adopt", move |data| {
            let row = data.rows.nodes.entry(key.to_owned()).or_default();
            let unchanged = row == seen;
            if unchanged {
                *row = NodeRow { heartbeat: Some(now_ms), name: Some(node.to_owned()) };
            }
            Ok(unchanged)
        }))
    }

    fn retire<'a>(&'a self, key: &'a str, node: &'a str) -> Answer<'a, ()> {
        Box::pin(self.call("retire", move |data| {
            let row = data.rows.nodes.entry(key.to_owned()).or_default();
            if row.name.as_deref().is_none_or(|name| name == node) {
                row.heartbeat = None;
            }
            Ok(())
        }))
    }

    fn acquire<'a>(&'a self, claim: &'a Claim, now_ms: i64) -> Answer<'a, Option<ShardRow>> {
        Box::pin(self.call("acquire", move |data| Ok(claimed(data, claim, now_ms))))
    }

    fn renew<'a>(&'a self, holder: &'a Holder, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.call("renew", move |data| {
            let Some(row) = data.rows.shards.get_mut(&holder.shard) else { return Ok(false) };
            let ours = holds(Some(row), holder);
            if ours {
                (row.expiry, row.updated) = (Some(lease_end(now_ms)), Some(now_ms));
                row.renewals = Some(row.renewals.unwrap_or(0) + 1);
            }
            Ok(ours)
        }))
    }

    fn checkpoint<'a>(
        &'a self,
        holder: &'a Holder,
        checkpoint: &'a Checkpoint,
        now_ms: i64,
    ) -> Answer<'a, bool> {
        Box::pin(self.call("checkpoint", move |data| Ok(checkpointed(data, holder, checkpoint, now_ms))))
    }

    fn release<'a>(&'a self, holder: &'a Holder) -> Answer<'a, bool> {
        Box::pin(self.call("release", move |data| {
            let Some(row) = data.rows.shards.get_mut(&holder.shard) else { return Ok(false) };
            let ours = holds(Some(row), holder);
            if ours {
                (row.owner, row.expiry) = (None, None);
            }
            Ok(ours)
        }))
    }
}
