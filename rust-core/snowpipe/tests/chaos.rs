//! The whole sink under random troubles of the service: every row exactly once and in order, or told as rejected.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use snowpipe::{Sink, State};
use support::{World, write};

/// Rows of the test.
const ROWS: u64 = 6_000;

/// A row that does not fit the table.
fn is_bad(row: u64) -> bool {
    row % 89 == 17
}

fn content(start: u64, end: u64) -> Vec<u8> {
    let row = |n| match is_bad(n) {
        true => format!("{{\"t\":{n},\"n\":\"no number {n}\"}}\n"),
        false => format!("{{\"t\":{n},\"n\":{n},\"text\":\"row {n}\"}}\n"),
    };
    (start..=end).map(row).collect::<String>().into_bytes()
}

/// A FlowFile's rows and the row before them.
type Span = (u64, u64, u64);

fn trouble(rng: &mut StdRng) -> Fault {
    let refuse = |status: u16, code: &str| Fault::refuse(status, code);
    let body = r#""ERR_GENERAL_EXCEPTION_RETRY_REQUEST""#.to_owned();
    let (route, trouble) = match rng.random_range(0..12) {
        0 => (Route::Append, Trouble::RefuseAfter { status: 503, body }),
        1 => (Route::Append, Trouble::Refuse { status: 500, body }),
        2 => (Route::Append, refuse(429, "390701")),
        3 => (Route::Append, refuse(409, "ERR_CHANNEL_MUST_BE_REOPENED")),
        4 => (Route::Append, refuse(413, "TOO_LARGE")),
        5 => (Route::Append, refuse(410, "")),
        6 => (Route::Status, refuse(404, "")),
        7 => (Route::Status, Trouble::Delay(Duration::from_millis(300))),
        8 => (Route::Open, refuse(409, "ERR_OPEN_CHANNEL_IN_PROGRESS")),
        9 => (Route::Open, Trouble::RefuseAfter { status: 503, body }),
        10 => (Route::Append, Trouble::DelayAfter(Duration::from_millis(200))),
        _ => (Route::Append, refuse(401, "390318")),
    };
    Fault::once(route, trouble)
}

/// Publishes its FlowFiles as a processor does, several at a time, in any order, sometimes changing its mind. Gives the
/// rejected rows that it was told.
async fn node(world: Arc<World>, sink: Arc<Sink>, mut queue: VecDeque<Span>, seed: u64) -> BTreeSet<u64> {
    let mut told = BTreeSet::new();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut under_way: Vec<(u64, Span)> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !queue.is_empty() || !under_way.is_empty() {
        assert!(Instant::now() < deadline, "stuck: {} {:?}", sink.status(), sink.messages());
        while under_way.len() < 64 && !queue.is_empty() {
            let at = rng.random_range(0..queue.len().min(4));
            let span = queue.remove(at).unwrap();
            under_way.push((world.begin(&sink, span.0, span.1, span.2), span));
        }
        let mut next = Vec::new();
        for (upload, span) in std::mem::take(&mut under_way) {
            let progress = sink.advance(upload, Duration::from_millis(1)).await.unwrap();
            match progress.state {
                State::WantData if rng.random_ratio(1, 30) => {
                    sink.write(upload, &content(span.0, span.1)[..10]).unwrap();
                    sink.abandon(upload);
                    queue.push_front(span);
                }
                State::WantData => {
                    write(&sink, upload, content(span.0, span.1)).await;
                    next.push((upload, span));
                }
                State::Committed => {}
                State::Retry | State::Failed => queue.push_front(span),
                State::Waiting | State::InFlight => next.push((upload, span)),
                State::Invalid => told.extend((span.0..=span.1).filter(|row| is_bad(*row))),
            }
        }
        under_way = next;
        // What waits for a predecessor in the queue goes back behind it.
        if under_way.len() >= 64 && rng.random_ratio(1, 10) {
            let (upload, span) = under_way.remove(rng.random_range(0..under_way.len()));
            sink.abandon(upload);
            queue.push_back(span);
        }
    }
    told
}

fn spans(from: u64, to: u64, rng: &mut StdRng) -> VecDeque<Span> {
    let mut cut = VecDeque::new();
    let mut start = from;
    while start <= to {
        let end = (start + rng.random_range(0..120)).min(to);
        cut.push_back((start, end, start - 1));
        start = end + 1;
    }
    cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_once_under_random_troubles() {
    let seed: u64 = std::env::var("CHAOS_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let world =
        Arc::new(World::with(Duration::from_millis(60), &[("Offset Token Record Pointer", "/t")]).await);
    let handover = rng.random_range(ROWS / 3..ROWS * 2 / 3);
    let first = spans(1, handover, &mut rng);
    // The second node starts over at a checkpoint the first one has passed, with other cuts.
    let second = spans(handover - rng.random_range(0..400), ROWS, &mut rng);
    let other = world.node();
    let sinks = [(world.sink.clone(), first), (other.clone(), second)];
    let nodes: Vec<_> = sinks
        .into_iter()
        .map(|(sink, queue)| tokio::spawn(node(Arc::clone(&world), sink, queue, rng.random())))
        .collect();
    let troubled = Instant::now();
    while nodes.iter().any(|node| !node.is_finished()) {
        if troubled.elapsed() < Duration::from_secs(8) {
            // A trouble that nothing ran into is replaced.
            world.snowflake().faults().clear();
            world.snowflake().faults().add(trouble(&mut rng));
            if rng.random_ratio(1, 8) {
                let code = "ERR_CHANNEL_MUST_BE_REOPENED";
                world.snowflake().invalidate_channel("DB.SC.\"T-STREAMING\"", "orders.shard-0", code);
            }
            if rng.random_ratio(1, 12) {
                world.snowflake().expire_tokens();
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..400))).await;
    }
    let mut told = BTreeSet::new();
    for node in nodes {
        told.extend(node.await.unwrap());
    }
    let rejected: BTreeSet<u64> = (1..=ROWS).filter(|row| is_bad(*row)).collect();
    assert!(told == rejected, "seed {seed}: nobody was told {:?}", rejected.difference(&told));
    let rows = world.rows().await;
    let expected: Vec<u64> = (1..=ROWS).filter(|row| !is_bad(*row)).collect();
    if let Some(near) = (0..expected.len().max(rows.len())).find(|at| rows.get(*at) != expected.get(*at)) {
        let at = expected.get(near).copied();
        let near = &rows[near.saturating_sub(3)..rows.len().min(near + 4)];
        for append in world.snowflake().journal().appends() {
            let (start, end) = (append.start.unwrap_or_default(), append.end.unwrap_or_default());
            let lines = append.body.map_or(0, |body| body.split(|byte| *byte == b'\n').count());
            println!(
                "{} {} {start}-{end} rows {lines} {} {:?}",
                append.at_ms % 1_000_000,
                append.continuation_token,
                append.request_id,
                append.outcome
            );
        }
        panic!("seed {seed}: {} rows, row {at:?} is followed by {near:?}", rows.len());
    }
    other.close(Duration::from_secs(5)).await;
    Arc::into_inner(world).unwrap().stop().await;
}
