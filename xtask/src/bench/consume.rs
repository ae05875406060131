//! `./dev bench consume`: what reading a stream costs in NiFi.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::cloud::Cloud;
use super::peer::{self, Measured};
use super::rig::{Rig, Source, only_consumer};
use super::{consume_report, document, machine, pacing, performance, trickle};
use crate::error::Result;
use crate::place::Place;
use crate::progress::Progress;
use crate::report;
use crate::system;

/// Bytes of a record's payload.
pub const PAYLOAD: u32 = 1_024;
/// From the first record until the measurement begins.
const WARM_UP: Duration = Duration::from_millis(2_000);
/// The first run, in which the JVM compiles, is not counted.
const FIRST_RUN: Duration = Duration::from_secs(10);

/// How a consumer is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub enum ConsumerType {
    /// Polling: `SHARED_THROUGHPUT`.
    Polling,
    /// `ENHANCED_FAN_OUT`.
    FanOut,
}

impl ConsumerType {
    /// The property's value.
    pub fn value(self) -> &'static str {
        match self {
            Self::Polling => "SHARED_THROUGHPUT",
            Self::FanOut => "ENHANCED_FAN_OUT",
        }
    }

    /// For people.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::FanOut => "fan-out",
        }
    }
}

/// Options of `bench consume`.
#[derive(Debug, Args)]
pub struct Options {
    /// Numbers of shards to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16], value_parser = clap::value_parser!(u32).range(1..=256))]
    shards: Vec<u32>,
    /// How the consumer is fed; both by default.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["polling", "fan-out"])]
    consumer_type: Vec<ConsumerType>,
    /// Length of one measurement.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Repetitions, interleaved; each compares NiFi with both floors.
    #[arg(long, default_value_t = 3)]
    repetitions: u32,
    /// Length of the measurement of latency, for each consumer type; 0 leaves it out.
    #[arg(long, default_value_t = 25.0)]
    trickle_seconds: f64,
    /// Length of the measurement with Kinesis' limits; 0 leaves it out.
    #[arg(long, default_value_t = 20.0)]
    limits_seconds: f64,
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

/// One repetition: NiFi and the floors, one right after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Repetition {
    pub shards: u32,
    pub consumer_type: ConsumerType,
    pub records_per_second: f64,
    pub mb_per_second: f64,
    pub cpu_per_gb: f64,
    /// Part of the time in which the JVM collected garbage.
    pub collecting: f64,
    /// CPU seconds a gigabyte of the local cloud, for NiFi's requests.
    pub cloud_cpu_per_gb: f64,
    pub sdk: Measured,
    pub bare: Measured,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    pub machine: String,
    pub repetitions: Vec<Repetition>,
    pub trickles: Vec<trickle::Latency>,
    pub pacing: Option<pacing::Pacing>,
}

/// Measures and reports.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let progress = Progress::start();
    let machine = machine::described(place);
    let folder = place.runs().join("bench-consume");
    let _lock = system::empty(&folder)?;
    let mut cloud = Cloud::start(place, &folder.join("cloud"), &[]).await?;
    let mut results = Results { machine, repetitions: Vec::new(), trickles: Vec::new(), pacing: None };
    if options.repetitions > 0 {
        // The local cloud has no quotas here, and the processor must not keep to them.
        let env = vec![("SHARDFLOW_READ_PACE".to_owned(), "off".to_owned())];
        let mut rig = Rig::start(place, &folder.join("backlog"), env, only_consumer, &progress).await?;
        progress.say("filling the page cache");
        peer::fill_page_cache(place, &folder).await?;
        warm(&mut rig, &mut cloud, &progress).await?;
        for repetition in 1..=options.repetitions {
            for &shards in &options.shards {
                let bench = Backlog { place, folder: &folder, shards, seconds: options.seconds };
                for one in bench.repeat(&mut rig, &mut cloud, &options.consumer_type).await? {
                    progress.say(&format!("repetition {repetition}: {}", consume_report::line(&one)));
                    results.repetitions.push(one);
                }
            }
        }
        rig.nifi.stop().await?;
    }
    if options.trickle_seconds > 0.0 || options.limits_seconds > 0.0 {
        let mut rig = Rig::start(place, &folder, Vec::new(), only_consumer, &progress).await?;
        as_delivered(place, options, (&mut rig, &mut cloud), &mut results, &progress).await?;
        rig.nifi.stop().await?;
    }
    finish(place, options, &results, &progress)
}

