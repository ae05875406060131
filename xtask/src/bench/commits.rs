//! From a row that is ready to its append, and from a commit that can be seen to the caller's success.

use std::time::Duration;

use nifi_harness::rest::TimedEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::peer;
use super::publish::{Bench, PAYLOAD};
use super::publisher::{Append, Seen};
use super::rig::Source;
use super::stats::{float, percentile};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Rows a second, at random times.
pub const PER_SECOND: f64 = 10.0;
/// What is under way gets home, and NiFi indexes its events.
const REST: Duration = Duration::from_secs(4);
/// A row is ready by less than this before its append arrives.
const BEFORE_ARRIVAL_MS: i64 = 2_000;
/// More than there are of one measurement.
const MOST_EVENTS: u32 = 5_000;
/// Seconds of rows that are not counted.
const WARM_UP: f64 = 6.0;

/// Delays of single rows, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Delays {
    pub rows: usize,
    /// From the row being ready to its append arriving.
    pub append_p50: f64,
    pub append_p99: f64,
    /// From its commit being visible to the caller being told.
    pub success_p50: f64,
    pub success_p99: f64,
    /// Calls for statuses a second.
    pub status_calls: f64,
}

impl Delays {
    /// For people.
    fn shown(&self) -> String {
        format!(
            "{PER_SECOND} rows/s, append to arrival p50 {:.0} ms, p99 {:.0} ms; visible commit to success p50 \
             {:.0} ms, p99 {:.0} ms; {:.2} status calls/s ({} rows)",
            self.append_p50,
            self.append_p99,
            self.success_p50,
            self.success_p99,
            self.status_calls,
            self.rows
        )
    }

    fn of(appends: &[f64], successes: &[f64], status_calls: u64, seconds: f64) -> Self {
        Self {
            rows: appends.len(),
            append_p50: percentile(appends, 50),
            append_p99: percentile(appends, 99),
            success_p50: percentile(successes, 50),
            success_p99: percentile(successes, 99),
            status_calls: float(status_calls) / seconds,
        }
    }
}

/// Delays of one number of channels with one delay of answers; what could not be measured is left out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Single {
    pub channels: u32,
    pub delay_ms: u64,
    pub nifi: Option<Delays>,
    pub client: Option<Delays>,
}

/// Measures all combinations. What was measured before one that fails is worth keeping.
pub async fn measure(
    bench: &mut Bench<'_>,
    channels: &[u32],
    delays: &[u64],
    seconds: f64,
    progress: &Progress,
) -> Vec<Single> {
    let mut all = Vec::new();
    for &channels in channels {
        let mut singles: Vec<Single> =
            delays.iter().map(|&delay_ms| Single { channels, delay_ms, nifi: None, client: None }).collect();
        if let Err(error) = measure_channels(bench, channels, &mut singles, seconds, progress).await {
            progress.say(&format!("{channels} channels: the rest is left out: {error}"));
        }
        all.extend(singles);
    }
    all
}

async fn measure_channels(
    bench: &mut Bench<'_>,
    channels: u32,
    singles: &mut [Single],
    seconds: f64,
    progress: &Progress,
) -> Result<()> {
    let keep = |who: &str, delay_ms: u64, delays: Result<Delays>| {
        let text = delays.as_ref().map_or_else(|error| format!("left out: {error}"), Delays::shown);
        progress.say(&format!("{channels} channels, {delay_ms} ms, {who}: {text}"));
        delays.ok()
    };
    let publisher = begin(bench, channels).await?;
    for single in &mut *singles {
        bench.answer_after(single.delay_ms).await?;
        let nifi = of_nifi(bench, &publisher, channels, seconds).await;
        single.nifi = keep("NiFi", single.delay_ms, nifi);
    }
    bench.rig.stop_all().await?;
    for single in singles {
        bench.answer_after(single.delay_ms).await?;
        let client = of_client(bench, channels, seconds).await;
        single.client = keep("Snowflake's client", single.delay_ms, client);
    }
    Ok(())
}

fn stream(channels: u32) -> String {
    format!("single-rows-{channels}")
}

/// Starts both processors, and lets rows pass until table, leases, login and channels are there and the JVM has compiled.
async fn begin(bench: &mut Bench<'_>, channels: u32) -> Result<String> {
    let stream = stream(channels);
    bench.answer_after(0).await?;
    bench.cloud.tell(&json!({ "do": "stream", "stream": stream, "shards": channels })).await?;
    let publisher = bench.rig.publisher().await?;
    let source = Source { stream: &stream, consumer_type: "ENHANCED_FAN_OUT", position: "TRIM_HORIZON" };
    bench.rig.consume(&bench.cloud.endpoints, source).await?;
    bench.rig.start_processor(&publisher).await?;
    trickle(bench, channels, WARM_UP).await?;
    tokio::time::sleep(REST).await;
    Ok(publisher)
}

