//! Each mutating call of DynamoDB, Kinesis and Snowflake is carried out and its answer lost, one after the other: no row
//! is missing and none is there twice, also for a second incarnation that goes on from what the first has stored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{Connector, Rig};
use local_cloud::snowflake::{Fault, Route, Trouble};
use local_cloud::{Action, Rule, When};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: u64 = 60;

/// A lost answer.
#[derive(Debug, Clone)]
enum Lost {
    /// To the n-th call of an operation of DynamoDB or Kinesis.
    Aws(&'static str, u64, Action),
    /// To a call to Snowflake, after some that are answered.
    Snowflake(Route, u32, Trouble),
}

fn unanswered() -> Vec<Lost> {
    let mut lost = Vec::new();
    for action in [Action::ApplyThenCut, Action::CutInBody] {
        for operation in ["CreateTable", "RegisterStreamConsumer"] {
            lost.push(Lost::Aws(operation, 1, action.clone()));
        }
        // Heartbeat, start anchor, lease, renewal, checkpoint, release: which is which depends on the timing.
        for nth in 1..=6 {
            lost.push(Lost::Aws("UpdateItem", nth, action.clone()));
        }
    }
    let body = "\"ERR_GENERAL_EXCEPTION_RETRY_REQUEST\"".to_owned();
    let refused = |status| Trouble::RefuseAfter { status, body: body.clone() };
    for trouble in [refused(500), refused(503), Trouble::CutAfter] {
        for (route, skip) in [(Route::Token, 0), (Route::Open, 0), (Route::Append, 0), (Route::Append, 1)] {
            lost.push(Lost::Snowflake(route, skip, trouble.clone()));
        }
    }
    lost
}

fn put(rig: &Rig, ids: std::ops::Range<u64>) {
    for id in ids {
        let payload = format!("{{\"id\": {id}}}");
        rig.cloud.kinesis().put(&rig.stream, &format!("key-{id}"), payload).unwrap();
    }
}

/// Numbers of the table's rows, and how often each is there.
async fn rows(rig: &Rig) -> BTreeMap<u64, u64> {
    let snowflake = rig.cloud.snowflake().clone();
    let table = rig.table.join(".");
    let answer = tokio::task::spawn_blocking(move || snowflake.sql(&format!("SELECT ID FROM {table}")));
    let mut times = BTreeMap::new();
    for row in answer.await.unwrap().unwrap().rows {
        let id = row.first().and_then(|id| id.as_deref()?.parse().ok()).expect("a number");
        *times.entry(id).or_default() += 1;
    }
    times
}

async fn one(lost: Lost) -> Result<(), String> {
    let rig = Rig::start(2, "(kinesisMetadata OBJECT, id NUMBER)").await.map_err(|e| e.to_string())?;
    let mut source = rig.source_properties("ambiguous");
    if matches!(lost, Lost::Aws("RegisterStreamConsumer", ..)) {
        source.insert("Consumer Type".to_owned(), "ENHANCED_FAN_OUT".to_owned());
    }
    let rule = match lost.clone() {
        Lost::Aws(operation, nth, action) => {
            Some(rig.cloud.faults().add(Rule::on(operation, When::Nth(nth), action)))
        }
        Lost::Snowflake(route, skip, trouble) => {
            rig.cloud.snowflake().faults().add(Fault { skip, ..Fault::once(route, trouble) });
            None
        }
    };
    for incarnation in 1..=2 {
        put(&rig, (incarnation - 1) * RECORDS..incarnation * RECORDS);
        let [database, schema, table] = rig.table.clone();
        let destination = vec![("Database", database), ("Schema", schema), ("Table", table)];
        let sink = rig.sink_properties().map_err(|e| e.to_string())?;
        let mut connector = Connector::with(&source, &sink, destination).map_err(|e| e.to_string())?;
        let done = |connector: &Connector| {
            let files = connector.published.iter();
            files.map(|file| file.progress.rows_sent + file.progress.rows_skipped).sum::<u64>() >= RECORDS
        };
        let moved = connector.run_until(LIMIT, done).await;
        moved.map_err(|error| format!("incarnation {incarnation}: {error}"))?;
        connector.stop().await;
    }
    let hit = match rule {
        Some(rule) => rig.cloud.faults().hits(rule),
        None => u64::from(rig.cloud.snowflake().faults().fired()),
    };
    let times = rows(&rig).await;
    let wrong: Vec<_> = (0..2 * RECORDS).filter(|id| times.get(id) != Some(&1)).collect();
    let violations = rig.cloud.snowflake().violations();
    rig.cloud.stop().await;
    if !wrong.is_empty() || !violations.is_empty() {
        return Err(format!("not there exactly once: {wrong:?}; {violations:?}"));
    }
    if hit == 0 { Err("no such call was made".to_owned()) } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_loses_and_doubles_nothing() {
    let mut failures = Vec::new();
    for some in unanswered().chunks(9) {
        let running: Vec<_> =
            some.iter().cloned().map(|lost| (lost.clone(), tokio::spawn(one(lost)))).collect();
        for (lost, outcome) in running {
            if let Err(failure) = outcome.await.unwrap() {
                failures.push(format!("{lost:?}: {failure}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
