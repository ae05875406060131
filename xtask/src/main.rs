//! The tasks behind `./dev`.

mod bench;
mod choices;
mod command;
mod demo;
mod down;
mod error;
mod glibc;
mod latency;
mod licences;
mod lint;
mod nar;
mod natives;
mod place;
mod progress;
mod report;
mod resharding;
mod soak;
mod state;
mod system;
mod test;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::Result;
use place::Place;

/// Shardflow: Kinesis to Snowflake for Apache NiFi and Openflow.
#[derive(Parser)]
#[command(name = "dev", bin_name = "./dev", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, move records from a Kinesis stream into a Snowflake table, check every row, and stop.
    Demo(demo::Options),
    /// Start the same system on an empty stream and table, and leave it running.
    Up(up::Options),
    /// Stop what `up` or `demo --keep` left running.
    Down,
    /// Random troubles over the whole flow against a numbered writer: kills, reshards, cuts, faults of every service.
    Soak(soak::Options),
    /// All tests: Rust, Java, NAR content, flow definition, real NiFi. The last line has the totals.
    Test,
    /// Build the NAR for this machine.
    Nar {
        /// With the optimised library, into target/dist: the NAR to install.
        #[arg(long)]
        release: bool,
    },
    /// Build the native library for this machine and put it where Maven finds it.
    Natives,
    /// What the connector costs and how fast it is, beside others, in a real NiFi; writes docs/performance.md.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Formatting, clippy with warnings denied, dependency policy.
    Lint,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match Place::find() {
        Ok(place) => run(arguments.task, &place).await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

async fn run(task: Task, place: &Place) -> Result<ExitCode> {
    match task {
        Task::Demo(options) => demo::run(place, &options).await,
        Task::Up(options) => up::run(place, &options).await,
        Task::Down => down::run(place).await,
        Task::Soak(options) => soak::run(place, &options).await,
        Task::Test => test::run(place),
        Task::Nar { release } => {
            let nar = if release { nar::build_release(place)? } else { nar::build(place)? };
            println!("{}", nar.display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Natives => {
            println!("{}", natives::build(place)?.display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Bench(bench) => bench::run(place, &bench).await,
        Task::Lint => lint::run(place),
    }
}
