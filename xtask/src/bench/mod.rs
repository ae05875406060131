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
use std::process::{Command, ExitCode};

use clap::Subcommand;

use crate::command;
use crate::error::Result;
use crate::natives;
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
    let release = match bench {
        Bench::Consume(options) => options.release,
        Bench::Publish(options) => options.release,
    };
    if release && !optimised() {
        return again_as_release(place);
    }
    match bench {
        Bench::Consume(options) => consume::run(place, options).await,
        Bench::Publish(options) => publish::run(place, options).await,
    }
}

/// Whether this program, and so all beside it, was built with the release profile.
fn optimised() -> bool {
    !cfg!(debug_assertions)
}

/// Builds everything with the release profile and runs the same command there; the NAR gets that library, too.
fn again_as_release(place: &Place) -> Result<ExitCode> {
    println!("building with the release profile; the first time this takes long");
    command::run(natives::cargo().current_dir(&place.root).args(["build", "--workspace", "--release"]))?;
    let program = place.program("xtask")?;
    let file = program.file_name().unwrap_or_default();
    let program = program.parent().unwrap_or(&program).with_file_name("release").join(file);
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env("SHARDFLOW_BUILT", "1");
    command::run(&mut again)?;
    Ok(ExitCode::SUCCESS)
}

/// The document with the results.
fn performance(place: &Place) -> PathBuf {
    place.root.join("docs/performance.md")
}
