//! One byte budget, whatever the number of shards and the size of their answers.
//!
//! The connector runs alone in a process of its own, this test started once more, so that its memory can be told from
//! the local cloud's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use kinesis::{Source, SourceConfig};
use local_cloud::{Generator, LocalCloud, Options};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SHARDS: u32 = 1_000;
const RECORD: usize = 100_000;
const BUDGET: u64 = 64_000_000;
/// Besides the budget: the clients, the state of a thousand shards, and what the system's allocator keeps of freed
/// answers.
const BESIDES: u64 = 180_000_000;
/// Tells the process that holds the connector where the local cloud is.
const CHILD: &str = "SHARDFLOW_TEST_ENDPOINT";
/// What this test says of the calls to DynamoDB: each shard's row is written when its lease is taken, with its start,
/// and then at most every five seconds; the node's own row and the list of all rows are next to nothing.
const WRITES_AT_START: u64 = 3 * SHARDS as u64;
const WRITES_A_MINUTE: u64 = 12 * SHARDS as u64 + 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_shards_with_large_answers_stay_within_the_budget() {
    if let Ok(endpoint) = std::env::var(CHILD) {
        return consume(&endpoint).await;
    }
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    // Each answer is as large as the service makes them: ten megabytes.
    let generator = Generator { records: 100, bytes: RECORD, per_second: None, aggregate: None };
    cloud.kinesis().create_generated_stream("large", SHARDS, generator).unwrap();
    let began = Instant::now();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_thousand_shards_with_large_answers_stay_within_the_budget", "--nocapture"]);
    child.env(
        CHILD,
        format!("{} {} {}", cloud.aws_endpoint(), cloud.access_key_id(), cloud.secret_access_key()),
    );
    let output = tokio::time::timeout(Duration::from_secs(300), child.kill_on_drop(true).output());
    let output = output.await.expect("the child ends in time").unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seconds = began.elapsed().as_secs() + 1;
    let calls = cloud.journal().calls();
    let table = calls.iter().filter(|call| call.service == "dynamodb").count() as u64;
    let bound = WRITES_AT_START + WRITES_A_MINUTE * seconds / 60;
    println!("{table} calls to DynamoDB in {seconds} s, at most {bound}\n{said}");
    assert!(table <= bound, "{table} calls to DynamoDB in {seconds} s, at most {bound}");
    cloud.stop().await;
}

fn settings(access: &str) -> SourceConfig {
    let access: Vec<&str> = access.split(' ').collect();
    let properties = [
        ("Stream Name", "large"),
        ("Application Name", "large-app"),
        ("Region", "us-west-2"),
        ("Endpoint Override URL", access[0]),
        ("AWS Access Key ID", access[1]),
        ("AWS Secret Access Key", access[2]),
        ("Memory Budget", &BUDGET.to_string()),
        ("Node Id", "a"),
    ];
    let properties: BTreeMap<String, String> =
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SourceConfig::from_properties(&properties).unwrap()
}

/// The process that holds nothing but the connector.
async fn consume(access: &str) {
    let config = settings(access);
    let before = resident();
    let source = Source::start(config, &tokio::runtime::Handle::current());
    let most = Arc::new(AtomicU64::new(0));
    let sampled = most.clone();
    let sampler = tokio::spawn(async move {
        loop {
            sampled.fetch_max(resident(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let growth = || most.load(Ordering::Relaxed).saturating_sub(before);

    // Nobody takes anything.
    let deadline = Instant::now() + Duration::from_secs(60);
    while source.status()["shards"].as_array().unwrap().len() < SHARDS as usize {
        assert!(Instant::now() < deadline, "all shards are held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let used = source.status()["budget"]["usedBytes"].as_u64().unwrap();
    println!("stalled: grown by {} MB, {} MB accounted for", growth() / 1_000_000, used / 1_000_000);
    assert!(used * 2 > BUDGET, "the stall has filled the budget: {used}");

    // Somebody takes a batch now and then, later as fast as possible.
    let began = Instant::now();
    let (mut seen, mut slowly, mut accounted) = (BTreeSet::new(), 0, used);
    while seen.len() < SHARDS as usize {
        assert!(began.elapsed() < Duration::from_secs(220), "all shards progress: {} did", seen.len());
        let Some(batch) = source.next_batch(Duration::from_millis(250)).await.unwrap() else { continue };
        for part in &batch.parts {
            seen.extend(
                part.attributes.iter().filter(|(n, _)| *n == "aws.kinesis.shard.id").map(|(_, v)| v.clone()),
            );
        }
        source.settle(batch.id, true).unwrap();
        accounted = accounted.max(source.status()["budget"]["usedBytes"].as_u64().unwrap());
        if began.elapsed() < Duration::from_secs(5) {
            slowly += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    println!(
        "{} batches slowly, all shards after {:?}: grown by {} MB, from {} MB",
        slowly,
        began.elapsed(),
        growth() / 1_000_000,
        before / 1_000_000
    );
    assert!(growth() <= BUDGET + BESIDES, "grown by {} bytes with a budget of {BUDGET}", growth());
    assert!(accounted <= BUDGET + BUDGET / 5, "{accounted} bytes accounted for with a budget of {BUDGET}");
    source.close(Duration::from_secs(10)).await;
    assert_eq!(source.status()["budget"]["usedBytes"], 0, "the account returns to zero");
    sampler.abort();
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
