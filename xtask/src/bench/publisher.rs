//! The programs that publish: NiFi from a queue that was filled before, Snowflake's client, the floor.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nifi_harness::Endpoints;
use nifi_harness::rest::wait_for;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::machine;
use super::peer::{self, Measured};
use super::publish::{Bench, DATABASE, PAYLOAD, Run, SCHEMA, TABLE};
use super::rig::{Rig, Source};
use super::stats::float;
use crate::error::{Error, Result};

/// Longest run.
const LIMIT: Duration = Duration::from_secs(120);
/// From the last append to its FlowFile's success.
const LAST_COMMIT: Duration = Duration::from_millis(150);
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// From this delay on the connector's bodies are the largest.
const SLOW_MS: u64 = 50;
const STREAM: &str = "queue";

/// How much is published.
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    /// Channels at once.
    pub channels: u32,
    /// All rows that NiFi publishes. The others start faster and need a third.
    pub megabytes: u64,
}

impl Volume {
    /// Enough that the start of the processor, the login and what NiFi does in between, which are counted, do not
    /// decide.
    pub fn of(channels: u32, part: f64) -> Self {
        let full = match channels {
            1 => 1_800.0,
            2..=4 => 2_400.0,
            _ => 3_200.0,
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand at most")]
        let megabytes = (full * part).max(8.0) as u64;
        Self { channels, megabytes }
    }
}

/// An append as the local cloud saw it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Append {
    /// When it arrived, milliseconds since 1970.
    pub at_ms: i64,
    /// Its channel.
    pub channel: String,
    /// First offset token.
    pub start: Option<String>,
    /// Last offset token.
    pub end: Option<String>,
    /// Bytes of rows.
    pub uncompressed: u64,
}

/// What the local cloud saw since it was asked last.
#[derive(Debug, Clone, Deserialize)]
pub struct Seen {
    /// Appends that it took over.
    pub appends: Vec<Append>,
    /// Calls for the status of channels.
    pub status_calls: u64,
}

impl Rig {
    /// The publisher's settings, all but what the delivered flow says already.
    pub async fn set_up_publisher(&self, endpoints: &Endpoints) -> Result<()> {
        let publisher = self.publisher().await?;
        let properties = json!({
            "Authentication Strategy": "KEY_PAIR",
            "Account": endpoints.snowflake_account,
            "User": endpoints.snowflake_user,
            "Role": endpoints.snowflake_role,
            "Private Key": endpoints.private_key()?,
            "Private Key Password": Value::Null,
            "Database": DATABASE,
            "Schema": SCHEMA,
            "Table": TABLE,
            "Snowflake Endpoint Override URL": endpoints.snowflake_url,
        });
        self.rest.set_properties(&publisher, properties).await?;
        Ok(())
    }

    /// Identifier of the processor that publishes.
    pub async fn publisher(&self) -> Result<String> {
        Ok(self.rest.processor_of_class(&self.group, "PublishSnowpipeStreaming").await?.id)
    }
}

/// The programs.
pub trait Publisher {
    /// NiFi.
    async fn nifi(&mut self, volume: Volume) -> Result<Run>;
    /// Snowflake's client with rows as `dicts` or `bytes`.
    async fn client(&mut self, form: &str, volume: Volume) -> Result<Run>;
    /// Compress and post, with bodies as large as the connector makes them where answers take `delay_ms`.
    async fn floor(&mut self, volume: Volume, delay_ms: u64) -> Result<Run>;
}

impl Publisher for Bench<'_> {
    async fn nifi(&mut self, volume: Volume) -> Result<Run> {
        fill(self, volume).await?;
        self.seen().await?;
        let publisher = self.rig.publisher().await?;
        let queued = self.rig.rest.queued(&self.rig.group).await?.bytes_queued;
        let before = machine::cpu(self.rig.nifi.process_id())?;
        self.rig.start_processor(&publisher).await?;
        // NiFi is not asked meanwhile: its answers would count as the connector's cost.
        self.wait_for_arrival(queued).await?;
        tokio::time::sleep(LAST_COMMIT).await;
        let cpu = machine::cpu(self.rig.nifi.process_id())? - before;
        let drained = wait_for("the end of the queue", LIMIT, || async {
            Ok((self.rig.rest.queued(&self.rig.group).await?.flow_files_queued == 0).then_some(()))
        });
        if let Err(error) = drained.await {
            let said = self.rig.nifi.log_tail(20);
            return Err(Error::Other(format!("{error}\n{said}")));
        }
        self.rig.stop_processor(&publisher).await?;
        let seen = self.seen().await?;
        Ok(self.run(&seen, cpu.as_secs_f64()))
    }

    async fn client(&mut self, form: &str, volume: Volume) -> Result<Run> {
        self.seen().await?;
        let mut command = self.python_peer("throughput");
        command.args(["--form", form, "--channels", &volume.channels.to_string()]);
        command.args(["--megabytes", &(volume.megabytes / 3).max(8).to_string()]);
        let measured: Measured = peer::run(command, LIMIT).await?;
        let seen = self.seen().await?;
        Ok(self.run(&seen, measured.cpu_seconds))
    }

    async fn floor(&mut self, volume: Volume, delay_ms: u64) -> Result<Run> {
        self.seen().await?;
        let mut command = Command::new(self.place.program("bench-peer")?);
        let endpoints = &self.cloud.endpoints;
        command.args([
            "post",
            "--url",
            &endpoints.snowflake_url,
            "--authority",
            &endpoints.snowflake_ca_file,
        ]);
        command.args(["--channels", &volume.channels.to_string(), "--seconds", "2"]);
        let size = if delay_ms < SLOW_MS { 6 << 20 } else { 16 << 20 };
        command.args(["--body-bytes", &size.to_string()]);
        let pipe = format!("databases/{DATABASE}/schemas/{SCHEMA}/pipes/{TABLE}-STREAMING");
        command.args(["--pipe", &pipe]).arg("--rows").arg(&self.rows);
        let measured: Measured = peer::run(command, LIMIT).await?;
        let seen = self.seen().await?;
        Ok(self.run(&seen, measured.cpu_seconds))
    }
}

