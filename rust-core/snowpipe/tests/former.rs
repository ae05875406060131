//! A flow that used Snowflake's own processor before.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use snowpipe::{Sink, State};
use support::{World, announce, content, drive, reach, write};

const GROUP: &str = "orders";
/// What Snowflake's processor calls the channel of the group.
const FORMER: &str = "orders-0";

/// Announces rows as a source does that tells no previous position.
fn begin(sink: &Sink, start: u64, end: u64) -> u64 {
    announce(sink, GROUP, (start, end, None), content(start, end).len())
}

/// Publishes rows through the former channel.
async fn before(world: &World, start: u64, end: u64) {
    let former = world.node();
    let upload = world.begin_in(FORMER, &former, start, end, 0);
    assert_eq!(drive(&former, upload, content(start, end)).await.state, State::Committed);
    former.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_former_channel_has_are_skipped() {
    let world = World::start().await;
    before(&world, 1, 500).await;
    for (start, end, skipped) in [(391, 490, 100), (491, 510, 10), (511, 520, 0)] {
        let ended = drive(&world.sink, begin(&world.sink, start, end), content(start, end)).await;
        assert_eq!((ended.state, ended.rows_skipped), (State::Committed, skipped), "{ended:?}");
    }
    assert_eq!(world.rows().await, (1..=520).collect::<Vec<_>>());
    world.message("goes on after 500, where the channel orders-0 has ended").await;
    // From now on the channel's own token counts.
    let later = world.node();
    let ended = drive(&later, begin(&later, 511, 530), content(511, 530)).await;
    assert_eq!((ended.state, ended.rows_skipped), (State::Committed, 10), "{ended:?}");
    assert_eq!(world.rows().await, (1..=530).collect::<Vec<_>>());
    later.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_still_under_way_in_the_former_channel_are_waited_for() {
    let world = World::start().await;
    before(&world, 1, 10).await;
    world.snowflake().pause_commits();
    let former = world.node();
    let upload = world.begin_in(FORMER, &former, 11, 20, 10);
    reach(&former, upload, &[State::WantData]).await;
    write(&former, upload, content(11, 20)).await;
    world.until("the append", |w| (w.snowflake().journal().appends().len() == 2).then_some(())).await;
    former.close(Duration::from_secs(5)).await;
    let upload = begin(&world.sink, 11, 30);
    let opens = |w: &World| {
        let requests = w.snowflake().journal().requests();
        requests.iter().filter(|r| r.method == "PUT" && r.path.ends_with("/orders-0")).count()
    };
    // The former channel refuses to be opened with rows under way.
    world.until("a second try", |w| (opens(w) >= 4).then_some(())).await;
    world.snowflake().resume_commits();
    let ended = drive(&world.sink, upload, content(11, 30)).await;
    assert_eq!((ended.state, ended.rows_skipped), (State::Committed, 10), "{ended:?}");
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_says_nothing_about_rows() {
    let world = World::start().await;
    let now = 1_790_000_000_000;
    before(&world, now, now + 1).await;
    let ended = drive(&world.sink, begin(&world.sink, 1, 10), content(1, 10)).await;
    assert_eq!((ended.state, ended.rows_sent), (State::Committed, 10), "{ended:?}");
    world.message("was written without offset tracking").await;
    world.stop().await;
}
