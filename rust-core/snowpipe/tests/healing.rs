//! Troubles that pass: nothing is lost, nothing is stored twice, and nobody has to restart anything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::{State, UploadRequest};
use support::{World, content, drive, reach, write};

/// Publishes as a processor does: what goes back to its queue is begun again.
async fn persist(world: &World, start: u64, end: u64, previous: u64) {
    let deadline = Instant::now() + support::PATIENCE;
    loop {
        let ended = world.publish(start, end, previous).await;
        match ended.state {
            State::Committed => return,
            State::Retry => assert!(Instant::now() < deadline, "{ended:?}"),
            _ => assert_eq!(ended.state, State::Committed, "{ended:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_not_found_without_any_traffic_is_got_over() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().pause_commits();
    let upload = world.begin(&world.sink, 11, 20, 10);
    reach(&world.sink, upload, &[State::WantData]).await;
    write(&world.sink, upload, content(11, 20)).await;
    world.snowflake().faults().add(Fault::once(Route::Status, Fault::refuse(404, "")));
    world.until("the trouble", |w| (w.snowflake().faults().fired() == 1).then_some(())).await;
    world.snowflake().resume_commits();
    assert_eq!(reach(&world.sink, upload, &[]).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_moved_is_found_again_by_all_its_channels_without_a_storm() {
    let world = Arc::new(World::start().await);
    persist(&world, 1, 10, 0).await;
    for route in [Route::Append, Route::Open, Route::Status] {
        world.snowflake().faults().add(Fault::always(route, Fault::refuse(410, "")));
    }
    let before = hostname_calls(&world);
    let publisher = Arc::clone(&world);
    let publishing = tokio::spawn(async move { persist(&publisher, 11, 20, 10).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = hostname_calls(&world) - before;
    assert!((1..20).contains(&asked), "{asked} look-ups of the host in three seconds");
    world.snowflake().faults().clear();
    publishing.await.unwrap();
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    Arc::into_inner(world).unwrap().stop().await;
}

fn hostname_calls(world: &World) -> usize {
    world.snowflake().journal().requests().iter().filter(|r| r.path == "/v2/streaming/hostname").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_goes_on_with_the_rows_that_follow() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    world.snowflake().sql("CREATE OR REPLACE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR)").unwrap();
    persist(&world, 11, 20, 10).await;
    assert_eq!(world.rows().await, (11..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_told_the_data_waits_and_goes_on_when_the_key_is_back() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    for route in [Route::Token, Route::Hostname] {
        world.snowflake().faults().add(Fault::always(route, Fault::refuse(401, "390144")));
    }
    world.snowflake().expire_tokens();
    let upload = world.begin(&world.sink, 11, 20, 10);
    let progress = reach(&world.sink, upload, &[State::WantData]).await;
    if progress.state == State::WantData {
        write(&world.sink, upload, content(11, 20)).await;
    }
    let text = world.message("RSA_PUBLIC_KEY_FP").await;
    assert!(text.contains("390144"), "{text}");
    assert!(!world.sink.advance(upload, Duration::ZERO).await.unwrap().state.is_final(), "it waits");
    world.snowflake().faults().clear();
    if reach(&world.sink, upload, &[]).await.state == State::Retry {
        persist(&world, 11, 20, 10).await;
    }
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_channels_open_in_parallel() {
    const CHANNELS: u64 = 1_000;
    let world = Arc::new(World::start().await);
    let delay = Trouble::Delay(Duration::from_millis(50));
    world.snowflake().faults().add(Fault::always(Route::Open, delay));
    let started = Instant::now();
    let mut driven = Vec::new();
    for n in 0..CHANNELS {
        let number = (n + 1).to_string();
        let group = format!("orders.shard-{n}");
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
        let upload = world.sink.begin(UploadRequest::from_properties(&map).unwrap()).unwrap();
        let sink = Arc::clone(&world.sink);
        driven.push(tokio::spawn(async move {
            let ended = drive(&sink, upload, content(n + 1, n + 1)).await;
            (ended, started.elapsed())
        }));
    }
    let mut first = Duration::MAX;
    for driven in driven {
        let (ended, after) = driven.await.unwrap();
        assert_eq!(ended.state, State::Committed, "{ended:?}");
        first = first.min(after);
    }
    assert!(first < Duration::from_secs(10), "the first rows came after {first:?}");
    // One after the other the opens alone would take 50 s.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let mut rows = world.rows().await;
    rows.sort_unstable();
    assert_eq!(rows, (1..=CHANNELS).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    Arc::into_inner(world).unwrap().stop().await;
}
