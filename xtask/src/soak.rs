//! Random troubles over the whole flow, for as long as one likes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use nifi_harness::soak::{self, Mix, Outcome, SoakOptions};

use crate::choices::ConsumerType;
use crate::error::Result;
use crate::nar;
use crate::place::Place;
use crate::progress::{Progress, counted, grouped};
use crate::report;

/// Options of `soak`.
#[derive(Debug, Args)]
pub struct Options {
    /// How long troubles go on, in minutes; fractions are fine.
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Where the random numbers begin; by the clock if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// NiFi instances that share stream, application name and table; each takes about 1.5 GB of memory.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
    nodes: u8,
    /// How the stream is read.
    #[arg(long, default_value_t, value_enum, ignore_case = true)]
    consumer_type: ConsumerType,
    /// Write what was found to this file as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "a number of minutes is needed".to_owned())?;
    if (0.1..=10_000.0).contains(&minutes) { Ok(minutes) } else { Err("0.1 to 10000 minutes".to_owned()) }
}

/// Runs it. The exit code is 0 only if nothing is missing, doubled, mislabelled, out of order, unaccounted for or untold.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs() % 1_000_000)
    });
    let progress = Progress::start();
    progress.say(&format!("seed {seed}: repeat this plan with ./dev soak --seed {seed}"));
    let soak_options = SoakOptions {
        folder: place.runs().join(format!("soak-{seed}")),
        home: place.nifi_home(&progress)?,
        java_home: place.java_home.clone(),
        nar: nar::build(place)?,
        flow: place.flow(),
        lasting: Duration::from_secs_f64(options.minutes * 60.0),
        seed,
        nodes: usize::from(options.nodes),
        mix: Mix::All,
        consumer_type: options.consumer_type.to_string(),
    };
    let outcome = soak::run(&soak_options, &|line| progress.say(line)).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("seed {seed}; logs: {}", soak_options.folder.display());
            return Err(error.into());
        }
    };
    print(&outcome);
    if let Some(file) = &options.report {
        report::write(&outcome, &place.of_caller(file))?;
    }
    let clean = outcome.findings.is_clean();
    let verdict =
        if clean { "Nothing is missing, doubled, mislabelled, unaccounted for or untold." } else { "FAILED" };
    println!("seed {seed}: {verdict}");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(outcome: &Outcome) {
    let found = &outcome.findings;
    println!(
        "\n{} in {:.0} s on {}, {} among them; recovered after {:.1} s; {} in all",
        counted(outcome.troubles, "trouble"),
        outcome.seconds,
        counted(u64::try_from(outcome.nodes).unwrap_or(0), "node"),
        counted(outcome.kills, "SIGKILL"),
        outcome.recovered_after,
        counted(u64::try_from(outcome.shards).unwrap_or(0), "shard"),
    );
    let figures = [
        ("sent", found.sent),
        ("rows", found.rows),
        ("rejected rows", found.rejected),
        ("missing", found.missing),
        ("duplicated", found.duplicated),
        ("mislabelled", found.mislabelled),
        ("out of order", found.out_of_order),
        ("unaccounted rejected rows", found.unaccounted_rejected),
        ("FlowFiles at invalid", found.invalid),
        ("FlowFiles at parse-failure", found.parse_failures),
        ("told twice", found.told_twice),
        ("told by a message alone", found.told_by_message),
        ("rejected rows not told", found.untold_rejected),
        ("wrong parse failures", found.wrong_failures),
        ("appends out of order", found.violations),
    ];
    for (name, figure) in figures {
        println!("{name:<26}{:>12}", grouped(figure));
    }
    for example in found.examples.iter().take(10) {
        println!("  {example}");
    }
    println!("Logs and evidence: {}", outcome.folder.display());
}
