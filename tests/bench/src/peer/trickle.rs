//! A few records a second at random times, and when each of them arrived.

use std::time::Duration;

use local_cloud::{Clock, Kinesis};
use rand::Rng;
use serde::Serialize;

use super::rows::payloads;

/// One record of a trickle.
#[derive(Debug, Clone, Serialize)]
pub struct Put {
    /// Its shard.
    pub shard_id: String,
    /// Its sequence number.
    pub sequence_number: String,
    /// Milliseconds since 1970 at which it could be read.
    pub arrival_ms: i64,
}

/// Puts records at random (exponential) intervals, on one shard after the other, until `seconds` are over.
pub async fn run(
    kinesis: &Kinesis,
    stream: &str,
    per_second: f64,
    seconds: f64,
    payload_bytes: usize,
) -> Result<Vec<Put>, local_cloud::AwsError> {
    let shards: Vec<String> = kinesis.shards(stream)?.into_iter().map(|shard| shard.id).collect();
    let payloads = payloads(payload_bytes);
    let mut put = Vec::new();
    let begun = tokio::time::Instant::now();
    let mut at = 0.0;
    for (number, (shard, payload)) in shards.iter().cycle().zip(payloads.iter().cycle()).enumerate() {
        at += -rand::rng().random_range(f64::MIN_POSITIVE..1.0).ln() / per_second;
        if at >= seconds {
            break;
        }
        tokio::time::sleep_until(begun + Duration::from_secs_f64(at)).await;
        let payload = payload.replacen("000000000000", &(100_000_000_000 + number).to_string(), 1);
        let arrival_ms = Clock::system().now_ms();
        let receipt = kinesis.put_to_shard(stream, shard, "trickle", payload)?;
        put.push(Put { shard_id: receipt.shard_id, sequence_number: receipt.sequence_number, arrival_ms });
    }
    Ok(put)
}
