//! A channel that nobody used for 30 days is gone at the service, with its token: nothing is lost, nothing stored twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use snowpipe::State;
use support::{World, content, drive, reach, write};

const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// The service forgets its idle channels, and every token handed out so far.
fn a_month_passes(world: &World) {
    world.snowflake().clock().advance(MONTH);
    assert!(world.snowflake().snapshot().channels.is_empty(), "the channel is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_ran_all_the_time_goes_on_by_itself() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    for (start, end) in [(11, 20), (21, 30)] {
        a_month_passes(&world);
        let mut ended = world.publish(start, end, start - 1).await;
        while ended.state == State::Retry {
            ended = world.publish(start, end, start - 1).await;
        }
        assert_eq!(ended.state, State::Committed, "{ended:?}");
    }
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_sink_waits_and_says_why_until_it_is_told_to_go_on() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    a_month_passes(&world);
    let restarted = world.node();
    let upload = world.begin(&restarted, 11, 20, 10);
    let held = loop {
        let progress = restarted.advance(upload, Duration::from_millis(250)).await.unwrap();
        assert!(matches!(progress.state, State::Waiting), "{progress:?}");
        if let Some(message) = progress.message.filter(|message| message.contains("held back")) {
            break message;
        }
    };
    assert!(held.contains("expired after 30 days") && held.contains("PUBLISH"), "{held}");
    restarted.close(Duration::from_secs(5)).await;

    let changes = [("Gap Strategy", "PUBLISH"), ("Gap Timeout", "1000")];
    let told = std::sync::Arc::new(support::sink(&world.properties(&changes)));
    let upload = world.begin(&told, 11, 20, 10);
    assert_eq!(drive(&told, upload, content(11, 20)).await.state, State::Committed);
    let upload = world.begin(&told, 21, 30, 20);
    reach(&told, upload, &[State::WantData]).await;
    write(&told, upload, content(21, 30)).await;
    assert_eq!(reach(&told, upload, &[]).await.state, State::Committed);
    assert_eq!(world.rows().await, (1..=30).collect::<Vec<_>>());
    told.close(Duration::from_secs(5)).await;
    world.stop().await;
}
