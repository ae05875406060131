//! A service that takes nothing for long: no writer is blocked, memory stays bounded, and all goes on when it is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route};
use snowpipe::State;
use support::{World, content};

const CHANNELS: u64 = 6;
/// FlowFiles of a channel, and rows of a FlowFile.
const FLOW_FILES: u64 = 25;
const ROWS: u64 = 3_000;
const BUDGET: &str = "8388608";
/// How long each of the refusals lasts.
const REFUSING: Duration = Duration::from_secs(6);
const BLOCKED: Duration = Duration::from_secs(1);

/// Publishes all FlowFiles of a channel; gives the longest time that a piece of content was waited for.
async fn publisher(world: Arc<World>, channel: u64) -> Duration {
    let group = format!("orders.shard-{channel}");
    let first = channel * FLOW_FILES * ROWS + 1;
    let mut queue: VecDeque<u64> = (0..FLOW_FILES).map(|nth| first + nth * ROWS).collect();
    let mut under_way = Vec::new();
    let mut longest = Duration::ZERO;
    let deadline = Instant::now() + 2 * REFUSING + 3 * support::PATIENCE;
    while !queue.is_empty() || !under_way.is_empty() {
        assert!(Instant::now() < deadline, "stuck: {}", world.sink.status());
        for start in queue.drain(..) {
            let previous = if start == first { 0 } else { start - 1 };
            under_way.push((world.begin_in(&group, &world.sink, start, start + ROWS - 1, previous), start));
        }
        for (upload, start) in std::mem::take(&mut under_way) {
            let progress = world.sink.advance(upload, Duration::from_millis(5)).await.unwrap();
            match progress.state {
                State::WantData => {
                    let sink = Arc::clone(&world.sink);
                    let writing = move || {
                        let mut longest = Duration::ZERO;
                        for piece in content(start, start + ROWS - 1).chunks(16 << 10) {
                            let begun = Instant::now();
                            sink.write(upload, piece).unwrap();
                            longest = longest.max(begun.elapsed());
                        }
                        let begun = Instant::now();
                        sink.finish_data(upload).unwrap();
                        longest.max(begun.elapsed())
                    };
                    longest = longest.max(tokio::task::spawn_blocking(writing).await.unwrap());
                    under_way.push((upload, start));
                }
                State::Committed => {}
                State::Retry => queue.push_back(start),
                State::Waiting | State::InFlight => under_way.push((upload, start)),
                State::Invalid | State::Failed => panic!("{progress:?}"),
            }
        }
    }
    longest
}

/// Bytes that all channels hold, and those of the budget that are taken.
fn held(world: &World) -> (u64, u64, u64) {
    let status = world.sink.status();
    let channels = status["channels"].as_array().unwrap();
    let bytes = channels.iter().filter_map(|channel| channel["bytes"].as_u64()).sum();
    let number = |name: &str| status[name].as_u64().unwrap();
    (bytes, number("memoryTotal") - number("memoryFree"), number("memoryTotal"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_service_that_throttles_for_long_blocks_nobody_and_loses_nothing() {
    let world = Arc::new(World::with(Duration::from_millis(50), &[("Memory Budget", BUDGET)]).await);
    let publishers: Vec<_> =
        (0..CHANNELS).map(|channel| tokio::spawn(publisher(Arc::clone(&world), channel))).collect();
    world
        .until("the first appends", |w| (w.sink.status()["appends"].as_u64()? > CHANNELS).then_some(()))
        .await;
    for (status, code) in [(429, "390701"), (503, "")] {
        world.snowflake().faults().clear();
        world.snowflake().faults().add(Fault::always(Route::Any, Fault::refuse(status, code)));
        let until = Instant::now() + REFUSING;
        while Instant::now() < until {
            let (bytes, taken, total) = held(&world);
            assert!(bytes <= total && taken <= total, "{bytes} bytes held, {taken} of {total} taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(publishers.iter().any(|publisher| !publisher.is_finished()), "nothing was held up");
    world.snowflake().faults().clear();
    let over = Instant::now();
    for publisher in publishers {
        let longest = publisher.await.unwrap();
        assert!(longest < BLOCKED, "a writer was blocked for {longest:?}");
    }
    assert!(over.elapsed() < Duration::from_secs(30), "stored {:?} after the end", over.elapsed());
    let mut rows = world.rows().await;
    rows.sort_unstable();
    assert!(rows.iter().copied().eq(1..=CHANNELS * FLOW_FILES * ROWS), "{} rows", rows.len());
    Arc::into_inner(world).unwrap().stop().await;
}
