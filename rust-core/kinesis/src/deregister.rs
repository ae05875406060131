//! What is left to do when a processor is removed for good.
//!
//! All nodes of an application read with one consumer, and other processors may be nodes of it. NiFi also removes what it
//! only reloads on one node, after a termination. So the consumer goes with the last one that shows a sign of life.

use crate::api::StreamApi;
use crate::aws::{Clients, Stream};
use crate::clock::Clock;
use crate::config::{ConsumerType, SourceConfig};
use crate::core::{place, within};
use crate::dynamo::Table;
use crate::heartbeats::Heartbeats;
use crate::store::{LeaseStore, Rows};
use crate::trouble::{Kind, Service, Trouble};
use bulletin::{Level, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest time of one of the three steps; NiFi waits for the removal.
const LIMIT: Duration = Duration::from_secs(3);

/// What became of the consumer.
enum Fate {
    Removed,
    /// These nodes read with it.
    Kept(Vec<String>),
}

/// See [`crate::Source::deregister`].
pub(crate) async fn deregister(config: &SourceConfig) -> Vec<Message> {
    if config.consumer_type != ConsumerType::EnhancedFanOut {
        return Vec::new();
    }
    let clients = Arc::new(Clients::new(config.clone()));
    let table = Table::new(clients.clone());
    deregister_in(config, &Stream::new(clients), &table, &Clock::system()).await
}

/// As [`deregister`], in any world.
pub(crate) async fn deregister_in(
    config: &SourceConfig,
    api: &dyn StreamApi,
    store: &dyn LeaseStore,
    clock: &Clock,
) -> Vec<Message> {
    let (consumer, stream) = (&config.application_name, &config.stream_name);
    let (level, text) = match remove(config, api, store, clock).await {
        Ok(Fate::Removed) => {
            (Level::Info, format!("Deregistered the fan-out consumer \"{consumer}\" of stream \"{stream}\"."))
        }
        Ok(Fate::Kept(nodes)) => (
            Level::Warn,
            format!(
                "The fan-out consumer \"{consumer}\" of stream \"{stream}\" stays registered, because other nodes of the \
                 application gave a sign of life in the last minutes ({}). The last one that is removed deregisters it; \
                 when none is left, deregister it by hand.",
                nodes.join(", ")
            ),
        ),
        // Another node of the cluster was faster, or the stream is gone.
        Err(trouble)
            if trouble.service == Service::Kinesis
                && matches!(trouble.kind, Kind::NotFound | Kind::InUse) =>
        {
            return Vec::new();
        }
        Err(trouble) => (
            Level::Warn,
            format!(
                "The fan-out consumer \"{consumer}\" of stream \"{stream}\" is still registered and must be \
                 deregistered by hand. {}",
                trouble.explain(&place(config))
            ),
        ),
    };
    vec![Message { level, text }]
}

async fn remove(
    config: &SourceConfig,
    api: &dyn StreamApi,
    store: &dyn LeaseStore,
    clock: &Clock,
) -> Result<Fate, Trouble> {
    let (stream, rows) = tokio::join!(
        within(LIMIT, Service::Kinesis, "DescribeStream", api.describe()),
        within(LIMIT, Service::DynamoDb, "Query", store.rows()),
    );
    let stream = stream?;
    let rows = match rows {
        // The processor never ran.
        Err(trouble) if trouble.kind == Kind::NotFound => Rows::default(),
        rows => rows?,
    };
    let others = others(config, &rows, clock);
    if !others.is_empty() {
        return Ok(Fate::Kept(others));
    }
    let consumer = api.consumer(&stream.arn);
    let consumer = within(LIMIT, Service::Kinesis, "DescribeStreamConsumer", consumer).await?;
    within(LIMIT, Service::Kinesis, "DeregisterStreamConsumer", api.deregister(&consumer.arn)).await?;
    Ok(Fate::Removed)
}

/// Nodes that may live, as one that starts counts them. There is no time to watch whether they do; a consumer that is
/// left for nothing costs a little, one that is missing costs the others their events until it is registered again.
fn others(config: &SourceConfig, rows: &Rows, clock: &Clock) -> Vec<String> {
    let (mut seen, now) = (Heartbeats::default(), Instant::now());
    seen.note(&rows.nodes, now, clock.wall_ms());
    seen.live(now).filter(|node| *node != config.node_id).map(str::to_owned).collect()
}
