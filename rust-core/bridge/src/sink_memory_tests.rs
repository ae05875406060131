//! One byte budget for all channels of a sink, while Snowflake does not answer and after.
//!
//! As with the source's, the library runs alone in a process of its own, this test started once more.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use local_cloud::{LocalCloud, Options};
use snowpipe::State;

use crate::memory_tests::{TURN, resident, sample};
use crate::registry::{Open, registry};
use crate::sinks::OpenSink;

/// Tells the process that holds the library how to reach the local Snowflake.
const CHILD: &str = "SHARDFLOW_TEST_SINK_MEMORY";
const BUDGET: u64 = 64_000_000;
/// The clients and their connections, and the compressors that wait for a body.
const CLIENTS: u64 = 14_000_000;
/// What is known about a channel, and its connection.
const CHANNEL: u64 = 60_000;
/// Longest wait for everything to be stored.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the first append of each channel is not answered.
const STALL: Duration = Duration::from_secs(6);
const FIRST_ROW: u64 = 1_000_000_000;

struct Case {
    channels: u32,
    columns: usize,
    /// FlowFiles of each channel, and rows of each.
    flow_files: u64,
    rows: u64,
    stalled: bool,
}

const WIDE: Case = Case { channels: 500, columns: 2_000, flow_files: 2, rows: 30, stalled: true };
const BUSY: Case = Case { channels: 32, columns: 40, flow_files: 12, rows: 4_000, stalled: false };

#[test]
fn five_hundred_channels_that_are_not_answered_stay_within_the_budget() {
    run("sink_memory_tests::five_hundred_channels_that_are_not_answered_stay_within_the_budget", &WIDE);
}

#[test]
fn busy_channels_stay_within_the_budget() {
    run("sink_memory_tests::busy_channels_stay_within_the_budget", &BUSY);
}

