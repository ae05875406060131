//! Services that accept connections and never answer: opening and closing are quick, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kinesis::{Source, SourceConfig};
use snowpipe::{Sink, SinkConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;

const CYCLES: usize = 200;
/// The first cycles fill caches and pools for good.
const WARM: usize = 20;
/// Two megabytes over 180 cycles are the noise of an allocator; one client with its certificates would be half of it.
const RSS_GROWTH: u64 = 8 << 20;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Accepts everything and tells how many connections came.
async fn hole() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.send_modify(|n| *n += 1);
            // Ends with its client, so that what is open is the client's.
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
            });
        }
    });
    (address, counted)
}

fn source(address: &str) -> SourceConfig {
    let endpoint = format!("http://{address}");
    SourceConfig::from_properties(&map(&[
        ("Stream Name", "orders"),
        ("Application Name", "app"),
        ("Region", "us-west-2"),
        ("AWS Access Key ID", "AKIAEXAMPLE"),
        ("AWS Secret Access Key", "secret"),
        ("Endpoint Override URL", &endpoint),
        ("Node Id", "a"),
    ]))
    .unwrap()
}

fn sink(address: &str, key: &str) -> SinkConfig {
    let endpoint = format!("https://{address}");
    SinkConfig::from_properties(&map(&[
        ("Authentication Strategy", "KEY_PAIR"),
        ("Account", "ORG-ACCOUNT"),
        ("User", "USER"),
        ("Private Key", key),
        ("Snowflake Endpoint Override URL", &endpoint),
        ("Destination Type", "TABLE"),
    ]))
    .unwrap()
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{folder}")).unwrap().count()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

async fn settled(what: &str, limit: usize, count: impl Fn() -> usize) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while count() > limit {
        assert!(Instant::now() < deadline, "{what}: {} and not {limit}", count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_starts_and_stops_against_silence_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        local_cloud::Options { folder: Some(folder.path().to_owned()), ..local_cloud::Options::default() };
    let cloud = local_cloud::LocalCloud::start(options).await.unwrap();
    let key = std::fs::read_to_string(cloud.private_key_file()).unwrap();
    cloud.stop().await;
    let (aws, mut aws_seen) = hole().await;
    let (snowflake, mut snowflake_seen) = hole().await;
    let runtime = tokio::runtime::Handle::current();
    let upload = map(&[
        ("Database", "D"),
        ("Schema", "S"),
        ("Table", "T"),
        ("Channel Group", "g"),
        ("Offset Token Start", "1"),
        ("Offset Token End", "2"),
        ("Size", "10"),
    ]);
    let upload = snowpipe::UploadRequest::from_properties(&upload).unwrap();
    let mut base = None;
    for cycle in 0..CYCLES {
        let began = Instant::now();
        let source = Source::start(source(&aws), &runtime);
        let sink = Sink::start(sink(&snowflake, &key), &runtime);
        assert!(began.elapsed() < Duration::from_secs(1), "start took {:?}", began.elapsed());
        let id = sink.begin(upload.clone()).unwrap();
        let _ = sink.advance(id, Duration::from_millis(1)).await;
        // Both hang in a call.
        aws_seen.changed().await.unwrap();
        snowflake_seen.changed().await.unwrap();
        let began = Instant::now();
        let grace = Duration::from_millis(20);
        tokio::join!(source.close(grace), sink.close(grace));
        assert!(began.elapsed() < Duration::from_secs(10), "stop took {:?}", began.elapsed());
        drop((source, sink));
        if cycle == WARM {
            tokio::time::sleep(Duration::from_millis(500)).await;
            base = Some((entries("task"), entries("fd"), resident()));
        }
    }
    let (threads, handles, memory) = base.unwrap();
    settled("threads", threads + 2, || entries("task")).await;
    settled("handles", handles + 8, || entries("fd")).await;
    let grown = resident().saturating_sub(memory);
    assert!(grown < RSS_GROWTH, "grown by {grown} bytes over {} cycles", CYCLES - WARM);
}
