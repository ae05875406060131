//! Publishes generated rows through several channels to a local Snowflake and prints the rate.
//!
//! `cargo run -p snowpipe --example sink_throughput -- [channels] [megabytes a channel] [zstd level] [kilobytes a FlowFile]`
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowpipe::{Sink, State, UploadRequest};
use support::World;

struct Load {
    channel: usize,
    megabytes: usize,
    flow_file: usize,
}

fn rows(from: u64, bytes: usize) -> (Vec<u8>, u64) {
    let mut text = String::with_capacity(bytes + 1024);
    let mut n = from;
    while text.len() < bytes {
        let _ = writeln!(
            text,
            "{{\"n\":{n},\"text\":\"order {n} of customer {:016x}\",\"kinesisMetadata\":{{\"stream\":\"orders\",\"shardId\":\
             \"shardId-000000000001\",\"approximateArrival\":\"2026-01-01T00:00:00.000\",\"partitionKey\":\"{:08x}\"}}}}",
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            n.wrapping_mul(2_654_435_761) & 0xffff_ffff
        );
        n += 1;
    }
    (text.into_bytes(), n)
}

fn request(load: &Load, first: u64, next: u64, size: usize) -> UploadRequest {
    let map = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Table", "T".to_owned()),
        ("Channel Group", format!("load.{}", load.channel)),
        ("Offset Token Start", first.to_string()),
        ("Offset Token End", (next - 1).to_string()),
        ("Offset Token Previous", (first - 1).to_string()),
        ("Size", size.to_string()),
    ];
    UploadRequest::from_properties(&map.map(|(name, value)| (name.to_owned(), value)).into()).unwrap()
}

/// Keeps several FlowFiles under way, as a processor does.
fn publish(sink: &Sink, runtime: &tokio::runtime::Handle, load: &Load) {
    let mut under_way = std::collections::VecDeque::new();
    let (mut next, mut sent) = (1, 0);
    while sent < load.megabytes << 20 || !under_way.is_empty() {
        while sent < load.megabytes << 20 && under_way.len() < 64 {
            let first = next;
            let (content, after) = rows(first, load.flow_file);
            next = after;
            sent += content.len();
            let upload = sink.begin(request(load, first, next, content.len())).unwrap();
            under_way.push_back((upload, Some(content)));
        }
        let mut moved = false;
        under_way.retain_mut(|(upload, content)| {
            let progress = runtime.block_on(sink.advance(*upload, Duration::ZERO)).unwrap();
            assert!(!matches!(progress.state, State::Failed | State::Retry | State::Invalid), "{progress:?}");
            if progress.state == State::WantData
                && let Some(content) = content.take()
            {
                content.chunks(256 << 10).for_each(|piece| sink.write(*upload, piece).unwrap());
                sink.finish_data(*upload).unwrap();
                moved = true;
            }
            moved |= progress.state == State::Committed;
            progress.state != State::Committed
        });
        if !moved && let Some((upload, _)) = under_way.front() {
            let _ = runtime.block_on(sink.advance(*upload, Duration::from_millis(20)));
        }
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let channels = numbers.next().unwrap_or(4);
    let megabytes = numbers.next().unwrap_or(100);
    let level = numbers.next().unwrap_or(3).to_string();
    let flow_file = numbers.next().unwrap_or(1024) << 10;
    let world = World::with(Duration::from_millis(500), &[("Compression Level", &level)]).await;
    let started = Instant::now();
    let handle = tokio::runtime::Handle::current();
    let threads: Vec<_> = (0..channels)
        .map(|channel| {
            let (sink, handle) = (Arc::clone(&world.sink), handle.clone());
            let load = Load { channel, megabytes, flow_file };
            std::thread::spawn(move || publish(&sink, &handle, &load))
        })
        .collect();
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap()))
        .await
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let total = channels * megabytes;
    println!("{total} MB in {seconds:.1} s: {:.1} MB/s", total as f64 / seconds);
    println!("{}", world.sink.status());
    println!("{:?}", world.sink.messages());
    println!("violations: {:?}", world.snowflake().violations());
    world.stop().await;
}
