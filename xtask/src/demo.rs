//! The demo: records from a Kinesis stream into a Snowflake table through a real NiFi, every row checked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use nifi_harness::audit::{self, Audit};
use nifi_harness::producer::{Sent, bad_among};
use nifi_harness::{Lifetime, ResultSet, Settings, SqlClient};

use crate::choices::{ConsumerType, Destination};
use crate::error::{Error, Result};
use crate::latency::{self, Latency};
use crate::place::Place;
use crate::progress::{Progress, counted, grouped};
use crate::report::{self, Report};
use crate::resharding;
use crate::state;
use crate::system::{System, SystemOptions};
use crate::up;

/// A flow that moves nothing for this long will not move again by itself.
const STALL: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SAY_EVERY: Duration = Duration::from_secs(2);
const FLOW_STOP: Duration = Duration::from_secs(20);

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Options {
    /// Records to send; one in a hundred is bad on purpose.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    records: u64,
    /// Shards of the stream.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=512))]
    shards: u32,
    /// How the stream is read.
    #[arg(long, default_value_t, value_enum, ignore_case = true)]
    consumer_type: ConsumerType,
    /// What the rows go to.
    #[arg(long, default_value = "standard", value_enum)]
    destination: Destination,
    /// Split and merge shards while records flow.
    #[arg(long)]
    reshard: bool,
    /// Load this NAR, one of `./dev nar --release` say, rather than the one built here.
    #[arg(long, value_name = "FILE")]
    nar: Option<PathBuf>,
    /// Leave the system running.
    #[arg(long)]
    keep: bool,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs the demo. The exit code is 0 only if every record arrived once, with right metadata.
pub async fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    if options.keep {
        state::refuse_if_running(place)?;
    }
    let progress = Progress::start();
    let lifetime = if options.keep { Lifetime::Detached } else { Lifetime::WithParent };
    let folder = place.runs().join(if options.keep { "up" } else { "demo" });
    let system_options = SystemOptions {
        folder,
        shards: options.shards,
        lifetime,
        consumer_type: options.consumer_type.to_string(),
        shape: options.destination.into(),
        nar: options.nar.as_deref().map(|file| place.of_caller(file)),
    };
    let started = System::start(place, &system_options, &progress).await;
    let shown = match started {
        Ok(system) => show(place, options, system, &progress).await,
        Err(error) => Err(error),
    };
    match shown {
        Err(error) if options.keep => {
            crate::down::stop_what_runs(place).await?;
            Err(error)
        }
        other => other,
    }
}

