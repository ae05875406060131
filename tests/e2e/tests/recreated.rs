//! What is deleted and made anew under the same name: a stream, a pipe. No row is missing and none is there twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use e2e::{Connector, Rig};
use local_cloud::{LocalCloud, Options};

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: u64 = 120;
const SHARDS: u32 = 2;
/// Requests are refused when their date and the service's clock are five minutes apart.
const AHEAD: Duration = Duration::from_secs(240);

fn put(rig: &Rig, from: u64) {
    for row in from..from + ROWS {
        rig.cloud.kinesis().put(&rig.stream, &format!("key-{row}"), format!("{{\"row\":{row}}}")).unwrap();
    }
}

async fn sql(rig: &Rig, text: String) -> Vec<Vec<Option<String>>> {
    let snowflake = rig.cloud.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(&text).unwrap().rows).await.unwrap()
}

/// The numbers from 0 to `rows`, each once.
async fn assert_rows(rig: &Rig, rows: u64) {
    let counted =
        "SELECT COUNT(*), COUNT(DISTINCT \"ROW\"), MIN(\"ROW\"), MAX(\"ROW\") FROM DB.PUBLIC.EVENTS";
    let expected = [rows, rows, 0, rows - 1].map(|number| Some(number.to_string()));
    assert_eq!(sql(rig, counted.to_owned()).await, [expected.to_vec()]);
    assert!(rig.cloud.snowflake().violations().is_empty());
}

async fn rig(folder: &Path) -> Rig {
    let mut options = Options { state: Some(folder.join("state")), ..Options::default() };
    options.snowflake.commit_delay = Duration::from_millis(50);
    let cloud = LocalCloud::start(options).await.unwrap();
    Rig { cloud, stream: "events".into(), table: ["DB", "PUBLIC", "EVENTS"].map(str::to_owned) }
}

/// Runs a connector until it has published `ROWS` rows.
async fn carry(rig: &Rig) {
    let mut connector = Connector::start(rig, "app").unwrap();
    connector.run_until(LIMIT, |connector| connector.rows() >= ROWS).await.unwrap();
    connector.stop().await;
}

