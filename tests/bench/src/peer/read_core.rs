//! The connector's core as NiFi's process has it, without NiFi: what is read is copied in pieces, as it crosses to Java,
//! and dropped. The difference to the figures of NiFi is what NiFi adds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kinesis::{Batch, Source, SourceConfig};

use super::Outcome;
use super::read_sdk::Options;
use super::usage::{Usage, print};

/// Bytes that cross to Java at once.
const PIECE: usize = 256 * 1024;
/// Bytes of a generated payload.
const PAYLOAD: u64 = 1_024;
/// Longest time until the first batch: tables, leases and subscriptions come first.
const FIRST: Duration = Duration::from_secs(30);
/// From the first batch until the measurement begins.
const WARM_UP: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(250);

/// Reads and measures.
pub fn run(options: &Options) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let source = Source::start(config(options)?, runtime.handle());
    let mut reader = Reader { source, piece: vec![0; PIECE], records: 0, batches: 0, bytes: 0 };
    let _context = runtime.enter();
    let begun = Instant::now();
    while reader.records == 0 {
        if begun.elapsed() > FIRST {
            return Err(format!("nothing came: {:?}", reader.source.messages()).into());
        }
        reader.step(&runtime)?;
    }
    reader.go_on(&runtime, WARM_UP)?;
    let usage = Usage::begin()?;
    (reader.records, reader.batches, reader.bytes) = (0, 0, 0);
    reader.go_on(&runtime, Duration::from_secs_f64(options.seconds))?;
    let measured = usage.end(reader.records, reader.records * PAYLOAD)?;
    eprintln!("{} batches of {} bytes", reader.batches, reader.bytes / reader.batches.max(1));
    runtime.block_on(reader.source.close(Duration::from_secs(1)));
    print(&measured)
}

fn config(options: &Options) -> Outcome<SourceConfig> {
    let consumer_type = if options.fan_out { "ENHANCED_FAN_OUT" } else { "SHARED_THROUGHPUT" };
    let application = format!("core-{}", std::process::id());
    let properties = [
        ("Stream Name", options.stream.as_str()),
        ("Application Name", &application),
        ("Region", &options.region),
        ("AWS Access Key ID", &options.key),
        ("AWS Secret Access Key", &options.secret),
        ("Consumer Type", consumer_type),
        ("Initial Stream Position", "TRIM_HORIZON"),
        ("Endpoint Override URL", &options.endpoint),
    ];
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(SourceConfig::from_properties(&properties)?)
}

struct Reader {
    source: Source,
    piece: Vec<u8>,
    records: u64,
    batches: u64,
    bytes: u64,
}

impl Reader {
    fn go_on(&mut self, runtime: &tokio::runtime::Runtime, time: Duration) -> Outcome<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.step(runtime)?;
        }
        Ok(())
    }

    fn step(&mut self, runtime: &tokio::runtime::Runtime) -> Outcome<()> {
        if let Some(batch) = runtime.block_on(self.source.next_batch(POLL))? {
            self.take(&batch)?;
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch) -> Outcome<()> {
        for part in &batch.parts {
            for piece in part.content.chunks(PIECE) {
                self.piece[..piece.len()].copy_from_slice(piece);
                std::hint::black_box(&mut self.piece);
            }
            self.records += part.records;
            self.bytes += u64::try_from(part.content.len())?;
        }
        self.batches += 1;
        Ok(self.source.settle(batch.id, true)?)
    }
}
