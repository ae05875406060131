//! A service that takes less than is documented, or nothing for a while.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::Options;
use local_cloud::snowflake::{Fault, Route};
use snowpipe::{Sink, State};
use support::{World, announce, drive, reach, write};

/// A row that compression makes little smaller.
fn row(n: u64, length: usize) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 40) % 26).unwrap())
    };
    let text: String = (0..length).map(|_| next()).collect();
    format!("{{\"n\":{n},\"text\":\"{text}\"}}\n").into_bytes()
}

fn rows(start: u64, end: u64) -> Vec<u8> {
    (start..=end).flat_map(|n| row(n, 100_000)).collect()
}

fn begin(sink: &Sink, group: &str, start: u64, end: u64) -> u64 {
    let size = usize::try_from(100_100 * (end + 1 - start)).unwrap();
    announce(sink, group, (start, end, Some(start - 1)), size)
}

/// A FlowFile of 2 MB that compression makes much smaller.
fn batch(start: u64, end: u64) -> Vec<u8> {
    let text = "a row that says the same as the others ".repeat(25);
    (start..=end).flat_map(|n| format!("{{\"n\":{n},\"text\":\"{n} {text}\"}}\n").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_channel_keeps_within_the_documented_limits_and_fills_its_bodies() {
    const BATCHES: u64 = 30;
    const ROWS: u64 = 2_000;
    // The limits are those of the service: ten requests and twenty million bytes a second.
    let world = World::with(Duration::from_millis(50), &[]).await;
    // All of it waits before the first request is taken: more than the channel may send.
    world.snowflake().faults().add(Fault::always(Route::Append, Fault::refuse(503, "")));
    let mut uploads = Vec::new();
    for nth in 0..BATCHES {
        let (start, end) = (nth * ROWS + 1, (nth + 1) * ROWS);
        let rows = batch(start, end);
        let upload = world.begin_sized(&world.sink, (start, end, start - 1), rows.len());
        assert_eq!(reach(&world.sink, upload, &[State::WantData]).await.state, State::WantData);
        write(&world.sink, upload, rows).await;
        uploads.push(upload);
    }
    world.snowflake().faults().clear();
    for upload in uploads {
        assert_eq!(reach(&world.sink, upload, &[]).await.state, State::Committed);
    }
    let appends = world.snowflake().journal().appends();
    let throttled = world.snowflake().journal().requests().iter().filter(|r| r.status == 429).count();
    assert_eq!(throttled, 0, "nothing is sent that is refused");
    let raw: u64 = appends.iter().map(|append| append.uncompressed as u64).sum();
    assert!(raw > BATCHES * 2_000_000 && raw < BATCHES * 2_200_000, "{raw}");
    let (first, last) = (appends.first().unwrap(), appends.last().unwrap());
    let pauses = i64::try_from(appends.len() - 1).unwrap();
    assert!(last.at_ms - first.at_ms >= 100 * pauses, "{pauses} pauses in {} ms", last.at_ms - first.at_ms);
    assert!(raw / appends.len() as u64 > 4_000_000, "{raw} bytes in {} requests", appends.len());
    assert_eq!(world.rows().await, (1..=BATCHES * ROWS).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_become_smaller_when_the_service_takes_less() {
    let mut options = Options::default();
    options.snowflake.commit_delay = Duration::from_millis(50);
    options.snowflake.limits.body_bytes = 700_000;
    let world = World::of(options, &[]).await;
    for start in (1..=160).step_by(40) {
        let upload = begin(&world.sink, "orders.shard-0", start, start + 39);
        let ended = drive(&world.sink, upload, rows(start, start + 39)).await;
        assert_eq!(ended.state, State::Committed, "{ended:?}");
    }
    let requests = world.snowflake().journal().requests();
    let refused = requests.iter().filter(|r| r.status == 413).count();
    assert!((1..=4).contains(&refused), "{refused} of {} were refused", requests.len());
    assert_eq!(world.rows().await, (1..=160).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_throttled_for_long_blocks_no_writer() {
    let world = World::with(Duration::from_millis(50), &[]).await;
    let throttled = Fault::always(Route::Append, Fault::refuse(429, "390701"));
    world.snowflake().faults().add(Fault { path_contains: "stalled".to_owned(), ..throttled });
    // Each is more than half a megabyte when compressed: far more in all than a channel holds.
    let stalled: Vec<u64> = (0..40).map(|n| begin(&world.sink, "stalled", n * 10 + 1, n * 10 + 10)).collect();
    let mut written = BTreeSet::new();
    let (mut quiet, deadline) = (0, Instant::now() + Duration::from_secs(30));
    // Until the channel holds some and then takes no more.
    while written.len() <= 3 || quiet < 3 {
        assert!(Instant::now() < deadline, "{} written", written.len());
        quiet += 1;
        for (upload, n) in stalled.iter().zip(0..) {
            let progress = world.sink.advance(*upload, Duration::from_millis(5)).await.unwrap();
            if progress.state == State::WantData {
                let sink = Arc::clone(&world.sink);
                let (upload, data) = (*upload, rows(n * 10 + 1, n * 10 + 10));
                let began = Instant::now();
                let write = move || sink.write(upload, &data).and_then(|()| sink.finish_data(upload));
                tokio::task::spawn_blocking(write).await.unwrap().unwrap();
                assert!(began.elapsed() < Duration::from_secs(10), "a writer was blocked");
                written.insert(upload);
                quiet = 0;
            }
        }
    }
    assert!(written.len() < 30, "{}", written.len());
    let upload = begin(&world.sink, "other", 1, 40);
    assert_eq!(drive(&world.sink, upload, rows(1, 40)).await.state, State::Committed);
    world.stop().await;
}