/// Runs one case in a process of its own; in that process, the library.
fn run(name: &str, case: &Case) {
    if let Ok(access) = std::env::var(CHILD) {
        let grown = publish(&access, case);
        let allowed = BUDGET / 5 * 6 + CLIENTS + CHANNEL * u64::from(case.channels);
        assert!(grown <= allowed, "grown by {grown} bytes, at most {allowed} are allowed");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut options = Options::default();
    options.snowflake.discard_rows = true;
    options.snowflake.commit_delay = Duration::from_millis(100);
    let cloud = runtime.block_on(LocalCloud::start(options)).unwrap();
    cloud
        .snowflake()
        .sql("CREATE DATABASE DB; CREATE SCHEMA DB.SC; CREATE TABLE DB.SC.T (N NUMBER)")
        .unwrap();
    if case.stalled {
        let fault = Fault::once(Route::Append, Trouble::Delay(STALL));
        cloud.snowflake().faults().add(Fault { times: Some(case.channels), ..fault });
    }
    let endpoints = cloud.endpoints();
    let key = std::fs::read_to_string(&endpoints.snowflake_private_key_file).unwrap();
    let access = serde_json::json!({
        "Account": endpoints.snowflake_account,
        "User": endpoints.snowflake_user,
        "Role": endpoints.snowflake_role,
        "Private Key": key,
        "Snowflake Endpoint Override URL": endpoints.snowflake_url,
        "CA Certificates File": endpoints.snowflake_ca_file,
        "Offset Tracking Resolution": "RECORD",
        "Offset Token Record Pointer": "/n",
        "Memory Budget": BUDGET.to_string(),
    });
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture"]).env(CHILD, access.to_string());
    let output = child.env("SHARDFLOW_CHANNEL_PACE", "off").output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    runtime.block_on(cloud.stop());
}

/// The process that holds nothing but the library: bytes by which its memory grew at most.
fn publish(access: &str, case: &Case) -> u64 {
    let flow_file = content(case);
    let before = resident();
    let most = sample();
    let properties: BTreeMap<String, String> = serde_json::from_str(access).unwrap();
    let id = registry().open_sink(snowpipe::SinkConfig::from_properties(&properties).unwrap()).unwrap();
    let sink = registry().sink(id).unwrap();
    let waiting = (0..case.channels).flat_map(|channel| {
        (0..case.flow_files).map(move |number| (channel, FIRST_ROW + number * case.rows))
    });
    let begun: VecDeque<Upload> = waiting
        .map(|(channel, first)| {
            Upload::begin(&sink, announcement(case, channel, first, flow_file.len()), first)
        })
        .collect();
    let count = begun.len();
    let least_free = AtomicU64::new(u64::MAX);
    let began = Instant::now();
    let uploads = Arc::new(begun);
    std::thread::scope(|scope| {
        // Two tasks of NiFi, each with a half of the FlowFiles.
        for half in 0..2 {
            let (sink, uploads, flow_file, least_free) = (&sink, &uploads, &flow_file, &least_free);
            scope.spawn(move || {
                let mine = uploads.iter().skip(half).step_by(2).cloned().collect();
                drive(sink, mine, flow_file, least_free);
            });
        }
    });
    let status = sink.value.sink.status();
    let megabytes = (count * flow_file.len()) as u64 / 1_000_000;
    let grown = most.load(Ordering::Relaxed).saturating_sub(before);
    let least_free = least_free.load(Ordering::Relaxed);
    println!(
        "{megabytes} MB in {:?}, grown by {} MB, at least {} MB of the budget were free: {:?}",
        began.elapsed(),
        grown / 1_000_000,
        least_free / 1_000_000,
        (&status["memoryFree"], &status["appends"])
    );
    assert!(least_free < BUDGET / 2, "the budget was in use");
    assert_eq!(status["memoryFree"], status["memoryTotal"], "all memory comes back");
    sink.runtime.handle().block_on(sink.value.sink.close(Duration::from_secs(10)));
    grown
}

/// A FlowFile that was announced.
#[derive(Clone)]
struct Upload {
    id: i64,
    announced: BTreeMap<String, String>,
    first: u64,
}

impl Upload {
    fn begin(sink: &Open<OpenSink>, announced: BTreeMap<String, String>, first: u64) -> Self {
        Self { id: sink.begin(&announced).unwrap(), announced, first }
    }
}

/// Hands content over when it is asked for, until all is committed.
fn drive(sink: &Open<OpenSink>, mut uploads: VecDeque<Upload>, flow_file: &[u8], least_free: &AtomicU64) {
    let deadline = Instant::now() + PATIENCE;
    while !uploads.is_empty() {
        assert!(
            Instant::now() < deadline,
            "{} FlowFiles are left: {}",
            uploads.len(),
            sink.value.sink.status()
        );
        let mut moved = false;
        uploads.retain_mut(|upload| {
            let progress = sink.advance(upload.id, Duration::ZERO).unwrap();
            match progress.state {
                State::WantData => write(sink, upload.id, upload.first, flow_file),
                // As NiFi does it with a FlowFile that went back to its queue.
                State::Retry => upload.id = sink.begin(&upload.announced).unwrap(),
                State::Committed => {}
                State::Waiting | State::InFlight => return true,
                State::Invalid | State::Failed => panic!("{progress:?}"),
            }
            moved = true;
            progress.state != State::Committed
        });
        least_free.fetch_min(sink.value.sink.status()["memoryFree"].as_u64().unwrap(), Ordering::Relaxed);
        if !moved {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// As NiFi's thread does it, with the numbers that this FlowFile's rows have.
fn write(sink: &Open<OpenSink>, upload: i64, first: u64, flow_file: &[u8]) {
    for (number, row) in (first..).zip(flow_file.split_inclusive(|byte| *byte == b'\n')) {
        let mut row = row.to_vec();
        row[5..15].copy_from_slice(number.to_string().as_bytes());
        sink.write(upload, Some(&row)).unwrap();
    }
    sink.write(upload, None).unwrap();
}

/// Rows whose values do not compress well.
fn content(case: &Case) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::new();
    for _ in 0..case.rows {
        let _ = write!(text, "{{\"n\":{FIRST_ROW}");
        for column in 0..case.columns {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let _ = write!(text, ",\"c{column}\":\"{:x}\"", state >> 24);
        }
        text.push_str("}\n");
    }
    text.into_bytes()
}

fn announcement(case: &Case, channel: u32, first: u64, size: usize) -> BTreeMap<String, String> {
    let last = first + case.rows - 1;
    [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Table", "T".to_owned()),
        ("Channel Group", format!("memory.{channel}")),
        ("Offset Token Start", first.to_string()),
        ("Offset Token End", last.to_string()),
        ("Offset Token Previous", if first == FIRST_ROW { "0".to_owned() } else { (first - 1).to_string() }),
        ("Size", size.to_string()),
        ("Records", case.rows.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