fn channels(rig: &Rig) -> Vec<(String, u64)> {
    let channels = rig.cloud.snowflake().snapshot().channels;
    channels.into_iter().map(|channel| (channel.name, channel.rows_inserted)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_stream_of_the_same_name_are_not_taken_for_those_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    // The first stream is of a time ahead of the second's: all its numbers are above those that come later. Its
    // checkpoint table goes with it; its channels and their tokens stay.
    let first = rig(folder.path()).await;
    first.cloud.clock().advance(AHEAD);
    first.cloud.kinesis().create_stream("events", SHARDS).unwrap();
    sql(
        &first,
        "CREATE DATABASE db; CREATE TABLE db.public.events (kinesisMetadata OBJECT, \"ROW\" INT)".to_owned(),
    )
    .await;
    put(&first, 0);
    carry(&first).await;
    let old = channels(&first);
    let highest = highest_number(&first);
    first.cloud.stop().await;

    std::fs::remove_dir_all(folder.path().join("state/kinesis")).unwrap();
    std::fs::remove_file(folder.path().join("state/dynamodb.db")).unwrap();
    let second = rig(folder.path()).await;
    second.cloud.kinesis().create_stream("events", SHARDS).unwrap();
    put(&second, ROWS);
    assert!(highest_number(&second) < highest, "tokens of the old channels cover every new row");
    carry(&second).await;
    assert_rows(&second, 2 * ROWS).await;
    let new = channels(&second);
    assert_eq!((old.len(), new.len()), (2, 4), "{new:?}");
    assert!(old.iter().all(|channel| new.contains(channel)), "the old channels are left alone");
    second.cloud.stop().await;
}

fn highest_number(rig: &Rig) -> Option<String> {
    let shards = rig.cloud.kinesis().shards(&rig.stream).unwrap();
    let records =
        shards.iter().flat_map(|shard| rig.cloud.kinesis().records(&rig.stream, &shard.id).unwrap());
    records.map(|record| record.sequence_number).max()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_may_be_created_again_while_the_connector_runs() {
    let rig = Rig::start(SHARDS, "(kinesisMetadata OBJECT, \"ROW\" INT)").await.unwrap();
    let mut connector = Connector::start(&rig, "app").unwrap();
    put(&rig, 0);
    connector.run_until(LIMIT, |connector| connector.rows() >= ROWS).await.unwrap();
    rig.cloud.kinesis().delete_stream(&rig.stream).unwrap();
    rig.cloud.kinesis().create_stream(&rig.stream, SHARDS).unwrap();
    put(&rig, ROWS);
    connector.run_until(LIMIT, |connector| connector.rows() >= 2 * ROWS).await.unwrap();
    let said = connector.messages();
    connector.stop().await;
    assert!(said.iter().any(|text| text.contains("was deleted and created again")), "{said:?}");
    assert_rows(&rig, 2 * ROWS).await;
    assert_eq!(channels(&rig).len(), 4, "each stream has channels of its own");
    rig.cloud.stop().await;
}

/// The same pipe, but for the text that tells its rows apart.
fn pipe(version: &str) -> String {
    format!(
        "CREATE OR REPLACE PIPE DB.PUBLIC.OWN AS COPY INTO DB.PUBLIC.EVENTS FROM (\
         SELECT $1:row::INT, '{version}', $1:kinesisMetadata.shardedSequenceNumber::VARCHAR \
         FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_of_one_s_own_may_be_replaced_while_rows_are_on_their_way() {
    let rig = Rig::start(SHARDS, "(\"ROW\" INT, PIPE VARCHAR, POSITION VARCHAR)").await.unwrap();
    sql(&rig, pipe("first")).await;
    let mut sink = rig.sink_properties().unwrap();
    sink.insert("Destination Type".to_owned(), "PIPE".to_owned());
    let destination = [("Database", "DB"), ("Schema", "PUBLIC"), ("Pipe", "OWN")];
    let destination = destination.map(|(name, value)| (name, value.to_owned())).to_vec();
    let mut connector = Connector::with(&rig.source_properties("app"), &sink, destination).unwrap();
    put(&rig, 0);
    connector.run_until(LIMIT, |connector| connector.rows() >= ROWS).await.unwrap();

    // Accepted and not committed: these rows go down with the old pipe, and their FlowFiles are still here.
    rig.cloud.snowflake().pause_commits();
    put(&rig, ROWS);
    let replace = async {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while !rig.cloud.snowflake().snapshot().channels.iter().any(|channel| channel.pending_appends > 0) {
            assert!(tokio::time::Instant::now() < deadline, "nothing is on its way");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sql(&rig, pipe("second")).await;
        rig.cloud.snowflake().resume_commits();
    };
    let (moved, ()) =
        tokio::join!(connector.run_until(LIMIT, |connector| connector.rows() >= 2 * ROWS), replace);
    moved.unwrap();
    put(&rig, 2 * ROWS);
    connector.run_until(LIMIT, |connector| connector.rows() >= 3 * ROWS).await.unwrap();
    let said = connector.messages();
    connector.stop().await;
    assert_rows(&rig, 3 * ROWS).await;
    let by_pipe =
        sql(&rig, "SELECT PIPE, COUNT(*) FROM DB.PUBLIC.EVENTS GROUP BY PIPE ORDER BY PIPE".into()).await;
    let expected = [("first", ROWS), ("second", 2 * ROWS)];
    let expected = expected.map(|(pipe, rows)| vec![Some(pipe.to_owned()), Some(rows.to_string())]);
    assert_eq!(by_pipe, expected);
    let told = said.iter().filter(|text| text.contains("pipe DB.PUBLIC.OWN: opened anew")).count();
    assert_eq!(told, 2, "the user learns of it, for each channel: {said:#?}");
    rig.cloud.stop().await;
}
