//! One byte budget, whatever the number of shards and the size of their answers.
//!
//! The library runs alone in a process of its own, this test started once more, so that its memory can be told from the
//! local cloud's. The code of the process, mapped from its file, is not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use local_cloud::{Generator, LocalCloud, Options};

use crate::registry::{Registry, registry};

/// One after another: each of these tests needs the whole machine.
pub(crate) static TURN: Mutex<()> = Mutex::new(());
/// Tells the process that holds the library where the local cloud is, and what to do.
const CHILD: &str = "SHARDFLOW_TEST_MEMORY";
const SHARDS: u32 = 1_000;
/// The clients and their connections.
const CLIENTS: u64 = 8_000_000;
/// What is known about a shard.
const SHARD: u64 = 12_000;
/// What this test says of the calls to DynamoDB: each shard's row is written when its lease is taken, with its start,
/// and then at most every five seconds; the node's own row and the list of all rows are next to nothing.
const WRITES_AT_START: u64 = 3 * SHARDS as u64;
const WRITES_A_MINUTE: u64 = 12 * SHARDS as u64 + 100;

struct Case {
    stream: &'static str,
    shards: u32,
    budget: u64,
    /// Ends when every shard was seen, or after this long.
    seconds: Option<u64>,
}

const LARGE: Case = Case { stream: "large", shards: SHARDS, budget: 64_000_000, seconds: None };
const ROOMY: Case = Case { stream: "large", shards: SHARDS, budget: 256_000_000, seconds: Some(6) };
const BUSY: Case = Case { stream: "busy", shards: 16, budget: 64_000_000, seconds: Some(6) };
const IDLE: Case = Case { stream: "idle", shards: SHARDS, budget: 64_000_000, seconds: Some(3) };

#[test]
fn a_thousand_shards_with_large_answers_stay_within_the_budget() {
    const NAME: &str = "memory_tests::a_thousand_shards_with_large_answers_stay_within_the_budget";
    run(NAME, &LARGE, |case, grown| grown <= case.budget / 5 * 6 + besides(case));
}

#[test]
fn a_large_budget_bounds_everything() {
    const NAME: &str = "memory_tests::a_large_budget_bounds_everything";
    run(NAME, &ROOMY, |case, grown| grown <= case.budget / 5 * 6);
}

#[test]
fn a_few_busy_shards_stay_within_the_budget() {
    const NAME: &str = "memory_tests::a_few_busy_shards_stay_within_the_budget";
    run(NAME, &BUSY, |case, grown| grown <= case.budget / 5 * 6 + besides(case));
}

#[test]
fn what_is_known_about_shards_is_small() {
    const NAME: &str = "memory_tests::what_is_known_about_shards_is_small";
    run(NAME, &IDLE, |case, grown| grown <= besides(case));
}

fn besides(case: &Case) -> u64 {
    CLIENTS + SHARD * u64::from(case.shards)
}

