//! The two tables of a migration in memory. What the conditions mean is tested against DynamoDB's own grammar in
//! `tests/migration.rs`.

use super::FakeStore;
use crate::api::Answer;
use crate::migration::{Copy, Layout, Lease, Life, Lock, Look, Marker, MigrationStore, Side, Which};
use crate::store::{Rows, StreamRow};
use crate::trouble::{Kind, Service, Trouble};
use std::time::Duration;
use tokio::time::Instant;

/// How long tables are CREATING and DELETING.
const TRANSITION: Duration = Duration::from_secs(2);
/// Leases a page of a scan.
const PAGE: usize = 30;

/// A table's life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableLife {
    layout: Layout,
    /// `None`: long ago.
    created: Option<Instant>,
    deleted: Option<Instant>,
}

impl TableLife {
    fn new(layout: Layout) -> Self {
        Self { layout, created: Some(Instant::now()), deleted: None }
    }

    fn old(layout: Layout) -> Self {
        Self { layout, created: None, deleted: None }
    }

    fn gone(&self) -> bool {
        self.deleted.is_some_and(|at| at.elapsed() >= TRANSITION)
    }

    fn look(&self) -> Look {
        let life = match self.deleted {
            Some(_) if self.gone() => return None,
            Some(_) => Life::Deleting,
            None if self.created.is_some_and(|c| c.elapsed() < TRANSITION) => Life::Creating,
            None => Life::Active,
        };
        Some((self.layout.clone(), life))
    }
}

/// What a migration needs besides the rows.
#[derive(Default)]
pub(crate) struct Tables {
    main: Option<TableLife>,
    side: Option<TableLife>,
    leases: Vec<Lease>,
    side_rows: Side,
    /// Writes to a table of the same name are refused for this long after it was made again.
    stale_keys: Duration,
    /// Tables deleted, in order.
    deleted: Vec<Which>,
}

impl Tables {
    fn table(&mut self, which: Which) -> &mut Option<TableLife> {
        match which {
            Which::Main => &mut self.main,
            Which::Side => &mut self.side,
        }
    }

    fn active(&mut self, which: Which, operation: &'static str) -> Result<(), Trouble> {
        match self.table(which).as_ref().and_then(TableLife::look) {
            Some((Layout::Current, Life::Active)) => Ok(()),
            _ => Err(trouble(operation, Kind::NotFound, "no such table")),
        }
    }

    fn holds(&self, lock: &Lock) -> bool {
        let marker = self.side_rows.marker.as_ref();
        marker.is_some_and(|m| m.owner.as_deref() == Some(&*lock.owner) && m.epoch == Some(lock.epoch))
    }
}

fn trouble(operation: &'static str, kind: Kind, text: &str) -> Trouble {
    Trouble::new(Service::DynamoDb, operation, kind, text)
}

impl FakeStore {
    /// The main table is the library's.
    pub(crate) fn set_leases(&self, leases: Vec<Lease>) {
        self.with(|_, tables| {
            tables.main = Some(TableLife::old(Layout::Legacy));
            tables.leases = leases;
        });
    }

    /// Changes the leases as a worker of the library would.
    pub(crate) fn edit_leases(&self, change: impl FnOnce(&mut Vec<Lease>)) {
        self.with(|_, tables| change(&mut tables.leases));
    }

    /// There is a side table with this in it.
    pub(crate) fn set_side(&self, layout: Layout, side: Side) {
        self.with(|_, tables| {
            tables.side = Some(TableLife::old(layout));
            tables.side_rows = side;
        });
    }

    /// The main table's layout by its keys.
    pub(crate) fn set_main(&self, layout: Option<Layout>) {
        self.with(|exists, tables| {
            *exists = layout == Some(Layout::Current);
            tables.main = layout.map(TableLife::old);
        });
    }

    /// After a table is made again, writes to it fail for this long.
    pub(crate) fn set_stale_keys(&self, time: Duration) {
        self.with(|_, tables| tables.stale_keys = time);
    }

    pub(crate) fn side_exists(&self) -> bool {
        self.with(|_, tables| tables.side.as_ref().and_then(TableLife::look).is_some())
    }

    pub(crate) fn main_layout(&self) -> Look {
        self.with(|_, tables| tables.main.as_ref().and_then(TableLife::look))
    }

    pub(crate) fn side_now(&self) -> Side {
        self.with(|_, tables| tables.side_rows.clone())
    }

    /// Tables deleted so far.
    pub(crate) fn deleted(&self) -> Vec<Which> {
        self.with(|_, tables| tables.deleted.clone())
    }

    fn on_marker(
        &self,
        operation: &'static str,
        lock: &Lock,
        now_ms: i64,
        change: impl FnOnce(&mut Marker) + Send + 'static,
    ) -> Answer<'_, bool> {
        let lock = lock.clone();
        Box::pin(self.migrating(operation, move |_, tables| {
            tables.active(Which::Side, operation)?;
            if !tables.holds(&lock) {
                return Ok(false);
            }
            if let Some(marker) = &mut tables.side_rows.marker {
                (marker.started, marker.beats) = (Some(now_ms), Some(marker.beats.unwrap_or(0) + 1));
                change(marker);
            }
            Ok(true)
        }))
    }
}

fn written(rows: &mut Rows, copy: &Copy, now_ms: i64) -> bool {
    if rows.shards.get(&copy.shard).and_then(|r| r.sequence.clone()) != copy.seen {
        return false;
    }
    let row = rows.shards.entry(copy.shard.clone()).or_default();
    if copy.row.sequence.is_some() {
        row.sequence.clone_from(&copy.row.sequence);
        row.padded.clone_from(&copy.row.padded);
        row.sub_sequence = copy.row.sub_sequence;
    }
    row.anchor = row.anchor.or(copy.row.anchor);
    row.ended |= copy.row.ended;
    row.created = row.created.or(copy.row.created);
    row.updated = Some(now_ms);
    true
}