/// NiFi: both processors run; a row is ready when ConsumeKinesis made its FlowFile (a little before it is in the
/// queue), and successful when PublishSnowpipeStreaming's session is committed.
async fn of_nifi(bench: &mut Bench<'_>, publisher: &str, channels: u32, seconds: f64) -> Result<Delays> {
    bench.seen().await?;
    trickle(bench, channels, seconds).await?;
    tokio::time::sleep(REST).await;
    let seen = bench.seen().await?;
    let first = seen.appends.iter().map(|append| append.at_ms).min();
    let since = first.ok_or_else(|| Error::Other("no row was appended".to_owned()))? - BEFORE_ARRIVAL_MS;
    let received = bench.rig.rest.timed_events(&bench.rig.consumer, "RECEIVE", since, MOST_EVENTS).await?;
    let dropped = bench.rig.rest.timed_events(publisher, "DROP", since, MOST_EVENTS).await?;
    let (mut appends, mut successes) = (Vec::new(), Vec::new());
    for append in &seen.appends {
        appends.extend(covered(append, &received).map(|at| after(append.at_ms, at)));
        successes.extend(covered(append, &dropped).map(|at| after(at, append.at_ms)));
    }
    let least = appends.len().min(successes.len());
    if least < seen.appends.len() {
        let text = format!("NiFi tells {least} events of {} appends", seen.appends.len());
        return Err(Error::Other(text));
    }
    Ok(Delays::of(&appends, &successes, seen.status_calls, seconds))
}

async fn trickle(bench: &mut Bench<'_>, channels: u32, seconds: f64) -> Result<()> {
    let command = json!({
        "do": "trickle", "stream": stream(channels), "per_second": PER_SECOND, "seconds": seconds,
        "payload_bytes": PAYLOAD,
    });
    bench.cloud.tell(&command).await.map(drop)
}

/// Times of the events whose FlowFile is of the append's channel, and its range within the append's.
fn covered<'a>(append: &'a Append, events: &'a [TimedEvent]) -> impl Iterator<Item = i64> + 'a {
    events
        .iter()
        .filter(move |event| {
            let token = |name: &str| event.attributes.get(name).map(|token| (token.len(), token.as_str()));
            let of = |token: &'a Option<String>| token.as_deref().map(|token| (token.len(), token));
            let shard = event.attributes.get("aws.kinesis.shard.id").map_or("", String::as_str);
            let first = token("aws.kinesis.first.sharded.sequence.number");
            let last = token("aws.kinesis.last.sharded.sequence.number");
            append.channel.ends_with(shard)
                && first.is_some()
                && first >= of(&append.start)
                && last <= of(&append.end)
        })
        .map(|event| event.at_ms)
}

fn after(later: i64, earlier: i64) -> f64 {
    float(u64::try_from(later - earlier).unwrap_or(0))
}

/// Snowflake's client: from the call of `append_rows`, and to the moment its own view of the token moves.
async fn of_client(bench: &mut Bench<'_>, channels: u32, seconds: f64) -> Result<Delays> {
    #[derive(Deserialize)]
    struct Row {
        number: u64,
        appended_ms: f64,
        seen_ms: f64,
    }
    bench.seen().await?;
    let mut command = bench.python_peer("trickle");
    command.args(["--per-second", &PER_SECOND.to_string(), "--seconds", &seconds.to_string()]);
    command.args(["--channels", &channels.to_string()]);
    let rows: Vec<Row> = peer::run(command, Duration::from_secs_f64(seconds + 60.0)).await?;
    let seen: Seen = bench.seen().await?;
    let (mut appends, mut successes) = (Vec::new(), Vec::new());
    for row in &rows {
        let number = |token: &Option<String>| token.as_deref().and_then(|token| token.parse::<u64>().ok());
        // Rows go to one channel after the other.
        let channel = format!("-{}", row.number % u64::from(channels));
        let covers = |append: &&Append| {
            append.channel.ends_with(&channel)
                && number(&append.start) <= Some(row.number)
                && number(&append.end) >= Some(row.number)
        };
        if let Some(append) = seen.appends.iter().find(covers) {
            #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
            let arrived = append.at_ms as f64;
            appends.push((arrived - row.appended_ms).max(0.0));
            successes.push((row.seen_ms - arrived).max(0.0));
        }
    }
    if appends.is_empty() {
        return Err(Error::Other("no append could be matched to a row".to_owned()));
    }
    Ok(Delays::of(&appends, &successes, seen.status_calls, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_belong_to_the_append_that_covers_their_range() {
        let event = |at_ms, first: &str, last: &str, shard: &str| TimedEvent {
            at_ms,
            attributes: [
                ("aws.kinesis.first.sharded.sequence.number", first),
                ("aws.kinesis.last.sharded.sequence.number", last),
                ("aws.kinesis.shard.id", shard),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        };
        let append = Append {
            at_ms: 0,
            channel: "s.1.shardId-0".to_owned(),
            start: Some("99".to_owned()),
            end: Some("120".to_owned()),
            uncompressed: 1,
        };
        let (this, other) = ("shardId-0", "shardId-1");
        let events = [
            event(1, "98", "98", this),
            event(2, "99", "99", this),
            event(3, "100", "120", this),
            event(4, "121", "121", this),
            event(5, "100", "120", other),
        ];
        assert_eq!(covered(&append, &events).collect::<Vec<_>>(), [2, 3]);
    }
}