impl Bench<'_> {
    /// Waits until so many bytes of rows have arrived at the local cloud.
    async fn wait_for_arrival(&mut self, bytes: u64) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.cloud.tell(&json!({ "do": "arrived" })).await?.as_u64().unwrap_or(0) < bytes {
            if Instant::now() >= deadline {
                let said = self.rig.nifi.log_tail(20);
                return Err(Error::Other(format!("only a part of the queue was published\n{said}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What the local cloud saw since the last question.
    pub async fn seen(&mut self) -> Result<Seen> {
        let seen = self.cloud.tell(&json!({ "do": "appends" })).await?;
        serde_json::from_value(seen)
            .map_err(|error| Error::Other(format!("the local cloud's journal: {error}")))
    }

    /// The script around Snowflake's client.
    pub fn python_peer(&self, what: &str) -> Command {
        let mut command = Command::new(&self.python);
        let folder = self.rows.parent().unwrap_or(&self.rows);
        command.arg(self.place.root.join("tests/bench/peers/snowpipe_sdk.py")).arg(what);
        command.arg("--endpoints").arg(folder.join("cloud/endpoints.json")).arg("--rows").arg(&self.rows);
        command.args(["--database", DATABASE, "--schema", SCHEMA, "--table", TABLE]);
        command.env("SSL_CERT_FILE", &self.cloud.endpoints.snowflake_ca_file).env("SS_LOG_LEVEL", "error");
        command
    }

    fn run(&self, seen: &Seen, cpu_seconds: f64) -> Run {
        let all: u64 = seen.appends.iter().map(|append| append.uncompressed).sum();
        let rate = rate(&seen.appends);
        Run {
            mb_per_second: rate / 1e6,
            rows_per_second: rate / self.row_bytes,
            cpu_per_gb: cpu_seconds * 1e9 / float(all),
        }
    }
}

/// Bytes a second between the first and the last arrival. What came first through a channel does not count, it was made
/// before.
fn rate(appends: &[Append]) -> f64 {
    let mut appends: Vec<&Append> = appends.iter().collect();
    appends.sort_by_key(|append| append.at_ms);
    let (Some(first), Some(last)) = (appends.first(), appends.last()) else { return 0.0 };
    let mut begun = HashSet::new();
    let counted = appends.iter().filter(|append| !begun.insert(append.channel.as_str()));
    let bytes: u64 = counted.map(|append| append.uncompressed).sum();
    let millis = u64::try_from(last.at_ms - first.at_ms).unwrap_or(0).max(1);
    float(bytes) * 1e3 / float(millis)
}

/// Reads so many rows into the queue in front of the publisher that they make up the volume.
async fn fill(bench: &mut Bench<'_>, volume: Volume) -> Result<()> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than a million")]
    let records = (float(volume.megabytes) * 1e6 / bench.row_bytes / f64::from(volume.channels)) as u64;
    let command = json!({
        "do": "generate", "stream": STREAM, "shards": volume.channels, "payload_bytes": PAYLOAD, "records": records,
    });
    bench.cloud.tell(&command).await?;
    let rig = &mut bench.rig;
    let wanted = rig.consumed().await? + records * u64::from(volume.channels);
    let source = Source { stream: STREAM, consumer_type: "SHARED_THROUGHPUT", position: "TRIM_HORIZON" };
    rig.consume(&bench.cloud.endpoints, source).await?;
    rig.wait_for_records(wanted - 1).await?;
    rig.stop_processor(&rig.consumer).await?;
    bench.cloud.tell(&json!({ "do": "delete", "stream": STREAM })).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_between_the_first_and_the_last_arrival() {
        let append = |channel: &str, at_ms, uncompressed| {
            let channel = channel.to_owned();
            Append { at_ms, channel, start: None, end: None, uncompressed }
        };
        let (a, b) = ("a", "b");
        let appends =
            [append(a, 1_500, 300), append(a, 1_000, 9_999), append(b, 1_010, 9_999), append(b, 2_000, 200)];
        assert!((rate(&appends) - 500.0).abs() < 1e-9);
        assert!(rate(&[]).abs() < 1e-9);
    }

    #[test]
    fn more_channels_move_more() {
        assert!(Volume::of(16, 1.0).megabytes > Volume::of(1, 1.0).megabytes);
        assert_eq!(Volume::of(1, 0.001).megabytes, 8);
    }
}