impl MigrationStore for FakeStore {
    fn look(&self, which: Which) -> Answer<'_, Look> {
        let operation = if which == Which::Main { "table" } else { "side" };
        Box::pin(self.migrating(operation, move |_, tables| {
            let table = tables.table(which);
            if table.as_ref().is_some_and(TableLife::gone) {
                *table = None;
            }
            Ok(table.as_ref().and_then(TableLife::look))
        }))
    }

    fn make(&self, which: Which) -> Answer<'_, ()> {
        let operation = if which == Which::Main { "create" } else { "create-side" };
        Box::pin(self.migrating(operation, move |data, tables| {
            let table = tables.table(which);
            if table.as_ref().and_then(TableLife::look).is_none() {
                *table = Some(TableLife::new(Layout::Current));
                match which {
                    Which::Main => {
                        (data.exists, data.rows) = (true, Rows::default());
                    }
                    Which::Side => tables.side_rows = Side::default(),
                }
            }
            Ok(())
        }))
    }

    fn unmake(&self, which: Which) -> Answer<'_, ()> {
        let operation = if which == Which::Main { "delete" } else { "delete-side" };
        Box::pin(self.migrating(operation, move |data, tables| {
            if let Some(table) = tables.table(which).as_mut().filter(|t| t.deleted.is_none()) {
                table.deleted = Some(Instant::now());
                tables.deleted.push(which);
                match which {
                    Which::Main => {
                        tables.leases.clear();
                        (data.exists, data.rows) = (false, Rows::default());
                    }
                    Which::Side => tables.side_rows = Side::default(),
                }
            }
            Ok(())
        }))
    }

    fn leases(&self, from: Option<String>) -> Answer<'_, (Vec<Lease>, Option<String>)> {
        Box::pin(self.migrating("leases", move |_, tables| {
            match tables.main.as_ref().and_then(TableLife::look) {
                Some((Layout::Legacy, Life::Active)) => {}
                _ => return Err(trouble("leases", Kind::NotFound, "no such table")),
            }
            let from: usize = from.map_or(0, |f| f.parse().unwrap());
            let to = (from + PAGE).min(tables.leases.len());
            let next = (to < tables.leases.len()).then(|| to.to_string());
            Ok((tables.leases[from..to].to_vec(), next))
        }))
    }

    fn marker(&self) -> Answer<'_, Option<Marker>> {
        Box::pin(self.migrating("marker", |_, tables| {
            tables.active(Which::Side, "marker")?;
            Ok(tables.side_rows.marker.clone())
        }))
    }

    fn side(&self) -> Answer<'_, Side> {
        Box::pin(self.migrating("side-rows", |_, tables| {
            tables.active(Which::Side, "side-rows")?;
            Ok(tables.side_rows.clone())
        }))
    }

    fn main(&self) -> Answer<'_, Rows> {
        Box::pin(self.migrating("main-rows", |data, tables| {
            tables.active(Which::Main, "main-rows")?;
            Ok(data.rows.clone())
        }))
    }

    fn take<'a>(&'a self, seen: Option<&'a Marker>, owner: &'a str, now_ms: i64) -> Answer<'a, bool> {
        let (seen, owner) = (seen.cloned(), owner.to_owned());
        Box::pin(self.migrating("take", move |_, tables| {
            tables.active(Which::Side, "take")?;
            if tables.side_rows.marker != seen {
                return Ok(false);
            }
            let marker = tables.side_rows.marker.get_or_insert_default();
            (marker.owner, marker.migrator) = (Some(owner.clone()), Some(owner));
            marker.started = Some(now_ms);
            marker.epoch = Some(marker.epoch.unwrap_or(0) + 1);
            marker.beats = Some(marker.beats.unwrap_or(0) + 1);
            Ok(true)
        }))
    }

    fn beat<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool> {
        self.on_marker("lock-beat", lock, now_ms, |_| {})
    }

    fn complete<'a>(&'a self, lock: &'a Lock, _: usize, now_ms: i64) -> Answer<'a, bool> {
        self.on_marker("complete", lock, now_ms, |marker| marker.complete = true)
    }

    fn swapped<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool> {
        self.on_marker("swapped", lock, now_ms, |marker| marker.swapped = true)
    }

    fn copy<'a>(&'a self, which: Which, copy: &'a Copy, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.migrating("copy", move |data, tables| {
            tables.active(which, "copy")?;
            let age = tables.table(which).as_ref().and_then(|t| t.created).map(|c| c.elapsed());
            match which {
                Which::Main if age.is_some_and(|a| a < tables.stale_keys) => {
                    Err(trouble("copy", Kind::Invalid, "The provided key element does not match the schema"))
                }
                Which::Main => Ok(written(&mut data.rows, copy, now_ms)),
                Which::Side => Ok(written(&mut tables.side_rows.rows, copy, now_ms)),
            }
        }))
    }

    fn copy_stream(&self, which: Which, row: StreamRow) -> Answer<'_, ()> {
        Box::pin(self.migrating("copy-stream", move |data, tables| {
            tables.active(which, "copy-stream")?;
            let rows = if which == Which::Main { &mut data.rows } else { &mut tables.side_rows.rows };
            rows.stream.get_or_insert(row);
            Ok(())
        }))
    }
}
