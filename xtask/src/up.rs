//! The system, started and left alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nifi_harness::{Lifetime, Shape};

use crate::choices::ConsumerType;
use crate::error::Result;
use crate::place::Place;
use crate::progress::Progress;
use crate::report;
use crate::state::{self, Facts, State};
use crate::system::{System, SystemOptions};

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Options {
    /// Shards of the stream.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=512))]
    shards: u32,
    /// How the stream is read.
    #[arg(long, default_value_t, value_enum, ignore_case = true)]
    consumer_type: ConsumerType,
    /// Load this NAR, one of `./dev nar --release` say, rather than the one built here.
    #[arg(long, value_name = "FILE")]
    nar: Option<PathBuf>,
    /// Write endpoints, keys and names to this file as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Starts the system and returns; if one runs already, says so and shows that one.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    if let Some(facts) = State::find(place)?.and_then(|state| state.facts) {
        println!("Already running:");
        return show(place, options, &facts);
    }
    state::refuse_if_running(place)?;
    let progress = Progress::start();
    let folder = place.runs().join("up");
    let system_options = SystemOptions {
        folder,
        shards: options.shards,
        lifetime: Lifetime::Detached,
        consumer_type: options.consumer_type.to_string(),
        shape: Shape::default(),
        nar: options.nar.as_deref().map(|file| place.of_caller(file)),
    };
    let system = match System::start(place, &system_options, &progress).await {
        Ok(system) => system,
        Err(error) => {
            // Half a system is of no use and would be in the way of the next attempt.
            crate::down::stop_what_runs(place).await?;
            return Err(error);
        }
    };
    println!("logs          {}", system.logs());
    show(place, options, &system.facts())
}

fn show(place: &Place, options: &Options, facts: &Facts) -> Result<ExitCode> {
    if let Some(file) = &options.report {
        report::write(facts, &place.of_caller(file))?;
    }
    print(facts);
    println!("Stop it with ./dev down");
    Ok(ExitCode::SUCCESS)
}

/// Prints what a user needs to know.
pub fn print(facts: &Facts) {
    println!("NiFi          {}", facts.nifi_url);
    println!("local cloud   {}", facts.page_url);
    println!("all there?    {}api/check", facts.page_url);
    println!("Kinesis       {} in {}, stream {}", facts.aws_endpoint, facts.aws_region, facts.stream);
    println!("keys          {} / {}", facts.aws_access_key_id, facts.aws_secret_access_key);
    println!("application   {}", facts.application);
    println!("Snowflake     {}, authority {}", facts.snowflake_url, facts.snowflake_ca_file);
    println!(
        "login         account {}, user {}, role {}, key {}",
        facts.snowflake_account, facts.snowflake_user, facts.snowflake_role, facts.snowflake_private_key_file
    );
    println!("table         {}.{}.{}", facts.database, facts.schema, facts.table);
    println!("process group {}", facts.process_group_id);
}