/// What is measured with the quotas of Kinesis in mind.
async fn as_delivered(
    place: &Place,
    options: &Options,
    (rig, cloud): (&mut Rig, &mut Cloud),
    results: &mut Results,
    progress: &Progress,
) -> Result<()> {
    if options.trickle_seconds > 0.0 {
        progress.say("a first trickle that is not counted");
        for &consumer_type in &options.consumer_type {
            trickle::warm(rig, cloud, consumer_type).await?;
        }
        for &consumer_type in &options.consumer_type {
            // What was measured before is worth keeping.
            let latency = match trickle::measure(rig, cloud, consumer_type, options.trickle_seconds).await {
                Ok(latency) => latency,
                Err(error) => {
                    progress.say(&format!("the latency is left out: {error}"));
                    continue;
                }
            };
            progress.say(&latency.shown());
            results.trickles.push(latency);
        }
    }
    if options.limits_seconds > 0.0 {
        let folder = place.runs().join("bench-consume/limited");
        let mut cloud = Cloud::start(place, &folder, &["--limits"]).await?;
        cloud.tell(&generate("limited", pacing::SHARDS)).await?;
        let limited = pacing::measure(rig, &mut cloud, "limited", options.limits_seconds).await?;
        progress.say(&limited.shown());
        results.pacing = Some(limited);
    }
    Ok(())
}

fn finish(place: &Place, options: &Options, results: &Results, progress: &Progress) -> Result<ExitCode> {
    let text = consume_report::document(results, options.seconds);
    println!("\n{text}");
    if let Some(file) = &options.report {
        report::write(results, &place.of_caller(file))?;
    }
    if !options.dry {
        document::refresh(&performance(place), "bench consume", &text)?;
        progress.say(&format!("{} is up to date", performance(place).display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn warm(rig: &mut Rig, cloud: &mut Cloud, progress: &Progress) -> Result<()> {
    progress.say("a first run that is not counted");
    cloud.tell(&generate("first", 4)).await?;
    let source =
        Source { stream: "first", consumer_type: ConsumerType::Polling.value(), position: "TRIM_HORIZON" };
    let before = rig.consumed().await?;
    rig.consume(&cloud.endpoints, source).await?;
    rig.wait_for_records(before).await?;
    tokio::time::sleep(FIRST_RUN).await;
    rig.stop_processor(&rig.consumer).await
}

fn generate(stream: &str, shards: u32) -> serde_json::Value {
    json!({ "do": "generate", "stream": stream, "shards": shards, "payload_bytes": PAYLOAD })
}

/// One measurement of a backlog.
struct Backlog<'a> {
    place: &'a Place,
    folder: &'a Path,
    shards: u32,
    seconds: f64,
}

const STREAM: &str = "backlog";

impl Backlog<'_> {
    /// NiFi once for each consumer type, with the floors around it.
    async fn repeat(
        &self,
        rig: &mut Rig,
        cloud: &mut Cloud,
        types: &[ConsumerType],
    ) -> Result<Vec<Repetition>> {
        cloud.tell(&generate(STREAM, self.shards)).await?;
        let bare = self.floor(cloud, "read-bare", false).await?;
        let mut repetitions = Vec::new();
        for &consumer_type in types {
            let sdk = self.floor(cloud, "read-sdk", consumer_type == ConsumerType::FanOut).await?;
            repetitions.push(self.nifi(rig, cloud, consumer_type, (sdk, bare)).await?);
        }
        cloud.tell(&json!({ "do": "delete", "stream": STREAM })).await?;
        Ok(repetitions)
    }

    async fn floor(&self, cloud: &Cloud, role: &str, fan_out: bool) -> Result<Measured> {
        let Self { shards, seconds, .. } = *self;
        let reading = peer::Reading { role, stream: STREAM, shards, fan_out, seconds: seconds.min(3.0) };
        peer::read(self.place, &cloud.endpoints, reading).await
    }

    async fn nifi(
        &self,
        rig: &mut Rig,
        cloud: &mut Cloud,
        consumer_type: ConsumerType,
        (sdk, bare): (Measured, Measured),
    ) -> Result<Repetition> {
        peer::fill_page_cache(self.place, self.folder).await?;
        let before = rig.consumed().await?;
        let source =
            Source { stream: STREAM, consumer_type: consumer_type.value(), position: "TRIM_HORIZON" };
        rig.consume(&cloud.endpoints, source).await?;
        rig.wait_for_records(before).await?;
        tokio::time::sleep(WARM_UP).await;
        let (start, cloud_cpu) = (rig.reading().await?, machine::cpu(cloud.id())?);
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        let used = rig.used(&start).await?;
        let cloud_cpu = (machine::cpu(cloud.id())? - cloud_cpu).as_secs_f64();
        rig.stop_processor(&rig.consumer).await?;
        let gigabytes = used.records * f64::from(PAYLOAD) / 1e9;
        Ok(Repetition {
            shards: self.shards,
            consumer_type,
            records_per_second: used.records / used.seconds,
            mb_per_second: gigabytes * 1e3 / used.seconds,
            cpu_per_gb: used.cpu_seconds / gigabytes,
            collecting: used.collecting,
            cloud_cpu_per_gb: cloud_cpu / gigabytes,
            sdk,
            bare,
        })
    }
}
