//! Troubles that pass: nothing is lost, nothing is stored twice, and nobody has to restart anything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::State;
use support::{World, content, drive, reach, write};

const HOSTNAME: &str = "/v2/streaming/hostname";

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

/// Publishes row `n` through the channel of `group`, as a processor does.
async fn persist_in(world: Arc<World>, group: String, n: u64, previous: u64) {
    let deadline = Instant::now() + 2 * support::PATIENCE;
    loop {
        let upload = world.begin_in(&group, &world.sink, n, n, previous);
        let ended = drive(&world.sink, upload, content(n, n)).await;
        match ended.state {
            State::Committed => return,
            State::Retry => assert!(Instant::now() < deadline, "{ended:?}"),
            _ => assert_eq!(ended.state, State::Committed, "{ended:?}"),
        }
    }
}

/// Publishes a FlowFile of one row, the `nth`, through each of `channels` channels.
async fn persist_in_all(world: &Arc<World>, channels: u64, nth: u64) {
    let publish = |channel: u64| {
        let n = nth * channels + channel;
        let previous = if nth == 0 { 0 } else { n - channels };
        tokio::spawn(persist_in(Arc::clone(world), format!("orders.shard-{channel}"), n, previous))
    };
    let publishing: Vec<_> = (1..=channels).map(publish).collect();
    for publishing in publishing {
        publishing.await.unwrap();
    }
}

async fn sorted(world: &World) -> Vec<u64> {
    let mut rows = world.rows().await;
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_moved_is_found_again_by_all_its_channels_without_a_storm() {
    const CHANNELS: u64 = 50;
    let world = Arc::new(World::start().await);
    persist_in_all(&world, CHANNELS, 0).await;
    for route in [Route::Append, Route::Open, Route::Status] {
        world.snowflake().faults().add(Fault::always(route, Fault::refuse(410, "")));
    }
    let before = world.asked(HOSTNAME);
    let publisher = Arc::clone(&world);
    let publishing = tokio::spawn(async move { persist_in_all(&publisher, CHANNELS, 1).await });
    // Each channel runs into it several times.
    world.until("the trouble", |w| (w.snowflake().faults().fired() > 250).then_some(())).await;
    let asked = world.asked(HOSTNAME) - before;
    assert!((1..=5).contains(&asked), "{asked} look-ups of the host");
    world.snowflake().faults().clear();
    publishing.await.unwrap();
    assert!(world.asked(HOSTNAME) - before <= 6, "one is enough for all channels");
    assert_eq!(sorted(&world).await, (1..=2 * CHANNELS).collect::<Vec<_>>());
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_is_looked_up_anew() {
    let world = World::with_tokens(&["runtime-token"]).await;
    let (managed, _) = world.managed("runtime-token");
    // Without an exchange nobody is there to be asked; with one, the host is refused as the scope of a token.
    for (sink, route) in [(&managed, "/channels/"), (&world.sink, "/oauth/token")] {
        let rows = world.rows().await.len() as u64;
        let wrong = Trouble::Refuse { status: 200, body: "127.0.0.2".to_owned() };
        world.snowflake().faults().add(Fault::once(Route::Hostname, wrong));
        let before = world.asked(HOSTNAME);
        let upload = world.begin(sink, rows + 1, rows + 10, rows);
        let ended = drive(sink, upload, content(rows + 1, rows + 10)).await;
        assert_eq!(ended.state, State::Committed, "{ended:?}");
        assert_eq!(world.asked(HOSTNAME) - before, 2, "{route}");
        assert!(world.asked(route) > 0);
    }
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    managed.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_knows_nothing_for_long_is_looked_up_anew() {
    const CHANNELS: u64 = 20;
    let world = Arc::new(World::start().await);
    persist_in_all(&world, CHANNELS, 0).await;
    for route in [Route::Append, Route::Open, Route::Status] {
        let gone = Trouble::Refuse { status: 404, body: "Not Found".to_owned() };
        world.snowflake().faults().add(Fault::always(route, gone));
    }
    let before = world.asked(HOSTNAME);
    let publisher = Arc::clone(&world);
    let publishing = tokio::spawn(async move { persist_in_all(&publisher, CHANNELS, 1).await });
    let begun = Instant::now();
    world.until("two look-ups", |w| (w.asked(HOSTNAME) >= before + 2).then_some(())).await;
    assert!(begun.elapsed() >= Duration::from_secs(10), "each after seconds of nothing else");
    world.snowflake().faults().clear();
    publishing.await.unwrap();
    assert!(world.asked(HOSTNAME) <= before + 3, "one for all channels");
    assert_eq!(sorted(&world).await, (1..=2 * CHANNELS).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    Arc::into_inner(world).unwrap().stop().await;
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
