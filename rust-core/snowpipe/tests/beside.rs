//! What is broken for good ends, with its reason, in bounded tries; what is beside it in the same sink goes on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use local_cloud::snowflake::{Fault, Route};
use snowpipe::{State, UploadRequest};
use support::{World, content, drive, reach};

const HEALTHY: &str = "orders.shard-0";
const BROKEN: &str = "broken.shard-0";

fn request(table: &str, group: &str, start: u64, end: u64) -> UploadRequest {
    let map = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Table", table.to_owned()),
        ("Channel Group", group.to_owned()),
        ("Offset Token Start", start.to_string()),
        ("Offset Token End", end.to_string()),
        ("Offset Token Previous", (start - 1).to_string()),
        ("Size", "400".to_owned()),
    ];
    UploadRequest::from_properties(&map.map(|(name, value)| (name.to_owned(), value)).into()).unwrap()
}

/// Publishes through the channel that nothing is wrong with until `other` has ended; gives how many rows that were.
async fn publish_beside<T>(world: &World, other: tokio::task::JoinHandle<T>) -> (T, u64) {
    let mut rows = 0;
    while !other.is_finished() || rows < 30 {
        let upload = world.begin_in(HEALTHY, &world.sink, rows + 1, rows + 10, rows);
        let ended = drive(&world.sink, upload, content(rows + 1, rows + 10)).await;
        assert_eq!((ended.state, ended.rows_sent), (State::Committed, 10), "{ended:?}");
        rows += 10;
    }
    (other.await.unwrap(), rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_broken_for_good_fails_its_flow_file_and_no_other_channel() {
    let world = Arc::new(World::with(Duration::from_millis(50), &[]).await);
    let broken = Fault::refuse(409, "ERR_CHANNEL_MUST_BE_REOPENED");
    let broken = Fault { path_contains: BROKEN.to_owned(), ..Fault::always(Route::Append, broken) };
    world.snowflake().faults().add(broken);
    let publisher = Arc::clone(&world);
    let failing = tokio::spawn(async move {
        // As a processor does: what goes back to its queue is begun again.
        for tries in 1..20 {
            let upload = publisher.sink.begin(request("T", BROKEN, 1, 10)).unwrap();
            let ended = drive(&publisher.sink, upload, content(1, 10)).await;
            if ended.state != State::Retry {
                return (ended, tries);
            }
        }
        unreachable!("it is tried for ever")
    });
    let ((ended, tries), rows) = publish_beside(&world, failing).await;
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    let reason = ended.message.unwrap();
    assert!(reason.contains(BROKEN) && reason.contains("ERR_CHANNEL_MUST_BE_REOPENED"), "{reason}");
    assert!((2..=7).contains(&tries), "{tries}");
    assert_eq!(world.rows().await, (1..=rows).collect::<Vec<_>>());
    let opens = world.snowflake().journal().requests().into_iter();
    let opens = opens.filter(|r| r.method == "PUT" && r.path.contains(HEALTHY)).count();
    assert_eq!(opens, 1, "the other channel never noticed");
    Arc::into_inner(world).unwrap().stop().await;
}

/// On one thread, because the clock is moved.
#[tokio::test]
async fn a_table_that_stays_missing_fails_what_waits_for_it_and_nothing_beside_it() {
    let world = World::with(Duration::from_millis(50), &[]).await;
    let waits = world.sink.begin(request("NOT_THERE", BROKEN, 1, 10)).unwrap();
    world.message("cannot be opened").await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    assert_eq!(world.sink.advance(waits, Duration::ZERO).await.unwrap().state, State::Waiting, "it may come");
    support::pass(Duration::from_secs(125)).await;
    let ended = reach(&world.sink, waits, &[]).await;
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    let reason = ended.message.unwrap();
    assert!(reason.contains("table DB.SC.NOT_THERE") && reason.contains("does not exist"), "{reason}");
    assert_eq!(world.publish(11, 20, 10).await.state, State::Committed);
    let next = world.sink.begin(request("NOT_THERE", BROKEN, 11, 20)).unwrap();
    assert_eq!(reach(&world.sink, next, &[]).await.state, State::Failed, "at once for a while");
    assert_eq!(world.rows().await, (1..=20).collect::<Vec<_>>());
    world.stop().await;
}
