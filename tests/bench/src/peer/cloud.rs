//! The local cloud as a process of its own, so that its cost is not counted as anybody else's. Commands come as JSON,
//! one a line; each is answered by one line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use local_cloud::snowflake::{AppendOutcome, Fault, Route, Trouble};
use local_cloud::{Generator, Limits, LocalCloud, Options as CloudOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::post::TOKEN;
use super::rows::payloads;
use super::usage::print;
use super::{Outcome, trickle};

/// Requests that the journal of the local Snowflake keeps: all of one measurement.
const JOURNAL: usize = 200_000;

/// Options of `cloud`.
#[derive(Args)]
pub struct Options {
    /// Folder for certificate and key.
    #[arg(long)]
    folder: PathBuf,
    /// File that gets the addresses and keys.
    #[arg(long)]
    endpoints: PathBuf,
    /// Enforces what Kinesis allows of reading: 5 calls and 2 MB a second and shard.
    #[arg(long)]
    limits: bool,
    /// Snowflake stores nothing and has no limits of rate.
    #[arg(long)]
    discard: bool,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    /// Makes a stream of computed records.
    Generate { stream: String, shards: u32, payload_bytes: usize, records: Option<u64> },
    /// Makes an empty stream.
    Stream { stream: String, shards: u32 },
    /// Removes a stream.
    Delete { stream: String },
    /// Runs statements in the local Snowflake.
    Sql { text: String },
    /// Puts a few records a second for a while; answers when it is over.
    Trickle { stream: String, per_second: f64, seconds: f64, payload_bytes: usize },
    /// How often each operation of AWS was called, and how often it was throttled; then forgets.
    Calls,
    /// The appends so far, and how often statuses were asked for; then forgets.
    Appends,
    /// Bytes of rows in the appends so far; forgets nothing.
    Arrived,
    /// How long Snowflake takes to answer, and from an append to its commit.
    Delay { answer_ms: u64, commit_ms: u64 },
}

/// Runs until the standard input ends.
pub async fn run(options: Options) -> Outcome<()> {
    let cloud = LocalCloud::start(cloud_options(&options)).await?;
    cloud.endpoints().write(&options.endpoints)?;
    print(&json!({ "ready": true }))?;
    let mut commands = lines();
    while let Some(line) = commands.recv().await {
        let answer = match obey(&cloud, serde_json::from_str(&line)?).await {
            Ok(answer) => json!({ "ok": answer }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        print(&answer)?;
    }
    cloud.stop().await;
    Ok(())
}

/// The lines of the standard input. A thread that waits for one ends with the process.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn cloud_options(options: &Options) -> CloudOptions {
    let mut cloud = CloudOptions { folder: Some(options.folder.clone()), ..CloudOptions::default() };
    cloud.kinesis.limits = Limits { read: options.limits, write: false };
    cloud.kinesis.transition = Duration::ZERO;
    let snowflake = &mut cloud.snowflake;
    snowflake.discard_rows = options.discard;
    snowflake.limits.rates = !options.discard;
    snowflake.access_tokens = vec![TOKEN.to_owned()];
    snowflake.journal.requests = JOURNAL;
    snowflake.commit_delay = Duration::ZERO;
    cloud
}

async fn obey(cloud: &LocalCloud, command: Command) -> Outcome<Value> {
    let kinesis = cloud.kinesis();
    match command {
        Command::Generate { stream, shards, payload_bytes, records } => {
            let generator = Generator {
                records: records.unwrap_or(u64::MAX >> 16),
                bytes: payload_bytes,
                per_second: None,
                aggregate: None,
            };
            let payloads = payloads(payload_bytes);
            let templates: Vec<&str> = payloads.iter().map(String::as_str).collect();
            kinesis.create_templated_stream(&stream, shards, generator, &templates)?;
        }
        Command::Stream { stream, shards } => kinesis.create_stream(&stream, shards)?,
        Command::Delete { stream } => kinesis.delete_stream(&stream)?,
        Command::Sql { text } => {
            let snowflake = cloud.snowflake().clone();
            tokio::task::spawn_blocking(move || snowflake.sql(&text).map(drop)).await??;
        }
        Command::Trickle { stream, per_second, seconds, payload_bytes } => {
            let put = trickle::run(kinesis, &stream, per_second, seconds, payload_bytes).await?;
            return Ok(serde_json::to_value(put)?);
        }
        Command::Calls => return Ok(calls(cloud)),
        Command::Appends => return Ok(appends(cloud)),
        Command::Arrived => {
            let appends = cloud.snowflake().journal().appends();
            let accepted = appends.iter().filter(|append| append.outcome == AppendOutcome::Accepted);
            return Ok(json!(accepted.map(|append| append.uncompressed).sum::<usize>()));
        }
        Command::Delay { answer_ms, commit_ms } => {
            let snowflake = cloud.snowflake();
            snowflake.faults().clear();
            if answer_ms > 0 {
                let delay = Trouble::DelayAfter(Duration::from_millis(answer_ms));
                snowflake.faults().add(Fault::always(Route::Any, delay));
            }
            snowflake.set_commit_delay(Duration::from_millis(commit_ms));
        }
    }
    Ok(Value::Null)
}

fn calls(cloud: &LocalCloud) -> Value {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for call in cloud.journal().calls() {
        let (all, throttled) = counts.entry(call.operation).or_default();
        *all += 1;
        *throttled += u64::from(call.outcome.contains("ThroughputExceeded"));
    }
    cloud.journal().clear();
    let named = counts
        .into_iter()
        .map(|(name, (all, throttled))| (name, json!({ "all": all, "throttled": throttled })));
    Value::Object(named.collect())
}

fn appends(cloud: &LocalCloud) -> Value {
    let journal = cloud.snowflake().journal();
    let appends: Vec<Value> = journal
        .appends()
        .into_iter()
        .filter(|append| append.outcome == AppendOutcome::Accepted)
        .map(|append| {
            json!({
                "at_ms": append.at_ms, "channel": append.channel, "start": append.start, "end": append.end,
                "compressed": append.compressed, "uncompressed": append.uncompressed,
            })
        })
        .collect();
    let requests = journal.requests();
    let status_calls =
        requests.iter().filter(|request| request.path.ends_with("bulk-channel-status")).count();
    journal.clear();
    json!({ "appends": appends, "status_calls": status_calls })
}
