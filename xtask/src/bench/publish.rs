//! `./dev bench publish`: what writing to a table costs in NiFi.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio::process::Command;

use super::cloud::Cloud;
use super::compression::{self, Compression};
use super::peer;
use super::publisher::{Publisher, Volume};
use super::rig::{Rig, long_queue};
use super::{commits, document, machine, performance, publish_report, python};
use crate::error::Result;
use crate::place::Place;
use crate::progress::Progress;
use crate::{report, system};

/// Bytes of a record's payload: with its metadata a row has about 1,000.
pub const PAYLOAD: u32 = 650;
/// Where rows go.
pub const DATABASE: &str = "BENCH";
/// Schema in it.
pub const SCHEMA: &str = "PUBLIC";
/// Table in it.
pub const TABLE: &str = "ROWS";

/// Options of `bench publish`.
#[derive(Debug, Args)]
pub struct Options {
    /// Numbers of channels to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16], value_parser = clap::value_parser!(u32).range(1..=256))]
    channels: Vec<u32>,
    /// Milliseconds that Snowflake takes to answer.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 20, 100])]
    delays: Vec<u64>,
    /// Repetitions, interleaved; each compares NiFi with Snowflake's client and the floor.
    #[arg(long, default_value_t = 2)]
    repetitions: u32,
    /// Part of the usual volume that each measurement moves.
    #[arg(long, default_value_t = 1.0)]
    volume: f64,
    /// Length of each measurement of single rows' delays, for NiFi and for Snowflake's client; 0 leaves them out.
    #[arg(long, default_value_t = 30.0)]
    trickle_seconds: f64,
    /// Write everything measured to this file as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Leave docs/performance.md as it is.
    #[arg(long)]
    dry: bool,
    /// Build everything with the release profile first, and measure that.
    #[arg(long)]
    pub release: bool,
}

/// One run of one program.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Run {
    /// Megabytes of rows that arrived in a second, from the first append to the last.
    pub mb_per_second: f64,
    /// Rows a second.
    pub rows_per_second: f64,
    /// CPU seconds of its process for a gigabyte of rows.
    pub cpu_per_gb: f64,
}

/// One repetition: NiFi, Snowflake's client in two forms, and the floor, one right after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Repetition {
    pub channels: u32,
    pub delay_ms: u64,
    pub nifi: Run,
    pub dicts: Run,
    pub bytes: Run,
    pub floor: Run,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    pub machine: String,
    pub row_bytes: f64,
    pub repetitions: Vec<Repetition>,
    pub singles: Vec<commits::Single>,
    pub compression: Vec<Compression>,
}

/// What all runs share.
pub struct Bench<'a> {
    pub place: &'a Place,
    pub cloud: Cloud,
    pub rig: Rig,
    /// File with rows as NiFi makes them.
    pub rows: PathBuf,
    pub row_bytes: f64,
    pub python: PathBuf,
}

/// Measures and reports.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let progress = Progress::start();
    let machine = machine::described(place);
    let folder = place.runs().join("bench-publish");
    let _lock = system::empty(&folder)?;
    let mut bench = Bench::start(place, &folder, &progress).await?;
    let mut results = Results {
        machine,
        row_bytes: bench.row_bytes,
        repetitions: Vec::new(),
        singles: Vec::new(),
        compression: compression::measure(place).await?,
    };
    progress.say("a first run that is not counted");
    bench.nifi(Volume { channels: 4, megabytes: 200 }).await?;
    for repetition in 1..=options.repetitions {
        for &channels in &options.channels {
            for &delay_ms in &options.delays {
                let volume = Volume::of(channels, options.volume);
                let one = bench.repeat(volume, delay_ms).await?;
                progress.say(&format!("repetition {repetition}: {}", publish_report::line(&one)));
                results.repetitions.push(one);
            }
        }
    }
    if options.trickle_seconds > 0.0 {
        let (channels, delays) = (&options.channels, &options.delays);
        results.singles =
            commits::measure(&mut bench, channels, delays, options.trickle_seconds, &progress).await;
    }
    bench.rig.nifi.stop().await?;
    let text = publish_report::document(&results);
    println!("\n{text}");
    if let Some(file) = &options.report {
        report::write(&results, &place.of_caller(file))?;
    }
    if !options.dry {
        document::refresh(&performance(place), "bench publish", &text)?;
        progress.say(&format!("{} is up to date", performance(place).display()));
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> Bench<'a> {
    async fn start(place: &'a Place, folder: &Path, progress: &Progress) -> Result<Self> {
        let python = python::with_snowflake_client()?;
        let mut cloud = Cloud::start(place, &folder.join("cloud"), &["--discard"]).await?;
        let table = format!(
            "CREATE DATABASE {DATABASE}; CREATE TABLE {DATABASE}.{SCHEMA}.{TABLE} (KINESISMETADATA OBJECT) \
             ENABLE_SCHEMA_EVOLUTION = TRUE"
        );
        cloud.tell(&json!({ "do": "sql", "text": table })).await?;
        let rows = folder.join("rows.ndjson");
        let mut command = Command::new(place.program("bench-peer")?);
        command.args(["rows", "--payload-bytes", &PAYLOAD.to_string(), "--megabytes", "32"]);
        command.arg("--file").arg(&rows);
        let row_bytes = peer::run::<f64>(command, std::time::Duration::from_secs(60)).await?;
        let env = vec![
            ("SHARDFLOW_READ_PACE".to_owned(), "off".to_owned()),
            ("SHARDFLOW_CHANNEL_PACE".to_owned(), "off".to_owned()),
            ("SSL_CERT_FILE".to_owned(), cloud.endpoints.snowflake_ca_file.clone()),
        ];
        let rig = Rig::start(place, folder, env, long_queue, progress).await?;
        rig.set_up_publisher(&cloud.endpoints).await?;
        Ok(Self { place, cloud, rig, rows, row_bytes, python })
    }

    /// From now on Snowflake takes this long to answer.
    pub async fn answer_after(&mut self, milliseconds: u64) -> Result<()> {
        self.cloud.tell(&json!({ "do": "delay", "answer_ms": milliseconds, "commit_ms": 0 })).await.map(drop)
    }

    async fn repeat(&mut self, volume: Volume, delay_ms: u64) -> Result<Repetition> {
        self.answer_after(delay_ms).await?;
        Ok(Repetition {
            channels: volume.channels,
            delay_ms,
            floor: self.floor(volume, delay_ms).await?,
            nifi: self.nifi(volume).await?,
            dicts: self.client("dicts", volume).await?,
            bytes: self.client("bytes", volume).await?,
        })
    }
}
