//! What the page shows, as JSON.

use std::sync::Arc;

use local_snowflake::{ChannelView, Snowflake, TableView};
use serde_json::{Map, Value, json};

use crate::aws::Front;
use crate::endpoints::Endpoints;

/// Rows shown of each table.
const ROWS: usize = 8;

/// Where the page looks.
pub(crate) struct Sources {
    pub(crate) front: Arc<Front>,
    pub(crate) snowflake: Snowflake,
    pub(crate) endpoints: Endpoints,
}

impl Sources {
    pub(crate) fn state(&self) -> Value {
        let snapshot = self.snowflake.snapshot();
        let leases = self.leases();
        let streams: Vec<_> = self
            .front
            .kinesis
            .streams()
            .iter()
            .map(|name| self.stream(name, &leases, &snapshot.channels))
            .collect();
        let channels: Vec<_> = snapshot.channels.iter().map(channel).collect();
        let tables: Vec<_> = snapshot.tables.iter().map(|table| self.table(table)).collect();
        json!({
            "now_ms": self.front.clock.now_ms(),
            "calls": self.front.journal.total(),
            "addresses": {
                "Kinesis, DynamoDB": self.endpoints.aws_endpoint,
                "Region": self.endpoints.aws_region,
                "Snowflake": self.endpoints.snowflake_url,
                "Account": self.endpoints.snowflake_account,
                "User": self.endpoints.snowflake_user,
            },
            "streams": streams,
            "leases": leases,
            "channels": channels,
            "tables": tables,
        })
    }

    /// Rows of every DynamoDB table that has the key of a checkpoint table, in plain JSON.
    fn leases(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for table in self.front.dynamodb.tables() {
            for item in self.front.dynamodb.items(&table).unwrap_or_default() {
                let mut row = plain(&item);
                if row.contains_key("streamName") && row.contains_key("shardId") {
                    row.insert("application".into(), table.clone().into());
                    rows.push(Value::Object(row));
                }
            }
        }
        rows
    }

    /// A stream; each shard with what was written, what is checkpointed and what is in the table.
    fn stream(&self, name: &str, leases: &[Value], channels: &[ChannelView]) -> Value {
        let kinesis = &self.front.kinesis;
        let shards = kinesis.shards(name).unwrap_or_default();
        let shown = shards.iter().map(|shard| {
            let position = |sequence: Option<&str>| kinesis.count_up_to(name, &shard.id, sequence?);
            let lease =
                leases.iter().find(|row| row["streamName"] == name && row["shardId"] == shard.id.as_str());
            let checkpoint = lease.and_then(|row| row["sequenceNumber"].as_str());
            let tokens = channels.iter().filter(|channel| belongs(channel, name, &shard.id));
            let committed = tokens
                .filter_map(|channel| position(sequence(channel.committed_offset_token.as_deref()?)))
                .max();
            json!({
                "id": shard.id,
                "parents": shard.parents,
                "closed": shard.closed,
                "written": shard.written,
                "kept": shard.records,
                "bytes": shard.bytes,
                "last_arrival_ms": shard.last_arrival_ms,
                "checkpointed": position(checkpoint),
                "committed": committed,
                "owner": lease.map(|row| row["leaseOwner"].clone()),
            })
        });
        json!({ "name": name, "status": kinesis.status(name), "shards": shown.collect::<Vec<_>>() })
    }

    fn table(&self, table: &TableView) -> Value {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let path = format!("{}.{}.{}", quoted(&table.database), quoted(&table.schema), quoted(&table.name));
        let (columns, rows) = self.last_rows(&path);
        json!({
            "database": table.database,
            "schema": table.schema,
            "name": table.name,
            "rows": table.rows,
            "error_rows": table.error_rows,
            "last_commit_ms": table.last_commit_ms,
            "columns": columns,
            "last": rows,
        })
    }

    fn last_rows(&self, path: &str) -> (Value, Value) {
        match self.snowflake.sql_as("ACCOUNTADMIN", &format!("SELECT * FROM {path} LIMIT {ROWS}")) {
            Ok(found) => {
                let names: Vec<_> = found.columns.iter().map(|column| column.name.clone()).collect();
                (json!(names), json!(found.rows))
            }
            Err(_) => (json!([]), json!([])),
        }
    }
}

fn channel(channel: &ChannelView) -> Value {
    json!({
        "pipe": channel.pipe,
        "name": channel.name,
        "status": channel.status,
        "committed": channel.committed_offset_token,
        "pending": channel.pending_appends,
        "rows": channel.rows_inserted,
        "errors": channel.rows_error_count,
        "last_error": channel.last_error_message,
    })
}

/// Whether a channel's name carries the stream and the shard, as the delivered flow's does.
fn belongs(channel: &ChannelView, stream: &str, shard: &str) -> bool {
    let letters = |text: &str| {
        text.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
    };
    let name = letters(&channel.name);
    name.contains(&letters(shard)) && name.starts_with(&letters(stream))
}

/// The sequence number in an offset token that ends with 20 digits of a sub-sequence.
fn sequence(token: &str) -> Option<&str> {
    token.len().checked_sub(20).and_then(|end| token.get(..end))
}

/// DynamoDB's `{"name":{"S":"text"}}` as plain JSON.
fn plain(item: &Value) -> Map<String, Value> {
    let attributes = item.as_object().into_iter().flatten();
    let simple = |typed: &Value| {
        let (kind, value) = typed.as_object()?.iter().next()?;
        Some(match (kind.as_str(), value) {
            ("N", Value::String(text)) => text.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
            _ => value.clone(),
        })
    };
    attributes.map(|(name, typed)| (name.clone(), simple(typed).unwrap_or_default())).collect()
}
