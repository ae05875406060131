//! Two sinks on one channel: the one that was away settles what the other has published, and does not take it back for that.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::AppendOutcome;
use snowpipe::{Sink, State};
use support::{World, content, drive, reach, write};

/// Opens of the channel so far.
fn opens(world: &World) -> usize {
    let requests = world.snowflake().journal().requests();
    requests.iter().filter(|r| r.method == "PUT" && r.path.contains("/channels/")).count()
}

fn refused(world: &World) -> usize {
    world
        .snowflake()
        .journal()
        .appends()
        .iter()
        .filter(|a| matches!(a.outcome, AppendOutcome::Rejected(_)))
        .count()
}

/// Publishes rows `start..=end` as a processor does.
async fn persist(world: &World, sink: &Arc<Sink>, start: u64, end: u64) {
    let deadline = Instant::now() + 2 * support::PATIENCE;
    loop {
        let upload = world.begin(sink, start, end, start - 1);
        let ended = drive(sink, upload, content(start, end)).await;
        match ended.state {
            State::Committed => return,
            _ => assert!(ended.state == State::Retry && Instant::now() < deadline, "{ended:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_does_not_take_the_channel_back_for_rows_that_are_stored() {
    let world = World::start().await;
    let (away, other) = (world.sink.clone(), world.node());
    persist(&world, &away, 1, 10).await;
    let upload = world.begin(&away, 11, 20, 10);
    assert_eq!(reach(&away, upload, &[State::WantData]).await.state, State::WantData);
    persist(&world, &other, 11, 20).await;
    persist(&world, &other, 21, 30).await;
    assert_eq!(opens(&world), 2);
    write(&away, upload, content(11, 20)).await;
    let ended = reach(&away, upload, &[]).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    assert_eq!((refused(&world), opens(&world)), (1, 2), "refused by its token, settled by the status");
    // The other one goes on without a break, and what comes to the first one late is known to be stored.
    persist(&world, &other, 31, 40).await;
    persist(&world, &away, 21, 40).await;
    assert_eq!((refused(&world), opens(&world)), (1, 2));
    // The shard moves back: the channel goes with its rows.
    persist(&world, &away, 41, 50).await;
    assert_eq!(opens(&world), 3);
    assert_eq!(world.rows().await, (1..=50).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    other.close(Duration::from_secs(5)).await;
    world.stop().await;
}
