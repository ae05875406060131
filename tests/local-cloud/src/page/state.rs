//! What the page shows, as JSON.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use local_snowflake::{ChannelView, Snowflake, TableView};
use serde_json::{Map, Value, json};

use crate::aws::Front;
use crate::endpoints::Endpoints;
use crate::sync::lock;

/// Rows shown of each table.
const ROWS: u64 = 8;

/// Seconds of history.
const HISTORY: usize = 120;

/// Where the page looks.
pub(crate) struct Sources {
    pub(super) front: Arc<Front>,
    pub(super) snowflake: Snowflake,
    endpoints: Endpoints,
    samples: Mutex<VecDeque<Sample>>,
}

/// The totals at one moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    written: u64,
    committed: u64,
}

impl Sources {
    pub(crate) fn new(front: Arc<Front>, snowflake: Snowflake, endpoints: Endpoints) -> Self {
        Self { front, snowflake, endpoints, samples: Mutex::default() }
    }

    /// Remembers the totals of this moment.
    pub(crate) fn sample(&self) {
        let kinesis = &self.front.kinesis;
        let shards = kinesis.streams().into_iter().flat_map(|name| kinesis.shards(&name).unwrap_or_default());
        let written = shards.map(|shard| shard.written).sum();
        let committed = self.snowflake.snapshot().tables.iter().map(|table| table.rows).sum();
        let mut samples = lock(&self.samples);
        if samples.len() > HISTORY {
            samples.pop_front();
        }
        samples.push_back(Sample { at: Instant::now(), written, committed });
    }

    /// Records and rows a second between the samples, oldest first.
    fn history(&self) -> Vec<Value> {
        let samples: Vec<_> = lock(&self.samples).iter().copied().collect();
        let rates = samples.windows(2).map(|pair| {
            let (before, after) = (pair[0], pair[1]);
            let seconds = after.at.duration_since(before.at).as_secs_f64().max(0.1);
            #[allow(clippy::cast_precision_loss, reason = "a rate for the eye")]
            let rate = |from: u64, to: u64| (to.saturating_sub(from) as f64 / seconds).round();
            json!({ "written": rate(before.written, after.written), "committed": rate(before.committed, after.committed) })
        });
        rates.collect()
    }

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
            "history": self.history(),
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

    /// The table's name as SQL needs it.
    pub(super) fn path(&self, table: &TableView) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("{}.{}.{}", quoted(&table.database), quoted(&table.schema), quoted(&table.name))
    }

    fn table(&self, table: &TableView) -> Value {
        let (columns, rows) = self.last_rows(&self.path(table), table.rows);
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

    /// The rows added last, newest first; the wide metadata column last.
    fn last_rows(&self, path: &str, total: u64) -> (Value, Value) {
        let skip = total.saturating_sub(ROWS);
        let text = format!("SELECT * FROM {path} LIMIT {ROWS} OFFSET {skip}");
        let Ok(found) = self.snowflake.sql_as("ACCOUNTADMIN", &text) else { return (json!([]), json!([])) };
        let mut order: Vec<usize> = (0..found.columns.len()).collect();
        order.sort_by_key(|at| found.columns[*at].name == "KINESISMETADATA");
        let names: Vec<_> = order.iter().map(|at| found.columns[*at].name.clone()).collect();
        let row = |row: &Vec<_>| order.iter().map(|at| json!(row.get(*at))).collect::<Vec<_>>();
        let rows: Vec<_> = found.rows.iter().rev().map(row).collect();
        (json!(names), json!(rows))
    }
}

fn channel(channel: &ChannelView) -> Value {
    json!({
        "pipe": channel.pipe,
        "name": channel.name,
        "status": channel.status,
        "committed": channel.committed_offset_token,
        "pending": channel.pending_appends,
        "lag_ms": channel.lag_ms,
        "rows": channel.rows_inserted,
        "errors": channel.rows_error_count,
        "last_error": channel.last_error_message,
    })
}

/// Whether a channel's name carries the stream and the shard, as the delivered flow's does.
pub(super) fn belongs(channel: &ChannelView, stream: &str, shard: &str) -> bool {
    let letters = |text: &str| {
        text.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
    };
    let name = letters(&channel.name);
    name.contains(&letters(shard)) && name.starts_with(&letters(stream))
}

/// The sequence number in an offset token that ends with 20 digits of a sub-sequence.
pub(super) fn sequence(token: &str) -> Option<&str> {
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
