//! Offset tracking by FlowFile and without tracking.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use local_cloud::snowflake::{Fault, Route};
use snowpipe::State;
use support::World;

const NO_DELAY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn flow_files_are_skipped_whole_by_their_end() {
    let changes = [("Offset Tracking Resolution", "FLOW_FILE"), ("Offset Token Record Pointer", "")];
    let world = World::with(NO_DELAY, &changes).await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let again = world.publish(1, 10, 0).await;
    assert_eq!((again.state, again.rows_sent, again.rows_skipped), (State::Committed, 0, 10));
    assert_eq!(world.publish(11, 20, 10).await.rows_sent, 10);
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    let tokens: Vec<_> = world.snowflake().journal().appends().into_iter().filter_map(|a| a.end).collect();
    assert_eq!(tokens, ["10", "20"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tracking_every_flow_file_is_published_at_least_once() {
    let changes = [("Offset Tracking Resolution", "DISABLED"), ("Offset Token Record Pointer", "")];
    let world = World::with(NO_DELAY, &changes).await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    assert_eq!(world.publish(1, 10, 0).await.rows_sent, 10, "nothing is skipped");
    world
        .snowflake()
        .faults()
        .add(Fault::once(Route::Append, Fault::refuse(409, "ERR_CHANNEL_MUST_BE_REOPENED")));
    let mut ended = world.publish(11, 20, 10).await;
    assert_eq!(ended.state, State::Retry, "{ended:?}");
    ended = world.publish(11, 20, 10).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    let rows = world.rows().await;
    assert_eq!(rows.len(), 30);
    assert!((1..=20).all(|n| rows.contains(&n)));
    world.stop().await;
}

/// Of two that are begun at once, the channel must not hear of the later number first: it would take the earlier one for
/// stored when the later one is.
#[tokio::test(flavor = "multi_thread")]
async fn without_tracking_flow_files_of_many_threads_come_in_the_order_of_their_numbers() {
    const EACH: u64 = 4_000;
    let changes = [
        ("Offset Tracking Resolution", "DISABLED"),
        ("Offset Token Record Pointer", ""),
        ("Snowflake Endpoint Override URL", "https://127.0.0.1:9"),
    ];
    let world = World::with(NO_DELAY, &changes).await;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    world.begin(&world.sink, 1, 1, 0);
                }
            });
        }
    });
    let last = world.begin(&world.sink, 1, 1, 0);
    world.sink.advance(last, Duration::from_millis(500)).await.unwrap();
    let defects: Vec<_> = world.sink.messages().into_iter().filter(|m| m.text.contains("defect")).collect();
    assert!(defects.is_empty(), "{defects:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tracking_each_node_has_a_channel_of_its_own() {
    let changes = [("Offset Tracking Resolution", "DISABLED"), ("Offset Token Record Pointer", "")];
    let world = World::with(NO_DELAY, &changes).await;
    let node = |name: &str| Arc::new(support::sink(&world.properties(&[("Node", name)])));
    let nodes = [node("a"), node("b")];
    for (round, sink) in (0..10).zip(nodes.iter().cycle()) {
        let start = round * 10 + 1;
        let upload = world.begin_in("SHARED", sink, start, start + 9, 0);
        let ended = support::drive(sink, upload, support::content(start, start + 9)).await;
        assert_eq!(ended.state, State::Committed, "{ended:?}");
    }
    // A group that names the node already is left as it is.
    let upload = world.begin_in("SHARED.a", &nodes[0], 101, 110, 0);
    assert!(support::reach(&nodes[0], upload, &[State::WantData]).await.transit_uri.ends_with("/SHARED.a"));
    let requests = world.snowflake().journal().requests();
    let opens: Vec<_> = requests.iter().filter(|r| r.method == "PUT").map(|r| r.path.as_str()).collect();
    assert_eq!(opens.len(), 2, "{opens:?}");
    assert!(opens.iter().any(|path| path.ends_with("/SHARED.a")), "{opens:?}");
    assert_eq!(world.rows().await, (1..=100).collect::<Vec<_>>());
    for sink in nodes {
        sink.close(Duration::from_secs(5)).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tracking_two_processors_may_share_a_channel() {
    let changes = [("Offset Tracking Resolution", "DISABLED"), ("Offset Token Record Pointer", "")];
    let world = World::with(NO_DELAY, &changes).await;
    let other = world.node();
    for round in 0..3 {
        let (start, end) = (round * 20 + 1, round * 20 + 10);
        while world.publish(start, end, start - 1).await.state != State::Committed {}
        loop {
            let upload = world.begin(&other, start + 10, end + 10, end);
            let ended = support::drive(&other, upload, support::content(start + 10, end + 10)).await;
            if ended.state == State::Committed {
                break;
            }
        }
    }
    let rows = world.rows().await;
    assert!((1..=60).all(|n| rows.contains(&n)), "{rows:?}");
    other.close(Duration::from_secs(5)).await;
    world.stop().await;
}
