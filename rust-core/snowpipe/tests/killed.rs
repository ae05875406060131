//! A process that publishes, killed at random moments: what it had settled stays settled, the rest comes again, and every row
//! is in the table once, in its channel's order.
//!
//! The process is this test, started once more. NiFi's part, a queue that survives, is played by the test that kills it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use snowpipe::{Sink, State};
use support::{World, announce, content, write};
use tokio::process::Command;

/// Tells the process how to reach the local Snowflake, and what is in its queue.
const CHILD: &str = "SHARDFLOW_TEST_KILLED";
const NAME: &str = "killed_at_two_hundred_points_every_row_is_stored_once";
const KILLS: u32 = 200;
const CHANNELS: u64 = 3;
/// Tokens of a channel are its number times this, and more.
const APART: u64 = 1_000_000;
/// FlowFiles in the queue when a process starts.
const QUEUED: usize = 40;
/// FlowFiles that the process works on at once.
const UNDER_WAY: usize = 10;

/// Rows of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FlowFile {
    channel: u64,
    start: u64,
    end: u64,
}

impl FlowFile {
    fn begin(self, sink: &Sink) -> u64 {
        let before = if self.start == self.channel * APART + 1 { 0 } else { self.start - 1 };
        let group = format!("orders.shard-{}", self.channel);
        announce(sink, &group, (self.start, self.end, Some(before)), content(self.start, self.end).len())
    }
}

/// The process: publishes its queue as a processor does, and says what is settled.
async fn publish(access: &str) {
    let (properties, queue): (BTreeMap<String, String>, VecDeque<FlowFile>) =
        serde_json::from_str(access).unwrap();
    let sink = Arc::new(support::sink(&properties));
    let mut queue = queue;
    let mut under_way: Vec<(u64, FlowFile)> = Vec::new();
    let deadline = Instant::now() + support::PATIENCE;
    while !queue.is_empty() || !under_way.is_empty() {
        assert!(Instant::now() < deadline, "hangs: {} {:?}", sink.status(), sink.messages());
        while under_way.len() < UNDER_WAY && !queue.is_empty() {
            let flow_file = queue.pop_front().unwrap();
            under_way.push((flow_file.begin(&sink), flow_file));
        }
        for (upload, flow_file) in std::mem::take(&mut under_way) {
            let FlowFile { channel, start, end } = flow_file;
            let progress = sink.advance(upload, Duration::from_millis(1)).await.unwrap();
            match progress.state {
                State::Committed => {
                    println!("settled {channel} {start} {end} skipped {} .", progress.rows_skipped)
                }
                State::Retry => queue.push_front(flow_file),
                State::WantData => {
                    write(&sink, upload, content(start, end)).await;
                    under_way.push((upload, flow_file));
                }
                State::Waiting | State::InFlight => under_way.push((upload, flow_file)),
                State::Invalid | State::Failed => panic!("{progress:?}"),
            }
        }
    }
}

/// What NiFi keeps, whatever is killed.
struct Queue {
    rng: StdRng,
    flow_files: VecDeque<FlowFile>,
    /// Last token of each channel.
    last: Vec<u64>,
    skipped: u64,
}

impl Queue {
    fn fill(&mut self) {
        while self.flow_files.len() < QUEUED {
            let channel = self.rng.random_range(0..CHANNELS);
            let last = self.last.get_mut(usize::try_from(channel).unwrap()).unwrap();
            let rows = if self.rng.random_ratio(1, 20) { 5_000 } else { self.rng.random_range(1..80) };
            let (start, end) = (*last + 1, *last + rows);
            *last = end;
            self.flow_files.push_back(FlowFile { channel, start, end });
        }
    }

    /// Takes out what the process has settled.
    fn settle(&mut self, output: &Output) {
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let ["settled", channel, start, end, "skipped", skipped, "."] = words[..] else { continue };
            let [channel, start, end, skipped] =
                [channel, start, end, skipped].map(|word| word.parse().unwrap());
            let settled = FlowFile { channel, start, end };
            let before = self.flow_files.len();
            self.flow_files.retain(|flow_file| *flow_file != settled);
            assert_eq!(self.flow_files.len() + 1, before, "{settled:?} is settled twice");
            self.skipped += skipped;
        }
    }
}

/// Starts the process, kills it after `life`, or lets it come to its end.
async fn live(world: &World, queue: &mut Queue, life: Option<Duration>) {
    let access = serde_json::to_string(&(world.properties(&[]), &queue.flow_files)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(CHILD, access);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    if let Some(life) = life {
        tokio::time::sleep(life).await;
        child.start_kill().unwrap();
    }
    let output = child.wait_with_output().await.unwrap();
    queue.settle(&output);
    let ended = output.status.success() || output.status.code().is_none();
    assert!(ended, "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_two_hundred_points_every_row_is_stored_once() {
    if let Ok(access) = std::env::var(CHILD) {
        return publish(&access).await;
    }
    let seed: u64 = std::env::var("KILL_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed {seed}");
    let world = World::with(Duration::from_millis(40), &[]).await;
    let last = (0..CHANNELS).map(|channel| channel * APART).collect();
    let rng = StdRng::seed_from_u64(seed);
    let mut queue = Queue { rng, flow_files: VecDeque::new(), last, skipped: 0 };
    for _ in 0..KILLS {
        queue.fill();
        let life = Duration::from_millis(queue.rng.random_range(5..160));
        live(&world, &mut queue, Some(life)).await;
    }
    live(&world, &mut queue, None).await;
    assert!(queue.flow_files.is_empty(), "seed {seed}: {:?}", queue.flow_files);
    let mut rows = world.rows().await;
    let stored = rows.len();
    rows.sort_by_key(|row| row / APART);
    let wanted: Vec<u64> =
        (0..CHANNELS).zip(&queue.last).flat_map(|(channel, last)| channel * APART + 1..=*last).collect();
    assert!(rows == wanted, "seed {seed}: {stored} rows in the table, {} were queued", wanted.len());
    println!("{stored} rows, {} of them found stored when they came again", queue.skipped);
    assert!(queue.skipped > 0, "seed {seed}: no kill fell between a commit and its settlement");
    world.stop().await;
}
