//! What reading Kinesis costs in JSON and in CBOR: CPU time of one thread per gigabyte of payload.
//!
//! `cargo run -p bench --bin wire-format`. An endpoint on loopback, in a thread of its own, answers every GetRecords
//! with the same prepared page; only the reading thread is measured. Results are printed, nothing is asserted.

mod clock;
mod page;
mod server;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use clap::Parser;
use kinesis::cbor::{KinesisProtocol, WireFormat, epoch_millis};
use record::{ArrivalFormat, Metadata, append_row};
use server::Endpoint;
use std::error::Error;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Compares the wire formats.
#[derive(Parser)]
struct Options {
    /// Payload to read per measurement, in megabytes.
    #[arg(long, default_value_t = 1_000)]
    megabytes: usize,
    /// Size of one payload, in bytes.
    #[arg(long, default_value_t = 1_024)]
    record_bytes: usize,
    /// Records a page; may be given several times.
    #[arg(long = "records", default_values_t = [1_000, 10_000])]
    records: Vec<usize>,
    /// Measurements of each kind; the lowest counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What is done with a page.
#[derive(Clone, Copy)]
enum Work {
    /// Read through the SDK.
    Read,
    /// And made into rows with metadata, which validates each payload as JSON.
    Rows,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!(
        "CPU seconds of the reading thread per GB of payload, records of {} bytes",
        options.record_bytes
    );
    println!("{:>8}  {:<6} {:>10} {:>10}", "a page", "format", "read", "+ rows");
    for &records in &options.records {
        let endpoint = Endpoint::start(records, options.record_bytes)?;
        for (name, format) in [("JSON", WireFormat::Json), ("CBOR", WireFormat::Cbor)] {
            let client = client(&endpoint, format);
            let mut best = [f64::INFINITY; 2];
            for _ in 0..options.rounds {
                for (cell, work) in best.iter_mut().zip([Work::Read, Work::Rows]) {
                    *cell = cell.min(runtime.block_on(measure(&client, &options, records, work))?);
                }
            }
            println!("{records:>8}  {name:<6} {:>10.2} {:>10.2}", best[0], best[1]);
        }
    }
    Ok(())
}

fn client(endpoint: &Endpoint, format: WireFormat) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench"))
        .region(Region::new("us-west-2"))
        .endpoint_url(endpoint.url())
        .protocol(KinesisProtocol::new(format));
    Client::from_conf(config.build())
}

/// CPU seconds per gigabyte.
async fn measure(client: &Client, options: &Options, records: usize, work: Work) -> Outcome<f64> {
    let pages = (options.megabytes * 1_000_000).div_ceil(records * options.record_bytes);
    let mut rows = Vec::new();
    let mut bytes = 0;
    // Connection, credentials and endpoint are resolved by the first call.
    client.get_records().shard_iterator("iterator").send().await?;
    let start = clock::thread_cpu()?;
    for _ in 0..pages {
        let page = client.get_records().shard_iterator("iterator").send().await?;
        bytes += page.records().iter().map(|record| record.data().as_ref().len()).sum::<usize>();
        if let Work::Rows = work {
            shape(&page, &mut rows)?;
        }
    }
    let spent = clock::thread_cpu()? - start;
    if bytes != pages * records * options.record_bytes {
        return Err("the pages read are not those that were sent".into());
    }
    Ok(spent.as_secs_f64() * 1e9 / page::as_float(bytes))
}

fn shape(page: &GetRecordsOutput, rows: &mut Vec<u8>) -> Outcome<()> {
    rows.clear();
    for record in page.records() {
        let metadata = Metadata {
            stream: "orders",
            shard_id: "shardId-000000000001",
            approximate_arrival_ms: record.approximate_arrival_timestamp().map(epoch_millis),
            partition_key: record.partition_key().unwrap_or_default(),
            sequence_number: record.sequence_number(),
            sub_sequence_number: 0,
        };
        append_row(record.data().as_ref(), Some(&metadata), ArrivalFormat::Iso, rows)
            .map_err(|reject| format!("{reject:?}"))?;
    }
    Ok(())
}
