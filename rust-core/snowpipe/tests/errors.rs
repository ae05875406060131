//! Every error of the service, met on the way of rows: none is lost, none is stored twice, none waits for ever.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::State;
use support::World;

const PIPE: &str = "DB.SC.\"T-STREAMING\"";
const CHANNEL: &str = "orders.shard-0";
const TRANSIENT: &str = "ERR_GENERAL_EXCEPTION_RETRY_REQUEST";
/// Rows of a FlowFile.
const CUT: u64 = 10;

/// Status and code of errors that no request of ours caused.
const ERRORS: [(u16, &str); 27] = [
    (400, "STALE_CONTINUATION_TOKEN_SEQUENCER"),
    (400, "4"),
    (400, "3"),
    (400, "1"),
    (400, "5"),
    (400, "6"),
    (401, "390318"),
    (403, "390403"),
    (404, ""),
    (404, "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"),
    (400, "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED"),
    (408, ""),
    (409, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA"),
    (409, "ERR_OPEN_CHANNEL_IN_PROGRESS"),
    (409, "ERR_PIPE_IN_INVALID_STATE"),
    (409, ""),
    (410, ""),
    (429, "390701"),
    (499, ""),
    (500, TRANSIENT),
    (503, ""),
    (409, "ERR_CHANNEL_MUST_BE_REOPENED"),
    (409, "ERR_CHANNEL_MUST_BE_REOPENED_DUE_TO_ROW_SEQ_GAP"),
    (409, "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"),
    (409, "ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER"),
    (404, "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED"),
    (409, "STALE_PIPE_CACHE"),
];

fn body(code: &str) -> String {
    match code {
        "" => "Gone".to_owned(),
        // Some errors come as nothing but a string.
        TRANSIENT => format!("\"{code}\""),
        code => format!("{{\"code\":\"{code}\",\"message\":\"injected\"}}"),
    }
}

/// Errors answered instead of the work, or after it was done.
fn troubles(after: bool) -> Vec<Trouble> {
    let cut = if after { Trouble::CutAfter } else { Trouble::Cut };
    let refuse = |(status, code): (u16, &str)| match after {
        true => Trouble::RefuseAfter { status, body: body(code) },
        false => Trouble::Refuse { status, body: body(code) },
    };
    let unreadable = (200, "");
    ERRORS.into_iter().chain([unreadable]).map(refuse).chain([cut]).collect()
}

/// Publishes the next FlowFile as a processor does; it must not fail, for nothing is wrong with it.
async fn next(world: &World, rows: &mut u64, trouble: &Trouble) {
    let (start, end) = (*rows + 1, *rows + CUT);
    let deadline = Instant::now() + support::PATIENCE;
    loop {
        let ended = world.publish(start, end, *rows).await;
        match ended.state {
            State::Committed => break,
            State::Retry => assert!(Instant::now() < deadline, "{trouble:?}: {ended:?}"),
            _ => assert_eq!(ended.state, State::Committed, "{trouble:?}: {ended:?}"),
        }
    }
    *rows = end;
}

/// Each trouble once in a call of `route` while rows are under way.
async fn overcome(route: Route, troubles: Vec<Trouble>) {
    let world = World::with(Duration::from_millis(30), &[]).await;
    let mut rows = 0;
    for trouble in troubles {
        if route == Route::Open {
            next(&world, &mut rows, &trouble).await;
            world.snowflake().invalidate_channel(PIPE, CHANNEL, "ERR_CHANNEL_MUST_BE_REOPENED");
        }
        world.snowflake().faults().add(Fault::once(route, trouble.clone()));
        next(&world, &mut rows, &trouble).await;
        assert_eq!(world.snowflake().faults().fired(), 1, "{trouble:?} was not met");
        world.snowflake().faults().clear();
    }
    next(&world, &mut rows, &Trouble::Cut).await;
    assert_eq!(world.rows().await, (1..=rows).collect::<Vec<_>>());
    assert_eq!(world.snowflake().violations(), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_of_an_append_that_was_not_taken() {
    overcome(Route::Append, troubles(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_of_an_append_that_was_taken() {
    overcome(Route::Append, troubles(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_of_an_open() {
    overcome(Route::Open, troubles(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_of_an_open_that_was_done() {
    overcome(Route::Open, troubles(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_error_of_a_status_call() {
    overcome(Route::Status, troubles(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_status_code_that_voids_the_channel_while_rows_are_under_way() {
    let world = World::with(Duration::from_millis(30), &[]).await;
    let mut rows = 0;
    next(&world, &mut rows, &Trouble::Cut).await;
    for (_, code) in ERRORS.into_iter().filter(|(_, code)| code.starts_with("ERR_CHANNEL_")) {
        world.snowflake().pause_commits();
        let before = world.snowflake().journal().appends().len();
        let invalidating = async {
            world
                .until("the append", |w| (w.snowflake().journal().appends().len() > before).then_some(()))
                .await;
            assert!(world.snowflake().invalidate_channel(PIPE, CHANNEL, code));
            world.snowflake().resume_commits();
        };
        let trouble = Trouble::Refuse { status: 200, body: code.to_owned() };
        tokio::join!(invalidating, next(&world, &mut rows, &trouble));
    }
    assert_eq!(world.rows().await, (1..=rows).collect::<Vec<_>>());
    world.stop().await;
}
