//! A migration's calls through the AWS SDK. Only actions of the documented least-privilege policy are used.

use super::lease::Lease;
use super::tables::{Copy, Layout, Life, Lock, Look, Marker, MigrationStore, Side, Which};
use crate::api::Answer;
use crate::dynamo::{self, Table};
use crate::item::{self, Item, n, s};
use crate::store::{LeaseStore, Rows, StreamRow, TableState};
use crate::trouble::{Kind, Service, Trouble, from_sdk};
use crate::update::Update;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{AttributeValue, TableStatus};

const KEY: &str = "leaseKey";
const COMPLETE: &str = "COMPLETE";

impl Table {
    fn called(&self, which: Which) -> String {
        match which {
            Which::Main => self.name().to_owned(),
            Which::Side => format!("{}_migration", self.name()),
        }
    }

    async fn look_at(&self, table: &str) -> Result<Look, Trouble> {
        let client = self.clients.dynamodb().await;
        let answer = match client.describe_table().table_name(table).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let trouble = from_sdk(Service::DynamoDb, "DescribeTable", &error).on(table);
                return if trouble.kind == Kind::NotFound { Ok(None) } else { Err(trouble) };
            }
        };
        let Some(description) = answer.table() else { return Ok(None) };
        let life = match description.table_status() {
            Some(TableStatus::Active | TableStatus::Updating) => Life::Active,
            Some(TableStatus::Deleting) => Life::Deleting,
            _ => Life::Creating,
        };
        let layout = match dynamo::state(description) {
            TableState::Legacy => Layout::Legacy,
            TableState::Foreign(keys) => Layout::Foreign(keys),
            _ => Layout::Current,
        };
        Ok(Some((layout, life)))
    }

    async fn delete(&self, table: &str) -> Result<(), Trouble> {
        let client = self.clients.dynamodb().await;
        // One attempt: a repetition could reach a table that another node has made meanwhile.
        let once = aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = client.delete_table().table_name(table).customize().config_override(once).send().await;
        match answer.map_err(|e| from_sdk(Service::DynamoDb, "DeleteTable", &e).on(table)) {
            Err(trouble) if matches!(trouble.kind, Kind::NotFound | Kind::InUse) => Ok(()),
            Err(trouble) => Err(trouble),
            Ok(_) => Ok(()),
        }
    }

    /// One page of a scan.
    async fn page(&self, table: &str, from: Option<Item>) -> Result<(Vec<Item>, Option<Item>), Trouble> {
        let client = self.clients.dynamodb().await;
        let scan = client.scan().table_name(table).consistent_read(true).set_exclusive_start_key(from);
        let answer = scan.send().await.map_err(|e| from_sdk(Service::DynamoDb, "Scan", &e).on(table))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    async fn lease_page(&self, from: Option<String>) -> Result<(Vec<Lease>, Option<String>), Trouble> {
        let from = from.map(|key| Item::from([(KEY.to_owned(), s(key))]));
        let (items, next) = self.page(self.name(), from).await?;
        let next = next.and_then(|key| item::text(&key, KEY).map(str::to_owned));
        Ok((items.iter().map(lease).collect(), next))
    }

    async fn whole_side(&self) -> Result<Side, Trouble> {
        let (mut side, mut from) = (Side::default(), None);
        let stream = self.clients.config.stream_name.as_str();
        loop {
            let (items, next) = self.page(&self.called(Which::Side), from).await?;
            for item in &items {
                match item::text(item, item::STREAM) {
                    Some(name) if name == stream => {
                        if item::text(item, item::SHARD) == Some(item::MIGRATION) {
                            side.marker = Some(marker(item));
                        }
                        dynamo::sort_in(item, &mut side.rows);
                    }
                    name => {
                        side.others.insert(name.unwrap_or("unknown streams").to_owned());
                    }
                }
            }
            from = next;
            if from.is_none() {
                return Ok(side);
            }
        }
    }

    async fn change(&self, which: Which, sort: &str, update: Update) -> Result<bool, Trouble> {
        let table = self.called(which);
        let changed = self.update_in(&table, sort, update).await;
        changed.map(|item| item.is_some()).map_err(|trouble| trouble.on(&table))
    }
}

fn lease(item: &Item) -> Lease {
    let text = |name| item::text(item, name).map(str::to_owned);
    Lease {
        key: text(KEY).unwrap_or_default(),
        owner: text("leaseOwner"),
        counter: item::number(item, "leaseCounter"),
        checkpoint: text("checkpoint"),
        sub_sequence: item::number(item, "checkpointSubSequenceNumber"),
        entity: text("entityType"),
    }
}

fn marker(item: &Item) -> Marker {
    let text = |name| item::text(item, name).map(str::to_owned);
    Marker {
        complete: item::text(item, "migrationStatus") == Some(COMPLETE),
        migrator: text("migrationOwner"),
        owner: text("renameOwner"),
        started: item::number(item, "renameStartedAt"),
        epoch: item::number(item, "migrationEpoch"),
        beats: item::number(item, "migrationBeats"),
        swapped: item::flag(item, "tableSwapped"),
    }
}

