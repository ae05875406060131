//! The floor that everybody can reach: a loop around the AWS SDK for Rust, with its own protocol (JSON). Payloads are
//! counted and dropped.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_kinesis::types::ShardIteratorType;
use clap::Args;

use super::usage::{Usage, print};
use super::{Outcome, fan_out};

/// Options of the readers.
#[derive(Args, Clone)]
pub struct Options {
    /// `http://host:port` of Kinesis.
    #[arg(long)]
    pub endpoint: String,
    /// Access key.
    #[arg(long)]
    pub key: String,
    /// Its secret.
    #[arg(long)]
    pub secret: String,
    /// Region to sign for.
    #[arg(long)]
    pub region: String,
    /// Stream to read from its beginning.
    #[arg(long)]
    pub stream: String,
    /// Its shards.
    #[arg(long)]
    pub shards: u32,
    /// Records a request.
    #[arg(long, default_value_t = 1_000)]
    pub records: i32,
    /// Seconds that are measured, after one that is not.
    #[arg(long)]
    pub seconds: f64,
    /// Enhanced fan-out.
    #[arg(long)]
    pub fan_out: bool,
}

impl Options {
    /// The identifier of a shard.
    pub fn shard(index: u32) -> String {
        format!("shardId-{index:012}")
    }
}

/// What the loops of all shards have read.
#[derive(Default, Clone)]
pub struct Count(Rc<Cell<(u64, u64)>>);

impl Count {
    /// Adds records and bytes.
    pub fn add(&self, records: u64, bytes: u64) {
        let (r, b) = self.0.get();
        self.0.set((r + records, b + bytes));
    }
}

/// Measures loops that run beside this.
pub async fn measure(count: &Count, seconds: f64) -> Outcome<()> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = count.0.get();
    let usage = Usage::begin()?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let after = count.0.get();
    print(&usage.end(after.0 - before.0, after.1 - before.1)?)
}

/// Runs one loop a shard and measures them.
pub async fn run(options: Options) -> Outcome<()> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(&options.key, &options.secret, None, None, "bench"))
        .region(Region::new(options.region.clone()))
        .endpoint_url(&options.endpoint);
    let client = Client::from_conf(config.build());
    let count = Count::default();
    let loops = tokio::task::LocalSet::new();
    let consumer =
        if options.fan_out { Some(fan_out::register(&client, &options.stream).await?) } else { None };
    for index in 0..options.shards {
        let (client, count, options) = (client.clone(), count.clone(), options.clone());
        let consumer = consumer.clone();
        loops.spawn_local(async move {
            let ended = match consumer {
                Some(consumer) => fan_out::read(&client, &consumer, &Options::shard(index), &count).await,
                None => poll(&client, &options, index, &count).await,
            };
            if let Err(error) = ended {
                eprintln!("the loop of shard {index} ended: {error}");
            }
        });
    }
    let measured = loops.run_until(measure(&count, options.seconds)).await;
    if let Some(consumer) = consumer {
        client.deregister_stream_consumer().consumer_arn(consumer).send().await?;
    }
    measured
}

async fn poll(client: &Client, options: &Options, index: u32, count: &Count) -> Outcome<()> {
    let start = client.get_shard_iterator().stream_name(&options.stream).shard_id(Options::shard(index));
    let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await?;
    let mut iterator = start.shard_iterator;
    while iterator.is_some() {
        let page = client.get_records().set_shard_iterator(iterator).limit(options.records).send().await?;
        let bytes: usize = page.records.iter().map(|record| record.data.as_ref().len()).sum();
        count.add(u64::try_from(page.records.len())?, u64::try_from(bytes)?);
        iterator = page.next_shard_iterator;
    }
    Ok(())
}
