//! A thousand shards on one table: what that costs in calls, and in time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::{Sink, State, UploadRequest};
use support::{World, content, drive};

const CHANNELS: u64 = 1_000;
/// Opens at a time.
const OPENS: usize = 16;
/// Channels in one status call.
const IN_ONE_CALL: u64 = 500;

fn begin(sink: &Sink, n: u64) -> u64 {
    let (number, group) = (n.to_string(), format!("orders.shard-{n}"));
    let map = [
        ("Database", "DB"),
        ("Schema", "SC"),
        ("Table", "T"),
        ("Channel Group", &group),
        ("Offset Token Start", &number),
        ("Offset Token End", &number),
        ("Size", "30"),
    ];
    let map = map.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    sink.begin(UploadRequest::from_properties(&map).unwrap()).unwrap()
}

/// The most opens that were under way at a time.
fn opens_at_a_time(world: &World) -> usize {
    let requests = world.snowflake().journal().requests();
    let opens = requests.iter().filter(|r| r.method == "PUT");
    // Times are those of the service in whole milliseconds: an open began at the latest at the end of its first one.
    let mut edges: Vec<(i64, i64)> = opens
        .flat_map(|r| [(r.at_ms + 1, 1), (r.at_ms + i64::try_from(r.took.as_millis()).unwrap(), -1)])
        .collect();
    edges.sort_unstable();
    let mut open = 0;
    let counts = edges.into_iter().map(|(_, change)| {
        open += change;
        open
    });
    usize::try_from(counts.max().unwrap()).unwrap()
}

/// When status calls were made, in milliseconds.
fn status_calls(world: &World) -> Vec<i64> {
    let requests = world.snowflake().journal().requests();
    requests.iter().filter(|r| r.path.ends_with(":bulk-channel-status")).map(|r| r.at_ms).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_channels_open_in_parallel_and_are_watched_by_two_calls_a_look() {
    let world = Arc::new(World::start().await);
    let delay = Trouble::Delay(Duration::from_millis(50));
    world.snowflake().faults().add(Fault::always(Route::Open, delay));
    world.snowflake().pause_commits();
    let started = Instant::now();
    let driven: Vec<_> = (1..=CHANNELS)
        .map(|n| {
            let (upload, sink) = (begin(&world.sink, n), Arc::clone(&world.sink));
            tokio::spawn(async move { drive(&sink, upload, content(n, n)).await })
        })
        .collect();
    world.until("the first rows", |w| (!w.snowflake().journal().appends().is_empty()).then_some(())).await;
    assert!(started.elapsed() < Duration::from_secs(10), "the first rows came after {:?}", started.elapsed());
    let appended = |w: &World| w.snowflake().journal().appends().len() as u64 == CHANNELS;
    world.until("all rows", |w| appended(w).then_some(())).await;
    // One after the other the opens alone would take 50 s.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let at_a_time = opens_at_a_time(&world);
    assert!((OPENS / 2..=OPENS).contains(&at_a_time), "{at_a_time} opens at a time");

    // Now all of them wait for their commit.
    let before = status_calls(&world).len();
    let since = Instant::now();
    world.until("some looks", |w| (status_calls(w).len() >= before + 12).then_some(())).await;
    let took = since.elapsed();
    assert!(took > Duration::from_secs(2), "twelve calls in {took:?}");
    // Calls of one look follow each other, between looks is a pause of half a second or more.
    let calls = status_calls(&world).split_off(before);
    let looks = 1 + calls.windows(2).filter(|pair| pair[1] - pair[0] > 350).count() as u64;
    let a_look = CHANNELS.div_ceil(IN_ONE_CALL);
    assert!((5..=8).contains(&looks), "{} calls in {looks} looks at {calls:?}, {a_look} a look", calls.len());

    world.snowflake().resume_commits();
    for driven in driven {
        let ended = driven.await.unwrap();
        assert_eq!(ended.state, State::Committed, "{ended:?}");
    }
    let rows: BTreeSet<u64> = world.rows().await.into_iter().collect();
    assert_eq!((rows.len(), world.rows().await.len()), (1_000, 1_000));
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    Arc::into_inner(world).unwrap().stop().await;
}
