//! Programs that measure themselves and print what they found as one line of JSON.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nifi_harness::Endpoints;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::stats::float;
use crate::error::{Error, Result, io};
use crate::place::Place;

/// What a peer measured of itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    /// Records, rows or bodies.
    pub records: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Time of all threads on a processor.
    pub cpu_seconds: f64,
}

impl Measured {
    /// Megabytes a second.
    pub fn rate(&self) -> f64 {
        float(self.bytes) / 1e6 / self.seconds
    }

    /// CPU seconds for a gigabyte.
    pub fn cpu_per_gb(&self) -> f64 {
        self.cpu_seconds * 1e9 / float(self.bytes)
    }
}

/// Longest time until the page cache is full.
const FILLED: Duration = Duration::from_secs(180);

/// What a reading peer reads.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// `read-sdk` or `read-bare`.
    pub role: &'a str,
    /// Stream.
    pub stream: &'a str,
    /// Its shards.
    pub shards: u32,
    /// Whether it subscribes.
    pub fan_out: bool,
    /// How long it measures.
    pub seconds: f64,
}

/// Runs a reading peer.
pub async fn read(place: &Place, endpoints: &Endpoints, reading: Reading<'_>) -> Result<Measured> {
    let mut command = Command::new(place.program("bench-peer")?);
    command.arg(reading.role).args([
        "--endpoint",
        &endpoints.aws_endpoint,
        "--region",
        &endpoints.aws_region,
    ]);
    command.args(["--key", &endpoints.aws_access_key_id, "--secret", &endpoints.aws_secret_access_key]);
    command.args(["--stream", reading.stream, "--shards", &reading.shards.to_string()]);
    command.args(["--seconds", &reading.seconds.to_string()]);
    if reading.fan_out {
        command.arg("--fan-out");
    }
    run(command, Duration::from_secs_f64(reading.seconds + 30.0)).await
}

/// Fills the page cache with nothing of use, as on a machine that has been in use for a while.
pub async fn fill_page_cache(place: &Place, folder: &Path) -> Result<()> {
    let mut command = Command::new(place.program("bench-peer")?);
    command.arg("fill").arg("--file").arg(folder.join("page-cache"));
    run::<serde_json::Value>(command, FILLED).await.map(drop)
}

/// Runs a program and reads the last line it prints.
pub async fn run<T: for<'de> Deserialize<'de>>(mut command: Command, limit: Duration) -> Result<T> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = tokio::time::timeout(limit, command.output()).await;
    let output =
        output.map_err(|_| Error::Command(format!("{name} takes longer than {} s", limit.as_secs())))?;
    let output = output.map_err(io(format!("running {name}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line)
        .map_err(|error| Error::Command(format!("{name} ended with {} and {line:?}: {error}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_decimal_units() {
        let measured = Measured { records: 1, bytes: 500_000_000, seconds: 2.0, cpu_seconds: 1.5 };
        assert!((measured.rate() - 250.0).abs() < 1e-9);
        assert!((measured.cpu_per_gb() - 3.0).abs() < 1e-9);
    }
}
