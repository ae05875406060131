//! How long a record takes from its arrival in the stream to a FlowFile that the next processor could take.

use std::time::{Duration, Instant};

use nifi_harness::rest::TimedEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::consume::{ConsumerType, PAYLOAD};
use super::rig::{Rig, Source};
use super::stats::{float, percentile};
use crate::error::{Error, Result};

/// Shards of the stream.
pub const SHARDS: u32 = 4;
/// Records a second in all, at random times.
pub const PER_SECOND: f64 = 15.0;
/// NiFi without the consumer, and the consumer before the first record, are watched this long.
const IDLE: Duration = Duration::from_secs(6);
/// NiFi shows events once they are indexed; on a busy machine that takes a while.
const INDEXED: Duration = Duration::from_secs(30);
/// Length and rate of the run that is not counted: as many records as some minutes of the trickle have.
const WARM_UP_SECONDS: f64 = 15.0;
const WARM_UP_PER_SECOND: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(1_500);
/// Records of the first seconds are not counted: they find shards that have been idle, which polling asks about once a
/// second only.
const FIRST_MS: i64 = 4_000;

/// What was measured with one consumer type.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub consumer_type: ConsumerType,
    pub records: usize,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Milliseconds.
    pub max: f64,
    /// Processors that NiFi kept busy, in excess of an idle NiFi.
    pub cores: f64,
    /// Those of the idle NiFi.
    pub idle_cores: f64,
}

impl Latency {
    /// For people.
    pub fn shown(&self) -> String {
        format!(
            "trickle, {}: p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms of {} records; {:.3} cores, and {:.3} of the idle NiFi",
            self.consumer_type.shown(),
            self.p50,
            self.p99,
            self.max,
            self.records,
            self.cores,
            self.idle_cores
        )
    }
}

/// A record that was put.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Put {
    shard_id: String,
    sequence_number: String,
    arrival_ms: i64,
}

/// A first run, in which the JVM compiles what handles a trickle. It is not counted.
pub async fn warm(rig: &mut Rig, cloud: &mut Cloud, consumer_type: ConsumerType) -> Result<()> {
    let stream = format!("first-trickle-{}", consumer_type.shown());
    cloud.tell(&json!({ "do": "stream", "stream": stream, "shards": SHARDS })).await?;
    let source = Source { stream: &stream, consumer_type: consumer_type.value(), position: "TRIM_HORIZON" };
    rig.consume(&cloud.endpoints, source).await?;
    cloud.tell(&trickle(&stream, WARM_UP_PER_SECOND, WARM_UP_SECONDS)).await?;
    rig.stop_processor(&rig.consumer).await
}

fn trickle(stream: &str, per_second: f64, seconds: f64) -> Value {
    json!({
        "do": "trickle", "stream": stream, "per_second": per_second, "seconds": seconds, "payload_bytes": PAYLOAD,
    })
}

/// Measures one consumer type.
pub async fn measure(
    rig: &mut Rig,
    cloud: &mut Cloud,
    consumer_type: ConsumerType,
    seconds: f64,
) -> Result<Latency> {
    let stream = format!("trickle-{}", consumer_type.shown());
    cloud.tell(&json!({ "do": "stream", "stream": stream, "shards": SHARDS })).await?;
    let before = rig.reading().await?;
    tokio::time::sleep(IDLE).await;
    let idle = rig.used(&before).await?;
    let source = Source { stream: &stream, consumer_type: consumer_type.value(), position: "TRIM_HORIZON" };
    rig.consume(&cloud.endpoints, source).await?;
    tokio::time::sleep(IDLE).await;
    let start = rig.reading().await?;
    let put = cloud.tell(&trickle(&stream, PER_SECOND, seconds)).await?;
    let used = rig.used(&start).await?;
    let put: Vec<Put> = serde_json::from_value(put)
        .map_err(|error| Error::Other(format!("the trickle's records: {error}")))?;
    let delays = found(rig, &counted(put)).await;
    rig.stop_processor(&rig.consumer).await?;
    let delays = delays?;
    let idle_cores = idle.cpu_seconds / idle.seconds;
    Ok(Latency {
        consumer_type,
        records: delays.len(),
        p50: percentile(&delays, 50),
        p99: percentile(&delays, 99),
        max: percentile(&delays, 100),
        cores: used.cpu_seconds / used.seconds - idle_cores,
        idle_cores,
    })
}

