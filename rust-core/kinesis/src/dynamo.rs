//! The checkpoint table through the AWS SDK. Only actions of the documented least-privilege policy are used.

use crate::api::{Answer, ShardId};
use crate::aws::Clients;
use crate::item::{self, Item, Kind as RowKind, n, s};
use crate::plan::LEASE;
use crate::store::{
    Checkpoint, Claim, Holder, LeasePrint, LeaseStore, NodeRow, Rows, ShardRow, StreamRow, TableState,
};
use crate::trouble::{Kind, Service, Trouble, from_sdk};
use crate::update::Update;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ScalarAttributeType, TableDescription, TableStatus,
};
use std::sync::Arc;

/// The rows of one stream in one table.
pub(crate) struct Table {
    pub(crate) clients: Arc<Clients>,
}

impl Table {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self { clients }
    }

    pub(crate) fn name(&self) -> &str {
        &self.clients.config.application_name
    }

    fn key(&self, sort: &str) -> Item {
        let stream = self.clients.config.stream_name.as_str();
        Item::from([(item::STREAM.to_owned(), s(stream)), (item::SHARD.to_owned(), s(sort))])
    }

    async fn describe(&self) -> Result<TableState, Trouble> {
        const OPERATION: &str = "DescribeTable";
        let client = self.clients.dynamodb().await;
        match client.describe_table().table_name(self.name()).send().await {
            Ok(answer) => Ok(answer.table().map_or(TableState::Missing, state)),
            Err(error) => {
                let trouble = from_sdk(Service::DynamoDb, OPERATION, &error);
                if trouble.kind == Kind::NotFound { Ok(TableState::Missing) } else { Err(trouble) }
            }
        }
    }

    /// Creates a table of the current layout.
    pub(crate) async fn make_table(&self, table: &str) -> Result<(), Trouble> {
        const OPERATION: &str = "CreateTable";
        let client = self.clients.dynamodb().await;
        let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        for (name, role) in [(item::STREAM, KeyType::Hash), (item::SHARD, KeyType::Range)] {
            let definition =
                AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let element = KeySchemaElement::builder().attribute_name(name).key_type(role);
            let (Ok(definition), Ok(element)) = (definition.build(), element.build()) else {
                return Err(Trouble::new(
                    Service::DynamoDb,
                    OPERATION,
                    Kind::Other,
                    "keys could not be built",
                ));
            };
            request = request.attribute_definitions(definition).key_schema(element);
        }
        match request.send().await.map_err(|e| from_sdk(Service::DynamoDb, OPERATION, &e)) {
            // Another node was faster.
            Err(trouble) if trouble.kind == Kind::InUse => Ok(()),
            Err(trouble) => Err(trouble),
            Ok(_) => Ok(()),
        }
    }

    async fn query(&self) -> Result<Rows, Trouble> {
        let client = self.clients.dynamodb().await;
        let (mut rows, mut from) = (Rows::default(), None);
        loop {
            let answer = client
                .query()
                .table_name(self.name())
                .consistent_read(true)
                .key_condition_expression("streamName = :streamName")
                .expression_attribute_values(":streamName", s(self.clients.config.stream_name.as_str()))
                .set_exclusive_start_key(from.take())
                .send()
                .await
                .map_err(|e| from_sdk(Service::DynamoDb, "Query", &e))?;
            for item in answer.items() {
                sort_in(item, &mut rows);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    async fn get(&self, sort: &str) -> Result<Option<Item>, Trouble> {
        self.get_in(self.name(), sort).await
    }

    /// A row of our stream in a table of the current layout.
    pub(crate) async fn get_in(&self, table: &str, sort: &str) -> Result<Option<Item>, Trouble> {
        let client = self.clients.dynamodb().await;
        let request = client.get_item().table_name(table).set_key(Some(self.key(sort)));
        let answer = request.consistent_read(true).send().await;
        Ok(answer.map_err(|e| from_sdk(Service::DynamoDb, "GetItem", &e))?.item)
    }

    /// The item after the update; `None` when the condition did not hold.
    async fn update(&self, sort: &str, update: Update) -> Result<Option<Item>, Trouble> {
        self.update_in(self.name(), sort, update).await
    }

    /// The same in any table of the current layout.
    pub(crate) async fn update_in(
        &self,
        table: &str,
        sort: &str,
        update: Update,
    ) -> Result<Option<Item>, Trouble> {
        let client = self.clients.dynamodb().await;
        let (expression, condition, values) = update.parts();
        let answer = client
            .update_item()
            .table_name(table)
            .set_key(Some(self.key(sort)))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match answer.map_err(|e| from_sdk(Service::DynamoDb, "UpdateItem", &e)) {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(trouble) if trouble.kind == Kind::Condition => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn decide_once(&self, decision: StreamRow) -> Result<StreamRow, Trouble> {
        let update = Update::new()
            .set("startAnchor", s(decision.anchor.to_string()))
            .set("streamCreated", n(decision.created))
            .when("(attribute_not_exists(startAnchor) OR attribute_not_exists(streamCreated) OR streamCreated < :streamCreated)");
        if self.update(item::STREAM_ROW, update).await?.is_some() {
            return Ok(decision);
        }
        let stored = self.get(item::STREAM_ROW).await?;
        Ok(stored.as_ref().and_then(item::stream_row).unwrap_or(decision))
    }
}

pub(crate) fn sort_in(item: &Item, rows: &mut Rows) {
    match item::text(item, item::SHARD).map(item::kind) {
        Some(RowKind::Shard(shard)) => {
            rows.shards.insert(ShardId::from(shard), item::shard_row(item));
        }
        Some(RowKind::Node(node)) => {
            rows.nodes.insert(node.to_owned(), item::node_row(item));
        }
        Some(RowKind::Stream) => rows.stream = item::stream_row(item),
        Some(RowKind::Migration) | None => {}
    }
}

/// Classifies by keys before status: a table of another layout is not waited for.
pub(crate) fn state(table: &TableDescription) -> TableState {
    let keys: Vec<(&str, &KeyType)> =
        table.key_schema().iter().map(|k| (k.attribute_name(), k.key_type())).collect();
    match keys.as_slice() {
        [(item::STREAM, KeyType::Hash), (item::SHARD, KeyType::Range)] => match table.table_status() {
            Some(TableStatus::Active | TableStatus::Updating) => TableState::Ready,
            Some(status) => TableState::NotReady(status.as_str().to_owned()),
            None => TableState::NotReady("of unknown status".to_owned()),
        },
        [("leaseKey", KeyType::Hash)] => TableState::Legacy,
        _ => {
            let names: Vec<String> = keys.iter().map(|(name, role)| format!("{name} {role}")).collect();
            TableState::Foreign(names.join(", "))
        }
    }
}

/// Condition: the lease is exactly as it was seen.
fn unchanged(update: Update, seen: &LeasePrint) -> Update {
    update.when_seen([
        ("leaseOwner", seen.owner.as_deref().map(s)),
        ("leaseExpiry", seen.expiry.map(n)),
        ("leaseCounter", seen.counter.map(n)),
        ("leaseRenewals", seen.renewals.map(n)),
    ])
}

fn lease_times(update: Update, now_ms: i64) -> Update {
    let lease = i64::try_from(LEASE.as_millis()).unwrap_or(0);
    update.set("leaseExpiry", n(now_ms.saturating_add(lease))).set("lastUpdateTimestamp", n(now_ms))
}

fn held_by(update: Update, holder: &Holder) -> Update {
    update
        .value("owner", s(holder.owner.as_str()))
        .value("epoch", n(holder.epoch))
        .when("leaseOwner = :owner")
        .when("leaseCounter = :epoch")
}

fn claim_update(claim: &Claim, now_ms: i64) -> Update {
    let mut update = lease_times(Update::new(), now_ms)
        .set("leaseOwner", s(claim.owner.as_str()))
        .add("leaseCounter", n(1));
    let parents: Vec<String> = claim.parents.iter().map(ToString::to_string).collect();
    if !parents.is_empty() {
        update = update.set("parentShardIds", AttributeValue::Ss(parents));
    }
    if claim.reset {
        for name in [
            "sequenceNumber",
            "subSequenceNumber",
            "checkpointPadded",
            "lastRowPosition",
            "shardEnded",
            "shardSkipped",
            "childShardIds",
        ] {
            update = update.remove(name);
        }
        update = update
            .set("startAnchor", s(claim.anchor.to_string()))
            .set("lineageId", s(claim.lineage.as_str()))
            .set("streamCreated", n(claim.created));
    } else {
        if claim.store_anchor {
            update = update.set_once("startAnchor", s(claim.anchor.to_string()));
        }
        update = update
            .set_once("lineageId", s(claim.lineage.as_str()))
            .set_once("streamCreated", n(claim.created));
        if let Some(done) = &claim.repair {
            update = update.set("checkpointPadded", s(done.position.padded()));
            if !done.within_record {
                // Of the record that the position was in before.
                update = update.remove("subSequenceNumber");
            }
        }
    }
    unchanged(update, &claim.seen)
}

fn checkpoint_update(holder: &Holder, checkpoint: &Checkpoint, now_ms: i64) -> Update {
    let mut update = held_by(lease_times(Update::new(), now_ms), holder)
        .add("leaseRenewals", n(1))
        .set("lastRowPosition", s(checkpoint.last_row.as_str()));
    if let Some(done) = &checkpoint.done {
        update = update
            .set("sequenceNumber", s(done.position.sequence.as_str()))
            .set("checkpointPadded", s(done.position.padded()))
            // Equal passes: an attempt whose answer was lost is repeated.
            .when("(attribute_not_exists(checkpointPadded) OR checkpointPadded <= :checkpointPadded)");
        update = if done.within_record {
            update.set("subSequenceNumber", n(done.position.sub_sequence))
        } else {
            update.remove("subSequenceNumber")
        };
    }
    if checkpoint.ended {
        update = update.set("shardEnded", AttributeValue::Bool(true));
        let children: Vec<String> = checkpoint.children.iter().map(ToString::to_string).collect();
        if !children.is_empty() {
            update = update.set("childShardIds", AttributeValue::Ss(children));
        }
    }
    update
}

fn skip_update(decision: StreamRow) -> Update {
    Update::new()
        .set("shardSkipped", AttributeValue::Bool(true))
        .set("shardEnded", AttributeValue::Bool(true))
        .set("startAnchor", s(decision.anchor.to_string()))
        .set("streamCreated", n(decision.created))
        .when("attribute_not_exists(shardId)")
}

fn begin_update(decision: StreamRow) -> Update {
    Update::new()
        .set("startAnchor", s(decision.anchor.to_string()))
        .set_once("streamCreated", n(decision.created))
        .when("attribute_not_exists(startAnchor)")
        .when("attribute_not_exists(sequenceNumber)")
}

/// The row has no node of ours yet, or it is this node's.
const NOT_ANOTHERS: &str = "(attribute_not_exists(nodeName) OR nodeName = :nodeName)";

fn node_key(key: &str) -> String {
    format!("{}{key}", item::NODE_PREFIX)
}

fn beat_update(node: &str, now_ms: i64) -> Update {
    Update::new()
        .set("nodeHeartbeat", n(now_ms))
        .set("lastUpdateTimestamp", n(now_ms))
        .set("nodeName", s(node))
}

impl LeaseStore for Table {
    fn table(&self) -> Answer<'_, TableState> {
        Box::pin(self.describe())
    }

    fn rows(&self) -> Answer<'_, Rows> {
        Box::pin(self.query())
    }

    fn row<'a>(&'a self, shard: &'a str) -> Answer<'a, Option<ShardRow>> {
        Box::pin(async move { Ok(self.get(shard).await?.as_ref().map(item::shard_row)) })
    }

    fn decide(&self, decision: StreamRow) -> Answer<'_, StreamRow> {
        Box::pin(self.decide_once(decision))
    }

    fn skip<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()> {
        Box::pin(async move { self.update(shard, skip_update(decision)).await.map(|_| ()) })
    }

    fn begin<'a>(&'a self, shard: &'a str, decision: StreamRow) -> Answer<'a, ()> {
        Box::pin(async move { self.update(shard, begin_update(decision)).await.map(|_| ()) })
    }

    fn beat<'a>(&'a self, key: &'a str, node: &'a str, now_ms: i64) -> Answer<'a, bool> {
        let update = beat_update(node, now_ms).when(NOT_ANOTHERS);
        Box::pin(async move { Ok(self.update(&node_key(key), update).await?.is_some()) })
    }

    fn adopt<'a>(&'a self, key: &'a str, seen: &'a NodeRow, node: &'a str, now_ms: i64) -> Answer<'a, bool> {
        let update = beat_update(node, now_ms)
            .when_seen([("nodeHeartbeat", seen.heartbeat.map(n)), ("nodeName", seen.name.as_deref().map(s))]);
        Box::pin(async move { Ok(self.update(&node_key(key), update).await?.is_some()) })
    }

    fn retire<'a>(&'a self, key: &'a str, node: &'a str) -> Answer<'a, ()> {
        let update = Update::new()
            .remove("nodeHeartbeat")
            .remove("lastUpdateTimestamp")
            .value("nodeName", s(node))
            .when(NOT_ANOTHERS);
        Box::pin(async move { self.update(&node_key(key), update).await.map(|_| ()) })
    }

    fn acquire<'a>(&'a self, claim: &'a Claim, now_ms: i64) -> Answer<'a, Option<ShardRow>> {
        let update = claim_update(claim, now_ms);
        Box::pin(async move { Ok(self.update(&claim.shard, update).await?.as_ref().map(item::shard_row)) })
    }

    fn renew<'a>(&'a self, holder: &'a Holder, now_ms: i64) -> Answer<'a, bool> {
        let update = held_by(lease_times(Update::new(), now_ms), holder).add("leaseRenewals", n(1));
        Box::pin(async move { Ok(self.update(&holder.shard, update).await?.is_some()) })
    }

    fn checkpoint<'a>(
        &'a self,
        holder: &'a Holder,
        checkpoint: &'a Checkpoint,
        now_ms: i64,
    ) -> Answer<'a, bool> {
        let update = checkpoint_update(holder, checkpoint, now_ms);
        Box::pin(async move { Ok(self.update(&holder.shard, update).await?.is_some()) })
    }

    fn release<'a>(&'a self, holder: &'a Holder) -> Answer<'a, bool> {
        let update = held_by(Update::new().remove("leaseOwner").remove("leaseExpiry"), holder);
        Box::pin(async move { Ok(self.update(&holder.shard, update).await?.is_some()) })
    }
}