fn take_update(seen: Option<&Marker>, owner: &str, now_ms: i64) -> Update {
    let update = fresh(Update::new(), now_ms)
        .set("renameOwner", s(owner))
        .set("migrationOwner", s(owner))
        .set_once("migrationStartedAt", n(now_ms))
        .set_once("migrationStatus", s("IN_PROGRESS"))
        .add("migrationEpoch", n(1));
    let Some(seen) = seen else { return update.when("attribute_not_exists(streamName)") };
    update.when_seen([
        ("migrationOwner", seen.migrator.as_deref().map(s)),
        ("renameOwner", seen.owner.as_deref().map(s)),
        ("renameStartedAt", seen.started.map(n)),
        ("migrationEpoch", seen.epoch.map(n)),
        ("migrationBeats", seen.beats.map(n)),
    ])
}

fn fresh(update: Update, now_ms: i64) -> Update {
    update.set("renameStartedAt", n(now_ms)).set("lastUpdateTimestamp", n(now_ms)).add("migrationBeats", n(1))
}

/// A change of the marker by the holder of the lock.
fn held(lock: &Lock, now_ms: i64) -> Update {
    fresh(Update::new(), now_ms)
        .value("owner", s(lock.owner.as_str()))
        .value("epoch", n(lock.epoch))
        .when("renameOwner = :owner")
        .when("migrationEpoch = :epoch")
}

fn copy_update(copy: &Copy, now_ms: i64) -> Update {
    let row = &copy.row;
    let mut update = Update::new().set("lastUpdateTimestamp", n(now_ms));
    if let Some(sequence) = &row.sequence {
        update = update.set("sequenceNumber", s(sequence.as_str()));
        update = match &row.padded {
            Some(padded) => update.set("checkpointPadded", s(padded.as_str())),
            None => update.remove("checkpointPadded"),
        };
        update = match row.sub_sequence {
            Some(sub) => update.set("subSequenceNumber", n(sub)),
            None => update.remove("subSequenceNumber"),
        };
    }
    if let Some(anchor) = row.anchor {
        update = update.set_once("startAnchor", s(anchor.to_string()));
    }
    if row.ended {
        update = update.set("shardEnded", AttributeValue::Bool(true));
    }
    if let Some(created) = row.created {
        update = update.set_once("streamCreated", n(created));
    }
    match &copy.seen {
        Some(seen) => update.value("seen", s(seen.as_str())).when("sequenceNumber = :seen"),
        None => update.when("attribute_not_exists(sequenceNumber)"),
    }
}

impl MigrationStore for Table {
    fn look(&self, which: Which) -> Answer<'_, Look> {
        Box::pin(async move { self.look_at(&self.called(which)).await })
    }

    fn make(&self, which: Which) -> Answer<'_, ()> {
        Box::pin(async move {
            let table = self.called(which);
            self.make_table(&table).await.map_err(|trouble| trouble.on(&table))
        })
    }

    fn unmake(&self, which: Which) -> Answer<'_, ()> {
        Box::pin(async move { self.delete(&self.called(which)).await })
    }

    fn leases(&self, from: Option<String>) -> Answer<'_, (Vec<Lease>, Option<String>)> {
        Box::pin(self.lease_page(from))
    }

    fn marker(&self) -> Answer<'_, Option<Marker>> {
        Box::pin(async move {
            let table = self.called(Which::Side);
            let item = self.get_in(&table, item::MIGRATION).await.map_err(|trouble| trouble.on(&table))?;
            Ok(item.as_ref().map(marker))
        })
    }

    fn side(&self) -> Answer<'_, Side> {
        Box::pin(self.whole_side())
    }

    fn main(&self) -> Answer<'_, Rows> {
        self.rows()
    }

    fn take<'a>(&'a self, seen: Option<&'a Marker>, owner: &'a str, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.change(Which::Side, item::MIGRATION, take_update(seen, owner, now_ms)))
    }

    fn beat<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.change(Which::Side, item::MIGRATION, held(lock, now_ms)))
    }

    fn complete<'a>(&'a self, lock: &'a Lock, rows: usize, now_ms: i64) -> Answer<'a, bool> {
        let update = held(lock, now_ms)
            .set("migrationStatus", s(COMPLETE))
            .set("migrationCompletedAt", n(now_ms))
            .set("sourceRows", n(rows))
            .set("copiedRows", n(rows));
        Box::pin(self.change(Which::Side, item::MIGRATION, update))
    }

    fn swapped<'a>(&'a self, lock: &'a Lock, now_ms: i64) -> Answer<'a, bool> {
        let update = held(lock, now_ms).set("tableSwapped", AttributeValue::Bool(true));
        Box::pin(self.change(Which::Side, item::MIGRATION, update))
    }

    fn copy<'a>(&'a self, which: Which, copy: &'a Copy, now_ms: i64) -> Answer<'a, bool> {
        Box::pin(self.change(which, &copy.shard, copy_update(copy, now_ms)))
    }

    fn copy_stream(&self, which: Which, row: StreamRow) -> Answer<'_, ()> {
        let update = Update::new()
            .set("startAnchor", s(row.anchor.to_string()))
            .set("streamCreated", n(row.created))
            .when("attribute_not_exists(startAnchor)");
        Box::pin(async move { self.change(which, item::STREAM_ROW, update).await.map(|_| ()) })
    }
}
