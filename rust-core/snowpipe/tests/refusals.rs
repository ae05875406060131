//! Answers that refuse in a way of their own: by a status, or for a token that is no longer valid.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use local_cloud::Options;
use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::State;
use support::{World, content, drive};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_that_is_told_by_a_channel_status_is_named() {
    let mut options = Options::default();
    options.snowflake.quirks.missing_pipe_as_status = true;
    let world = World::of(options, &[]).await;
    world.snowflake().sql("DROP TABLE DB.SC.T").unwrap();
    let upload = world.begin(&world.sink, 1, 10, 0);
    let text = world.message("cannot be opened").await;
    assert!(text.contains("does not exist or the role may not use it"), "{text}");
    world.snowflake().sql("CREATE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR)").unwrap();
    assert_eq!(drive(&world.sink, upload, content(1, 10)).await.state, State::Committed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_renewed_once_whatever_the_answer_is() {
    let world = World::start().await;
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let expired =
        Trouble::Refuse { status: 400, body: r#"{"status_code":3,"message":"expired"}"#.to_owned() };
    let answers = [Fault::refuse(401, "390318"), Fault::refuse(403, "390318"), expired];
    for (answer, start) in answers.into_iter().zip([11, 21, 31]) {
        world.snowflake().faults().add(Fault::once(Route::Append, answer));
        assert_eq!(world.publish(start, start + 9, start - 1).await.state, State::Committed);
    }
    let requests = world.snowflake().journal().requests();
    let count = |path: &str| requests.iter().filter(|r| r.path.ends_with(path)).count();
    assert_eq!(count("/oauth/token"), 4, "one each");
    assert_eq!(count("/channels/orders.shard-0"), 1, "nothing is opened anew");
    assert_eq!(world.rows().await, (1..=40).collect::<Vec<_>>());
    world.stop().await;
}
