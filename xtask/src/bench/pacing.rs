//! How much of what Kinesis allows is used, when it enforces its limits.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::consume::{ConsumerType, PAYLOAD};
use super::rig::{Rig, Source};
use super::stats::float;
use crate::error::Result;

/// Shards of the stream.
pub const SHARDS: u32 = 10;
/// What a shard gives in a second.
const ALLOWED: f64 = 2_000_000.0;
/// The burst that a full allowance permits is over, and leases are taken.
const SETTLED: Duration = Duration::from_secs(8);

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pacing {
    /// Payload bytes as a part of what is allowed.
    pub share: f64,
    /// `GetRecords` calls a second and shard.
    pub calls_per_second: f64,
    /// Part of them that was throttled.
    pub throttled: f64,
    /// Processors that NiFi kept busy.
    pub cores: f64,
}

impl Pacing {
    /// For people.
    pub fn shown(&self) -> String {
        format!(
            "{SHARDS} shards with Kinesis' limits: {:.1} % of 2 MB/s a shard, {:.2} calls/s a shard, {:.2} % of them \
             throttled, {:.2} cores",
            self.share * 100.0,
            self.calls_per_second,
            self.throttled * 100.0,
            self.cores
        )
    }
}

/// Measures an endless backlog.
pub async fn measure(rig: &mut Rig, cloud: &mut Cloud, stream: &str, seconds: f64) -> Result<Pacing> {
    let before = rig.consumed().await?;
    let source = Source { stream, consumer_type: ConsumerType::Polling.value(), position: "TRIM_HORIZON" };
    rig.consume(&cloud.endpoints, source).await?;
    rig.wait_for_records(before).await?;
    tokio::time::sleep(SETTLED).await;
    cloud.tell(&json!({ "do": "calls" })).await?;
    let start = rig.reading().await?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let calls = cloud.tell(&json!({ "do": "calls" })).await?;
    let used = rig.used(&start).await?;
    rig.stop_processor(&rig.consumer).await?;
    let count = |name: &str| {
        float(calls.pointer(&format!("/GetRecords/{name}")).and_then(Value::as_u64).unwrap_or(0))
    };
    let shards = f64::from(SHARDS);
    Ok(Pacing {
        share: used.records * f64::from(PAYLOAD) / used.seconds / shards / ALLOWED,
        calls_per_second: count("all") / used.seconds / shards,
        throttled: count("throttled") / count("all").max(1.0),
        cores: used.cpu_seconds / used.seconds,
    })
}