/// Records of the steady trickle.
fn counted(mut put: Vec<Put>) -> Vec<Put> {
    let first = put.iter().map(|record| record.arrival_ms).min().unwrap_or_default();
    put.retain(|record| record.arrival_ms >= first + FIRST_MS);
    put
}

/// Asks NiFi until it has indexed the events of all records.
async fn found(rig: &Rig, put: &[Put]) -> Result<Vec<f64>> {
    // The event of a dropped FlowFile is made when the session is committed: from then on it would be in a queue.
    let count = u32::try_from(put.len()).unwrap_or(0).saturating_add(2_000);
    let since = put.iter().map(|record| record.arrival_ms).min().unwrap_or_default();
    let deadline = Instant::now() + INDEXED;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let events = rig.rest.timed_events(&rig.consumer, "DROP", since, count).await?;
        match delays(put, &events) {
            Err(_) if Instant::now() < deadline => {}
            done => return done,
        }
    }
}

/// For each record the time from its arrival to the event of the FlowFile that has it.
fn delays(put: &[Put], events: &[TimedEvent]) -> Result<Vec<f64>> {
    let mut delays = Vec::with_capacity(put.len());
    for record in put {
        let event = events.iter().find(|event| has(event, record));
        let event = event.ok_or_else(|| {
            Error::Other(format!(
                "no FlowFile has the record {} of {}",
                record.sequence_number, record.shard_id
            ))
        })?;
        delays.push(float(u64::try_from(event.at_ms - record.arrival_ms).unwrap_or(0)));
    }
    Ok(delays)
}

/// Sequence numbers of one shard have the same number of digits.
fn has(event: &TimedEvent, record: &Put) -> bool {
    let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
    let number = Some(record.sequence_number.as_str());
    attribute("aws.kinesis.shard.id") == Some(&record.shard_id)
        && attribute("aws.kinesis.first.sequence.number") <= number
        && attribute("aws.kinesis.last.sequence.number") >= number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at_ms: i64, shard: &str, first: &str, last: &str) -> TimedEvent {
        let attributes = [
            ("aws.kinesis.shard.id", shard),
            ("aws.kinesis.first.sequence.number", first),
            ("aws.kinesis.last.sequence.number", last),
        ];
        TimedEvent { at_ms, attributes: attributes.map(|(name, value)| (name.into(), value.into())).into() }
    }

    #[test]
    fn what_finds_idle_shards_is_not_counted() {
        let put = |arrival_ms| Put { shard_id: "a".into(), sequence_number: "1".into(), arrival_ms };
        let all = [10_000, 13_999, 14_000, 20_000].map(put);
        assert_eq!(counted(all.to_vec()), [put(14_000), put(20_000)]);
    }

    #[test]
    fn each_record_counts_with_the_flow_file_that_has_it() {
        let put = |shard: &str, number: &str, arrival_ms| Put {
            shard_id: shard.to_owned(),
            sequence_number: number.to_owned(),
            arrival_ms,
        };
        let events = [event(1_100, "a", "10", "12"), event(1_050, "b", "11", "11")];
        let records = [put("a", "10", 1_000), put("a", "12", 1_090), put("b", "11", 1_000)];
        assert_eq!(delays(&records, &events).unwrap(), [100.0, 10.0, 50.0]);
        assert!(delays(&[put("b", "12", 1_000)], &events).is_err());
    }
}
