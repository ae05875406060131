//! FlowFiles that come back after a crash, whose rows are in the channel already and were in part rejected: nobody was told
//! which, so it is told now.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use local_cloud::snowflake::{Fault, Route};
use snowpipe::{Progress, Sink, SinkConfig, State};
use support::{World, drive, reach, write};

const POINTER: (&str, &str) = ("Offset Token Record Pointer", "/t");
const ROWS: (&str, &str) = ("Invalid Rows", "ROWS");
const EXACT: [(&str, &str); 3] = [ROWS, ("Warehouse", "COMPUTE_WH"), POINTER];

/// First and last row of a FlowFile, and its rows that do not fit the table.
type FlowFile = (u64, u64, &'static [u64]);

fn content((first, last, bad): FlowFile) -> String {
    let row = |n| match bad.contains(&n) {
        true => format!("{{\"t\":{n}, \"n\":\"no number {n}\"}}\n"),
        false => format!("{{\"t\":{n},\"n\":{n}}}\n"),
    };
    (first..=last).map(row).collect()
}

/// Publishes FlowFiles, and ends when they are committed and before anybody was told: as a crash does.
async fn crash(world: &World, flow_files: &[FlowFile]) {
    let sink = world.node();
    let before = world.snowflake().snapshot().channels.first().map_or(0, |channel| channel.rows_error_count);
    for flow_file in flow_files {
        let upload = world.begin(&sink, flow_file.0, flow_file.1, flow_file.0 - 1);
        reach(&sink, upload, &[State::WantData]).await;
        write(&sink, upload, content(*flow_file).into_bytes()).await;
    }
    let last = flow_files.last().unwrap().1.to_string();
    let rejected = before + flow_files.iter().map(|(_, _, bad)| bad.len() as u64).sum::<u64>();
    let committed = |world: &World| {
        let snapshot = world.snowflake().snapshot();
        let channel = snapshot.channels.first()?;
        let done =
            channel.committed_offset_token.as_deref() == Some(&last) && channel.rows_error_count == rejected;
        done.then_some(())
    };
    world.until("the commit", committed).await;
    drop(sink);
}

/// A FlowFile comes back to `sink`.
async fn again(world: &World, sink: &Arc<Sink>, flow_file: FlowFile) -> Progress {
    let upload = world.begin(sink, flow_file.0, flow_file.1, flow_file.0 - 1);
    drive(sink, upload, content(flow_file).into_bytes()).await
}

/// The rows that leave for invalid, one by one.
fn taken_out(ended: &Progress, flow_file: FlowFile) -> Vec<String> {
    let content = content(flow_file);
    let piece = |at: u64, length: u64| {
        let at = usize::try_from(at).unwrap();
        content[at..at + usize::try_from(length).unwrap()].to_owned()
    };
    ended.pieces.iter().map(|found| piece(found.offset, found.length)).collect()
}

fn bad_row(n: u64) -> String {
    format!("{{\"t\":{n}, \"n\":\"no number {n}\"}}\n")
}

fn told(sink: &Sink) -> Vec<String> {
    sink.messages().into_iter().map(|message| message.text).collect()
}

fn questions(world: &World) -> usize {
    let requests = world.snowflake().journal().requests();
    requests.iter().filter(|request| request.path == "/api/v2/statements").count()
}

const LIVES: [FlowFile; 4] = [(1, 10, &[4, 6]), (11, 20, &[]), (21, 30, &[25]), (31, 40, &[])];

#[tokio::test(flavor = "multi_thread")]
async fn rows_rejected_before_a_crash_leave_one_by_one() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    crash(&world, &LIVES).await;
    let sink = world.node();
    for (flow_file, expected) in LIVES.into_iter().zip([&[4, 6][..], &[], &[25], &[]]) {
        let ended = again(&world, &sink, flow_file).await;
        let rows: Vec<String> = expected.iter().map(|n| bad_row(*n)).collect();
        assert_eq!(taken_out(&ended, flow_file), rows, "{ended:?}");
        let state = if expected.is_empty() { State::Committed } else { State::Invalid };
        let counts = (ended.state, ended.row_errors, ended.rows_sent, ended.rows_skipped);
        assert_eq!(counts, (state, expected.len() as u64, 0, 10), "{ended:?}");
    }
    // A life later the same is told again, and what is new is not mixed with it.
    let sink = world.node();
    let ended = again(&world, &sink, (41, 50, &[44])).await;
    assert_eq!((taken_out(&ended, (41, 50, &[44])), ended.row_errors), (vec![bad_row(44)], 1), "{ended:?}");
    let ended = again(&world, &sink, LIVES[2]).await;
    assert_eq!((taken_out(&ended, LIVES[2]), ended.row_errors), (vec![bad_row(25)], 1), "{ended:?}");
    assert_eq!(world.rows().await.len(), 46);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_file_skipped_in_part_is_told_its_earlier_and_its_own_rejections() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    crash(&world, &[(1, 10, &[4])]).await;
    let sink = world.node();
    for (flow_file, bad, sent) in
        [((1, 20, &[4_u64, 15][..]), vec![4, 15], 10), ((15, 30, &[15]), vec![15], 10)]
    {
        let ended = again(&world, &sink, flow_file).await;
        let rows: Vec<String> = bad.iter().map(|n| bad_row(*n)).collect();
        assert_eq!(taken_out(&ended, flow_file), rows, "{ended:?}");
        assert_eq!((ended.row_errors, ended.rows_sent), (bad.len() as u64, sent), "{ended:?}");
    }
    assert_eq!(world.rows().await.len(), 28);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_left_behind_is_told_by_a_node_that_has_the_channel() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let sink = world.node();
    assert_eq!(again(&world, &sink, (1, 10, &[])).await.state, State::Committed);
    for flow_file in [(11, 20, &[14_u64][..]), (21, 30, &[25])] {
        crash(&world, &[flow_file]).await;
    }
    for (flow_file, bad) in [((11, 20, &[14_u64][..]), 14), ((21, 30, &[25]), 25)] {
        let mut ended = again(&world, &sink, flow_file).await;
        while ended.state == State::Retry {
            ended = again(&world, &sink, flow_file).await;
        }
        assert_eq!((taken_out(&ended, flow_file), ended.row_errors), (vec![bad_row(bad)], 1), "{ended:?}");
    }
    assert_eq!(world.rows().await.len(), 28);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_without_rejections_before_is_success() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    crash(&world, &[(1, 10, &[4]), (11, 20, &[])]).await;
    let before = questions(&world);
    let sink = world.node();
    let ended = again(&world, &sink, (11, 30, &[])).await;
    assert_eq!((ended.state, ended.row_errors, ended.rows_sent), (State::Committed, 0, 10), "{ended:?}");
    assert!(ended.pieces.is_empty());
    assert!(
        questions(&world) <= before + 1,
        "no more than the look at the table: the last rejection was before"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_error_table_the_flow_file_of_the_last_rejection_is_invalid_and_the_others_are_told_once()
{
    for changes in [&[POINTER][..], &[ROWS, POINTER]] {
        let world = World::with(Duration::from_millis(30), changes).await;
        for flow_file in LIVES {
            crash(&world, &[flow_file]).await;
        }
        let sink = world.node();
        let mut ended = Vec::new();
        for flow_file in LIVES {
            ended.push(again(&world, &sink, flow_file).await);
        }
        let states: Vec<State> = ended.iter().map(|ended| ended.state).collect();
        assert_eq!(
            states,
            [State::Committed, State::Committed, State::Invalid, State::Committed],
            "{ended:?}"
        );
        assert!(ended.iter().all(|ended| ended.pieces.is_empty() && ended.rows_skipped == 10));
        assert_eq!(ended[2].row_errors, 0, "three rows in all, and which of them is not known");
        let said = ended[2].message.clone().unwrap();
        assert!(said.contains("has rejected 3 row(s)") && said.contains("no number 25"), "{said}");
        let told = told(&sink);
        let doubts: Vec<&String> = told.iter().filter(|text| text.contains("is not known")).collect();
        assert_eq!(doubts.len(), 1, "once: {told:?}");
        for part in ["channel orders.shard-0 of table DB.SC.T", "has rejected 3 row(s)"] {
            assert!(doubts[0].contains(part), "{part} is not in {}", doubts[0]);
        }
        let query = doubts[0].split_once("told by: ").unwrap().1.to_owned();
        let snowflake = world.snowflake().clone();
        let rows = tokio::task::spawn_blocking(move || snowflake.sql(&query).unwrap().rows).await.unwrap();
        assert_eq!(rows.len(), 3, "the statement shows them");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_rejection_of_a_channel_is_counted() {
    let world = World::with(Duration::from_millis(30), &[POINTER]).await;
    crash(&world, &[(1, 10, &[4])]).await;
    let sink = world.node();
    let ended = again(&world, &sink, (1, 10, &[4])).await;
    assert_eq!((ended.state, ended.row_errors, ended.pieces.len()), (State::Invalid, 1, 0), "{ended:?}");
    // What comes after it is none of that.
    let ended = again(&world, &sink, (11, 20, &[])).await;
    assert_eq!((ended.state, ended.row_errors), (State::Committed, 0), "{ended:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_without_rejections_asks_and_tells_nothing() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    crash(&world, &[(1, 10, &[]), (11, 20, &[])]).await;
    let before = questions(&world);
    let sink = world.node();
    for flow_file in [(1, 10, &[][..]), (11, 20, &[])] {
        let ended = again(&world, &sink, flow_file).await;
        assert_eq!((ended.state, ended.rows_skipped), (State::Committed, 10), "{ended:?}");
    }
    assert!(questions(&world) <= before + 1, "no more than the look at the table");
    assert_eq!(told(&sink), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_table_that_cannot_be_read_makes_no_success_of_the_last_rejection() {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    for flow_file in LIVES {
        crash(&world, &[flow_file]).await;
    }
    world.snowflake().faults().add(Fault::always(Route::Statements, Fault::refuse(503, "000629")));
    let mut config = SinkConfig::from_properties(&world.properties(&[])).unwrap();
    config.error_table_patience = Duration::from_secs(2);
    let sink = Arc::new(Sink::start(config, &tokio::runtime::Handle::current()));
    let uploads =
        LIVES.map(|flow_file| (flow_file, world.begin(&sink, flow_file.0, flow_file.1, flow_file.0 - 1)));
    let mut states = Vec::new();
    for (flow_file, upload) in uploads {
        let ended = drive(&sink, upload, content(flow_file).into_bytes()).await;
        assert!(ended.pieces.is_empty(), "{ended:?}");
        states.push(ended.state);
    }
    assert_eq!(states, [State::Committed, State::Committed, State::Invalid, State::Committed]);
    let told = told(&sink);
    let doubts = told.iter().filter(|text| text.contains("they are success") && text.contains("HTTP 503"));
    assert_eq!(doubts.count(), 1, "{told:?}");
    world.stop().await;
}
