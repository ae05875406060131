//! What the connector costs and how fast it is, in a real NiFi, beside others in the same run.

mod cloud;
mod commits;
mod compression;
mod consume;
mod consume_report;
mod document;
mod machine;
mod pacing;
mod peer;
mod publish;
mod publish_report;
mod publisher;
mod python;
mod rig;
mod stats;
mod trickle;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::error::Result;
use crate::place::Place;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Reading: ConsumeKinesis in NiFi, beside a loop around the AWS SDK and a loop with nothing around it.
    Consume(consume::Options),
    /// Writing: PublishSnowpipeStreaming in NiFi, beside Snowflake's own client and a loop with nothing around it.
    Publish(publish::Options),
}

/// Measures, prints, and writes the part of docs/performance.md.
pub async fn run(place: &Place, bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Consume(options) => consume::run(place, options).await,
        Bench::Publish(options) => publish::run(place, options).await,
    }
}

/// The document with the results.
fn performance(place: &Place) -> PathBuf {
    place.root.join("docs/performance.md")
}
