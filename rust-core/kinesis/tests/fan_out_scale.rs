//! Two hundred subscriptions at once over HTTP/2, with large events and streams that are reset.
//!
//! The connector runs alone in a process of its own, this test started once more, so that its memory can be told from
//! the local cloud's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;

use cloud_support::{Reader, Rig, STREAM};
use kinesis::{Source, SourceConfig};
use local_cloud::{Action, EventTrouble, Options, Rule, Transport, When};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SHARDS: u32 = 200;
const RECORDS: u64 = 600;
/// The largest payload; base64 makes an event of two megabytes of it.
const LARGEST: usize = 1_500_000;
const BUDGET: u64 = 64_000_000;
/// Besides the budget: the clients, and of every subscription an event that has begun to arrive.
const BESIDES: u64 = 240_000_000;
/// Tells the process that holds the connector where the local cloud is.
const CHILD: &str = "SHARDFLOW_TEST_FAN_OUT";
const LIMIT: Duration = Duration::from_secs(35);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_subscriptions_with_large_events_and_resets_all_make_progress() {
    if let Ok(properties) = std::env::var(CHILD) {
        return consume(&properties).await;
    }
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let rig = Rig::start_with(Options { aws_transport: Transport::Tls, ..Options::default() }, SHARDS).await;
    rig.cloud.kinesis().set_max_record_kib(STREAM, 2_048).unwrap();
    let faults = rig.cloud.faults();
    faults.seed(seed);
    let rules = [0, 1, 2].map(|after| {
        let action = Action::Events { after, trouble: EventTrouble::Reset };
        faults.add(Rule::on("SubscribeToShard", When::Probability(0.25), action))
    });
    let put = |random: &mut StdRng| {
        let size = if random.random_bool(0.3) { LARGEST } else { random.random_range(0..100_000) };
        rig.put_one(size);
    };
    (0..RECORDS / 2).for_each(|_| put(&mut random));
    let child = tokio::spawn(started(&rig));
    for n in 0..RECORDS / 2 {
        put(&mut random);
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    let open = rig.cloud.aws_network().open();
    let hits: u64 = rules.iter().map(|rule| faults.hits(*rule)).sum();
    faults.clear();
    let said = child.await.unwrap();
    println!("{hits} resets, {open} of {} connections open\n{said}", rig.cloud.aws_network().accepted());
    let subscriptions = rig.cloud.journal().count("SubscribeToShard");
    assert!(open <= 20, "{open} connections: subscriptions share them");
    assert!(hits > 50, "seed {seed}: {hits} resets of {subscriptions} subscriptions");
    let calls = rig.cloud.journal().calls();
    assert!(calls.iter().filter(|call| call.operation == "SubscribeToShard").all(|call| call.http2));
    rig.cloud.stop().await;
}

/// Runs the connector in another process until it has everything; gives what that said.
fn started(rig: &Rig) -> impl Future<Output = String> + use<> {
    let authority = rig.cloud.ca_file();
    let endpoint = rig.cloud.aws_endpoint();
    let properties = BTreeMap::from([
        ("Stream Name", STREAM),
        ("Application Name", "fan-out"),
        ("Region", "us-west-2"),
        ("AWS Access Key ID", rig.cloud.access_key_id()),
        ("AWS Secret Access Key", rig.cloud.secret_access_key()),
        ("Endpoint Override URL", &endpoint),
        ("CA Certificates File", authority.to_str().unwrap()),
        ("Consumer Type", "ENHANCED_FAN_OUT"),
        ("Memory Budget", "64000000"),
        ("Node Id", "a"),
    ]);
    assert_eq!(properties["Memory Budget"], BUDGET.to_string());
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    let name = "two_hundred_subscriptions_with_large_events_and_resets_all_make_progress";
    child.args(["--exact", name, "--nocapture"]);
    child.env(CHILD, serde_json::to_string(&properties).unwrap());
    async move {
        let output = tokio::time::timeout(LIMIT * 2, child.kill_on_drop(true).output());
        let output = output.await.expect("the child ends in time").unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said
    }
}

/// The process that holds nothing but the connector.
async fn consume(properties: &str) {
    let properties: BTreeMap<String, String> = serde_json::from_str(properties).unwrap();
    let config = SourceConfig::from_properties(&properties).unwrap();
    let (before, began) = (resident(), Instant::now());
    let reader = Reader::start(Source::start(config, &tokio::runtime::Handle::current()));
    let most = Arc::new(AtomicU64::new(0));
    let sampled = most.clone();
    let sampler = tokio::spawn(async move {
        loop {
            sampled.fetch_max(resident(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let wanted: Vec<u64> = (1..=RECORDS).collect();
    reader.until(&wanted, LIMIT).await;
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut got = reader.got();
    got.sort_unstable();
    assert_eq!(got, wanted, "nothing twice");
    let shards = reader.source.status()["shards"].as_array().unwrap().len();
    assert_eq!(shards, SHARDS as usize);
    let grown = most.load(Ordering::Relaxed).saturating_sub(before);
    println!("{} MB in {took:?}, grown by {} MB", reader.bytes() / 1_000_000, grown / 1_000_000);
    assert!(grown <= BUDGET + BESIDES, "grown by {grown} bytes with a budget of {BUDGET}");
    let troubles = reader.troubles();
    assert!(!troubles.iter().any(|t| t.contains("cannot be reached")), "resets are no outage: {troubles:?}");
    sampler.abort();
    reader.stop().await;
}

/// Resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