async fn show(place: &Place, options: &Options, system: System, progress: &Progress) -> Result<ExitCode> {
    let (ledger, seconds) = move_records(options, &system, progress).await?;
    let settings = &system.settings;
    print_head(&system.sql, settings).await?;
    if !options.keep {
        // What is still under way, a second copy say, must be in the table before it is counted.
        system.connector.stop(FLOW_STOP).await?;
    }
    let audit = audit::compare(&system.sql, settings, &ledger).await?;
    let figures = Report {
        sent: options.records,
        rows: audit.rows,
        missing: audit.missing,
        duplicated: audit.duplicated,
        wrong_metadata: audit.wrong_metadata,
        wrong_values: audit.wrong_values,
        parse_failures: system.connector.parse_failures().await?,
        latency_ms: latency::measure(&system.sql, settings, &ledger).await?,
        seconds,
        shards: system.producer.count_shards().await?.1,
        consumer_type: options.consumer_type.to_string(),
        destination: options.destination.to_string(),
    };
    let bad = bad_among(options.records);
    print_figures(&figures, &audit, bad, settings);
    if let Some(file) = &options.report {
        report::write(&figures, &place.of_caller(file))?;
    }
    let logs = system.logs();
    if options.keep {
        println!("\nLeft running:");
        up::print(&system.facts());
        println!("Stop it with ./dev down");
    } else {
        system.stop().await?;
    }
    println!("Logs: {logs}");
    let right = audit.is_clean() && figures.parse_failures == bad;
    println!(
        "{}",
        if right { "Every record arrived exactly once." } else { "FAILED: the figures are not right." }
    );
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts the records and watches the table until all rows are there. Returns the ledger, and the seconds it took.
async fn move_records(options: &Options, system: &System, progress: &Progress) -> Result<(Vec<Sent>, f64)> {
    let bad = bad_among(options.records);
    let good = options.records - bad;
    progress.say(&format!(
        "putting {} onto {}, {} of them bad on purpose",
        counted(options.records, "record"),
        counted(u64::from(options.shards), "shard"),
        grouped(bad)
    ));
    let begun = Instant::now();
    let mut producer = system.producer.clone();
    let records = options.records;
    if options.reshard {
        producer = producer.at_most(records / resharding::SECONDS);
    }
    let put = tokio::spawn(async move { producer.put(0, records).await });
    let resharding =
        options.reshard.then(|| tokio::spawn(resharding::run(system.producer.clone(), *progress)));
    let watched = watch(system, good, bad, &begun, progress).await;
    if let Err(error) = watched {
        let said = system.connector.bulletin_texts().await.unwrap_or_default();
        let said = if said.is_empty() { "NiFi shows no bulletin".to_owned() } else { said.join("\n  ") };
        return Err(Error::Other(format!("{error}\n  {said}\nLogs: {}", system.logs())));
    }
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(task) = resharding {
        resharding::end(task).await?;
    }
    let ledger = put.await.map_err(|error| Error::Other(format!("putting records: {error}")))??;
    Ok((ledger, seconds))
}

async fn watch(system: &System, good: u64, bad: u64, begun: &Instant, progress: &Progress) -> Result<()> {
    let count = format!("SELECT COUNT(*) FROM {}", system.settings.full_table());
    let (mut last, mut moved, mut said) = ((0, 0), Instant::now(), *begun);
    loop {
        let rows = system.sql.query(&count).await?.number();
        let failures = system.connector.parse_failures().await?;
        let done = rows >= good && failures >= bad;
        if done || said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let rate = Duration::from_secs(rows).div_f64(begun.elapsed().as_secs_f64().max(0.1)).as_secs();
            progress.say(&format!(
                "{} of {} rows in the table ({}/s), {} of {} parse failures",
                grouped(rows),
                grouped(good),
                grouped(rate),
                grouped(failures),
                grouped(bad)
            ));
        }
        if done {
            return Ok(());
        }
        if (rows, failures) != last {
            (last, moved) = ((rows, failures), Instant::now());
        } else if moved.elapsed() > STALL {
            return Err(Error::Other(format!("nothing has moved for {} s; NiFi says:", STALL.as_secs())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn print_head(sql: &SqlClient, settings: &Settings) -> Result<()> {
    let shape = settings.shape;
    let mut columns = vec![shape.id()];
    columns.extend(shape.columns());
    if shape.has_metadata() {
        columns.push("kinesisMetadata:shardId::VARCHAR AS SHARD");
        columns.push("kinesisMetadata:approximateArrival::VARCHAR AS ARRIVED");
    }
    if shape.has_row_timestamp() {
        columns.push("METADATA$ROW_LAST_COMMIT_TIME::VARCHAR AS COMMITTED");
    }
    let (columns, table, id) = (columns.join(", "), settings.full_table(), shape.id());
    let statement = format!("SELECT {columns} FROM {table} ORDER BY {id}::NUMBER LIMIT 5");
    let head = sql.query(&statement).await?;
    println!("\n{statement};\n{}", grid(&head));
    Ok(())
}

fn grid(set: &ResultSet) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let body: Vec<Vec<String>> = set.rows.iter().map(|row| row.iter().map(text).collect()).collect();
    let width = |column: usize| {
        let cells = body.iter().filter_map(|row| row.get(column));
        cells.chain(set.columns.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..set.columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("-+-");
    let mut lines = vec![line(&set.columns), rule];
    lines.extend(body.iter().map(|row| line(row)));
    lines.join("\n")
}

fn print_figures(figures: &Report, audit: &Audit, bad: u64, settings: &Settings) {
    if let Some(statement) = latency::statement(settings) {
        println!("\n{statement};");
    }
    let remark = latency::remark(settings.shape);
    match figures.latency_ms {
        Some(Latency { p50, p99, max }) => {
            println!("row latency     p50 {p50} ms, p99 {p99} ms, max {max} ms, {remark}\n");
        }
        None => println!("\nrow latency     not measured: {remark}\n"),
    }
    println!("sent            {:>12}  ({} of them bad)", grouped(figures.sent), grouped(bad));
    println!("rows            {:>12}", grouped(figures.rows));
    println!("missing         {:>12}", grouped(figures.missing));
    println!("duplicated      {:>12}", grouped(figures.duplicated));
    println!("wrong metadata  {:>12}", grouped(figures.wrong_metadata));
    println!("wrong values    {:>12}", grouped(figures.wrong_values));
    println!("parse failures  {:>12}  (expected {})", grouped(figures.parse_failures), grouped(bad));
    println!("seconds         {:>12.1}", figures.seconds);
    for example in &audit.examples {
        println!("  {example}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_as_wide_as_its_widest_cells() {
        let set = ResultSet {
            columns: vec!["ID".to_owned(), "NAME".to_owned()],
            rows: vec![vec![Some("1".to_owned()), None], vec![Some("200".to_owned()), Some("a".to_owned())]],
        };
        assert_eq!(grid(&set), "ID  | NAME\n----+-----\n1   | NULL\n200 | a");
    }
}
