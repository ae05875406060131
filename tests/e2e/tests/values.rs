//! What a producer puts on the stream is what reaches Snowflake, byte for byte, plus the metadata.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::vectors::{METADATA, Payload, lines, payloads};
use e2e::{Connector, Published, Rig, attribute};
use local_cloud::Record;
use local_cloud::snowflake::AppendOutcome;
use snowpipe::State;

const LIMIT: Duration = Duration::from_secs(120);
const SHARD: &str = "shardId-000000000000";

/// Rows that arrive as they were put and that the table cannot take: a name that is no text.
const NOT_FOR_A_TABLE: [&str; 1] = ["lone surrogate in a name"];

/// The member as the documentation describes it, written by other means than the connector's.
fn metadata(stream: &str, record: &Record) -> String {
    let arrival = jiff::Timestamp::from_millisecond(record.arrival_ms).unwrap();
    let arrival = arrival.strftime("%Y-%m-%dT%H:%M:%S.%3f");
    let key = serde_json::to_string(&record.partition_key).unwrap();
    let number = &record.sequence_number;
    format!(
        "\"kinesisMetadata\":{{\"stream\":\"{stream}\",\"shardId\":\"{SHARD}\",\"approximateArrival\":\"{arrival}\",\
         \"partitionKey\":{key},\"sequenceNumber\":\"{number}\",\"subSequenceNumber\":0,\
         \"shardedSequenceNumber\":\"{number}00000000000000000000\"}}"
    )
}

/// All payloads of the corpus, and some that only a test against a service needs.
fn corpus() -> Vec<Payload> {
    let mut corpus = payloads().unwrap();
    corpus.extend(lines().unwrap());
    for (name, unit) in [("1 MiB of text", "x"), ("1 MiB of astral characters", "\u{1F600}")] {
        let text = unit.repeat((1 << 20) / unit.len() - 256);
        let data = format!("{{\"v\":\"{text}\"}}");
        let row = format!("{{\"v\":\"{text}\",{METADATA}}}");
        corpus.push(Payload { name: name.to_owned(), data: data.into_bytes(), row: Some(row) });
    }
    corpus
}

/// Bodies of all accepted appends, one after the other.
fn appended(rig: &Rig) -> Vec<u8> {
    let appends = rig.cloud.snowflake().journal().appends();
    let accepted = appends.iter().filter(|append| append.outcome == AppendOutcome::Accepted);
    accepted.flat_map(|append| append.body.clone().expect("the journal keeps bodies")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_survives_byte_for_byte() {
    let rig = Rig::start(1, "(kinesisMetadata OBJECT)").await.unwrap();
    let corpus = corpus();
    for (number, payload) in corpus.iter().enumerate() {
        let key = format!("key-{number}-\"\u{1F600}\\");
        rig.cloud.kinesis().put(&rig.stream, &key, payload.data.clone()).unwrap();
    }
    let rows = corpus.iter().filter(|payload| payload.row.is_some()).count();
    let failures = corpus.len() - rows;
    let mut connector = Connector::start(&rig, "values").unwrap();
    connector
        .run_until(LIMIT, |so_far| so_far.rows() >= rows as u64 && so_far.rejected.len() >= failures)
        .await
        .unwrap();

    let stored = rig.cloud.kinesis().records(&rig.stream, SHARD).unwrap();
    assert_eq!(stored.len(), corpus.len());
    let body = appended(&rig);
    let mut sent = record::lines(&body);
    let mut rejected = connector.rejected.iter();
    for (payload, record) in corpus.iter().zip(&stored) {
        let name = &payload.name;
        match &payload.row {
            Some(row) => {
                let expected = row.replace(METADATA, &metadata(&rig.stream, record));
                // Not with `assert_eq`: a failing row of a mebibyte should not fill the terminal.
                assert!(sent.next() == Some(expected.as_bytes()), "{name}: another row was sent");
            }
            None => {
                let file = rejected.next().expect(name);
                assert!(file.content == payload.data, "{name}: another payload was rejected");
                let value = |name| attribute(&file.attributes, name);
                assert_eq!(
                    value("aws.kinesis.first.sequence.number"),
                    Some(&*record.sequence_number),
                    "{name}"
                );
                assert_eq!(value("aws.kinesis.partition.key"), Some(&*record.partition_key), "{name}");
                assert!(value("record.error.message").is_some_and(|reason| !reason.is_empty()), "{name}");
            }
        }
    }
    assert!(sent.next().is_none() && rejected.next().is_none(), "more arrived than was put");
    let mut errors = 0;
    for Published { progress, .. } in &connector.published {
        let expected = if progress.row_errors == 0 { State::Committed } else { State::Invalid };
        assert_eq!(progress.state, expected, "{progress:?}");
        errors += progress.row_errors;
    }
    assert_eq!(errors, NOT_FOR_A_TABLE.len() as u64);
    let snowflake = rig.cloud.snowflake().clone();
    let count = tokio::task::spawn_blocking(move || snowflake.sql("SELECT COUNT(*) FROM DB.PUBLIC.EVENTS"));
    let count = count.await.unwrap().unwrap().rows[0][0].clone();
    assert_eq!(count, Some((rows - NOT_FOR_A_TABLE.len()).to_string()));
    assert!(rig.cloud.snowflake().violations().is_empty());
    connector.stop().await;
    rig.cloud.stop().await;
}
