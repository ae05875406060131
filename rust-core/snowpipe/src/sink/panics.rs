//! A defect in any task of the sink: told, got over, and every row is in the table once.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Sink;
use crate::State;
use support::{World, content, write};

const ROWS: u64 = 1_500;
/// Rows of a FlowFile.
const CUT: u64 = 25;
const UNDER_WAY: usize = 12;
/// So far out of order FlowFiles are begun.
const AHEAD: usize = 3;

/// First row of a FlowFile.
type Start = u64;

/// Publishes as a processor does, several FlowFiles at a time: what goes back to its queue is begun again.
async fn publish(world: &World, mut queue: VecDeque<Start>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut under_way: Vec<(u64, Start)> = Vec::new();
    let deadline = Instant::now() + 3 * support::PATIENCE;
    let sink = &world.sink;
    while !queue.is_empty() || !under_way.is_empty() {
        assert!(Instant::now() < deadline, "seed {seed} hangs: {} {:?}", sink.status(), sink.messages());
        while under_way.len() < UNDER_WAY && !queue.is_empty() {
            let start = queue.remove(rng.random_range(0..queue.len().min(AHEAD))).unwrap();
            under_way.push((world.begin(sink, start, start + CUT - 1, start - 1), start));
        }
        let mut next = Vec::new();
        for (upload, start) in std::mem::take(&mut under_way) {
            let progress = sink.advance(upload, Duration::from_millis(2)).await.unwrap();
            match progress.state {
                State::WantData => {
                    write(sink, upload, content(start, start + CUT - 1)).await;
                    next.push((upload, start));
                }
                State::Committed => {}
                State::Retry => queue.push_front(start),
                State::Waiting | State::InFlight => next.push((upload, start)),
                State::Invalid | State::Failed => panic!("seed {seed}: {progress:?}"),
            }
        }
        under_way = next;
        // What waits for a predecessor in the queue goes back behind it, to a place that is soon looked at again.
        if under_way.len() >= UNDER_WAY && rng.random_ratio(1, 10) {
            let (upload, start) = under_way.remove(rng.random_range(0..under_way.len()));
            sink.abandon(upload);
            queue.insert(queue.len().min(AHEAD), start);
        }
    }
}

/// Looks for idle channels, as `begin` does once a minute; a panic stays in the caller's thread.
fn let_go(sink: &Sink) {
    let later = sink.core.now() + Duration::from_secs(3_600);
    let _ = catch_unwind(AssertUnwindSafe(|| sink.retire_idle(later)));
}

/// A panic at `place` at some moment of a load, and another one later.
async fn survive(place: &'static str, passes: std::ops::Range<u32>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let world = World::with(Duration::from_millis(40), &[]).await;
    let trips = world.sink.core.trips.clone();
    trips.arm(place, rng.random_range(passes.clone()));
    let half = ROWS / 2 / CUT * CUT;
    let starts = |from: u64, to: u64| (from..=to).step_by(usize::try_from(CUT).unwrap()).collect();
    let sweeping = async {
        if place != "retire" {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let_go(&world.sink);
        }
    };
    let publishing = async {
        publish(&world, starts(1, half), seed).await;
        world
            .until(&format!("{place}: the panic (seed {seed})"), |_| (!trips.is_armed(place)).then_some(()))
            .await;
        if !matches!(place, "notice" | "login") {
            trips.arm(place, rng.random_range(0..passes.end / 2 + 1));
        }
        publish(&world, starts(half + 1, ROWS), seed).await;
    };
    tokio::select! {
        () = sweeping => {}
        () = publishing => {}
    }
    assert_eq!(world.rows().await, (1..=ROWS).collect::<Vec<_>>(), "{place}, seed {seed}");
    let said = world.sink.messages();
    let told = said
        .iter()
        .filter(|m| m.level == crate::Level::Error && m.text.contains("A defect stopped the task"));
    // What falls in the caller's thread is told by whoever caught it there.
    assert_eq!(told.count(), usize::from(place != "retire"), "{place}, seed {seed}: {said:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_panic_in_any_task_is_told_and_no_row_is_lost_or_doubled() {
    let places = [
        ("event", 0..60),
        ("action", 0..60),
        ("open", 0..1),
        ("opened", 0..1),
        ("append", 0..4),
        ("appended", 0..4),
        ("memory", 0..12),
        ("poll", 0..3),
        ("polled", 0..3),
        ("login", 0..6),
        ("notice", 0..1),
        ("retire", 0..4),
    ];
    let seed: u64 = std::env::var("PANIC_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed {seed}");
    for places in places.chunks(4) {
        let survivors: Vec<_> =
            places.iter().map(|(place, passes)| tokio::spawn(survive(place, passes.clone(), seed))).collect();
        for survivor in survivors {
            survivor.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_channel_was_stopped_is_neither_blocked_nor_failed() {
    let world = World::start().await;
    let upload = world.begin(&world.sink, 1, 20, 0);
    support::reach(&world.sink, upload, &[State::WantData]).await;
    let half = content(1, 10);
    world.sink.write(upload, &half).unwrap();
    world.sink.core.trips.arm("event", 0);
    // Another FlowFile wakes the task up.
    let other = world.begin(&world.sink, 21, 30, 20);
    for ended in [upload, other] {
        assert_eq!(support::reach(&world.sink, ended, &[]).await.state, State::Retry);
    }
    write(&world.sink, upload, content(11, 20)).await;
    assert_eq!(world.publish(1, 20, 0).await.state, State::Committed);
    assert_eq!(world.publish(21, 30, 20).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    Arc::clone(&world.sink).close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_whose_channel_was_replaced_is_neither_blocked_nor_failed() {
    let world = World::start().await;
    let upload = world.begin(&world.sink, 1, 20, 0);
    support::reach(&world.sink, upload, &[State::WantData]).await;
    world.sink.write(upload, &content(1, 10)).unwrap();
    // The channel counts as let go while its task goes on.
    world.sink.core.trips.arm("retire", 0);
    let_go(&world.sink);
    let next = world.begin(&world.sink, 21, 30, 20);
    assert_eq!(support::reach(&world.sink, upload, &[]).await.state, State::Retry);
    write(&world.sink, upload, content(11, 20)).await;
    assert_eq!(world.publish(1, 20, 0).await.state, State::Committed);
    assert_eq!(support::drive(&world.sink, next, content(21, 30)).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    world.stop().await;
}