/// Runs one case in a process of its own; in that process, the library.
fn run(name: &str, case: &Case, is_within: impl Fn(&Case, u64) -> bool) {
    if let Ok(access) = std::env::var(CHILD) {
        let grown = consume(&access, case);
        assert!(is_within(case, grown), "grown by {grown} bytes with a budget of {}", case.budget);
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cloud = runtime.block_on(LocalCloud::start(Options::default())).unwrap();
    // Answers as large as the service makes them, ten megabytes; or as large as asked for; or none.
    let (records, bytes) = match case.stream {
        "large" => (100, 100_000),
        "busy" => (10_000_000, 1_024),
        _ => (0, 100),
    };
    let generator = Generator { records, bytes, per_second: None, aggregate: None };
    cloud.kinesis().create_generated_stream(case.stream, case.shards, generator).unwrap();
    let began = Instant::now();
    let (endpoint, id, secret) = (cloud.aws_endpoint(), cloud.access_key_id(), cloud.secret_access_key());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env(CHILD, format!("{endpoint} {id} {secret}"));
    // As fast as it comes, without the service's limits.
    let output = child.env("SHARDFLOW_READ_PACE", "off").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seconds = began.elapsed().as_secs() + 1;
    let table = cloud.journal().calls().iter().filter(|call| call.service == "dynamodb").count() as u64;
    let bound = WRITES_AT_START + WRITES_A_MINUTE * seconds / 60;
    println!("{table} calls to DynamoDB in {seconds} s, at most {bound}\n{said}");
    assert!(table <= bound, "{table} calls to DynamoDB in {seconds} s, at most {bound}");
    runtime.block_on(cloud.stop());
}

fn settings(access: &str, case: &Case) -> kinesis::SourceConfig {
    let access: Vec<&str> = access.split(' ').collect();
    let properties = [
        ("Stream Name", case.stream),
        ("Application Name", "memory-app"),
        ("Region", "us-west-2"),
        ("Endpoint Override URL", access[0]),
        ("AWS Access Key ID", access[1]),
        ("AWS Secret Access Key", access[2]),
        ("Memory Budget", &case.budget.to_string()),
        ("Node Id", "a"),
    ];
    let properties: BTreeMap<String, String> =
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    kinesis::SourceConfig::from_properties(&properties).unwrap()
}

/// The process that holds nothing but the library: bytes by which its memory grew at most.
fn consume(access: &str, case: &Case) -> u64 {
    let before = resident();
    let most = sample();
    let growth = || most.load(Ordering::Relaxed).saturating_sub(before);
    let id = registry().open_source(settings(access, case)).unwrap();
    let source = registry().source(id).unwrap();
    let status = |name: &str| source.value.source.status()["budget"][name].as_u64().unwrap();

    // Nobody takes anything.
    let deadline = Instant::now() + Duration::from_secs(60);
    while source.value.source.status()["shards"].as_array().unwrap().len() < case.shards as usize {
        assert!(Instant::now() < deadline, "all shards are held");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(4));
    let used = status("usedBytes");
    println!("stalled: grown by {} MB, {} MB accounted for", growth() / 1_000_000, used / 1_000_000);
    assert!(used * 2 > case.budget || case.stream == "idle", "the stall has filled the budget: {used}");

    let accounted = take_all(registry(), id, case, used);
    println!("grown by {} MB, at most {} MB accounted for", growth() / 1_000_000, accounted / 1_000_000);
    assert!(accounted <= case.budget / 5 * 6, "{accounted} bytes accounted for");
    source.runtime.handle().block_on(source.value.source.close(Duration::from_secs(10)));
    assert_eq!(status("usedBytes"), 0, "the account returns to zero");
    growth()
}

/// Takes a batch now and then, later as fast as possible. Gives the most bytes that were accounted for.
fn take_all(registry: &Registry, id: i64, case: &Case, used: u64) -> u64 {
    let source = registry.source(id).unwrap();
    let (began, limit) = (Instant::now(), case.seconds.unwrap_or(200));
    let (mut seen, mut accounted, mut bytes) = (BTreeSet::new(), used, 0);
    while case.seconds.is_some() || seen.len() < SHARDS as usize {
        if began.elapsed() >= Duration::from_secs(limit) {
            assert!(case.seconds.is_some(), "all shards progress: {} did", seen.len());
            break;
        }
        let Some(batch) = source.poll(Duration::from_millis(250)).unwrap() else { continue };
        for part in &batch.parts {
            seen.extend(part.attribute("aws.kinesis.shard.id").map(str::to_owned));
            // As NiFi's thread does it.
            bytes += part.content.chunks(1 << 18).map(|piece| piece.to_vec().len()).sum::<usize>();
        }
        source.settle(i64::try_from(batch.id).unwrap(), true).unwrap();
        drop(batch);
        accounted = accounted.max(source.value.source.status()["budget"]["usedBytes"].as_u64().unwrap());
        if began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    println!("{} MB of {} shards in {:?}", bytes / 1_000_000, seen.len(), began.elapsed());
    accounted
}

/// Follows the memory of this process.
pub(crate) fn sample() -> Arc<AtomicU64> {
    let most = Arc::new(AtomicU64::new(0));
    let sampled = Arc::clone(&most);
    std::thread::spawn(move || {
        loop {
            sampled.fetch_max(resident(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    most
}

/// Resident memory of this process that is not mapped from a file, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
