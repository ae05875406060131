//! Names of databases, schemas and tables in every spelling reach what SQL calls so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::Rig;
use snowpipe::{Sink, SinkConfig, State, UploadRequest};

const WAIT: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(5);

/// The name as it is given to the connector, and as it is written in SQL.
const TABLES: [(&str, &str); 30] = [
    ("T", "t"),
    ("ORDERS", "Orders"),
    ("ORDERS_2", "orders_2"),
    ("_T", "_t"),
    ("T$1", "t$1"),
    (" ORDERS ", "orders"),
    ("\"ORDERS\"", "\"ORDERS\""),
    ("orders", "\"orders\""),
    ("Orders", "\"Orders\""),
    ("\"orders\"", "\"orders\""),
    ("\"My Table\"", "\"My Table\""),
    ("My Table", "\"My Table\""),
    ("2T", "\"2T\""),
    ("$T", "\"$T\""),
    ("A.B", "\"A.B\""),
    ("A-B", "\"A-B\""),
    ("A/B", "\"A/B\""),
    ("A;B", "\"A;B\""),
    ("A%20B", "\"A%20B\""),
    ("a\"b", "\"a\"\"b\""),
    ("\"a\"\"b\"", "\"a\"\"b\""),
    ("Ä", "\"Ä\""),
    ("日本", "\"日本\""),
    ("T-STREAMING", "\"T-STREAMING\""),
    ("\"T-STREAMING\"", "\"T-STREAMING\""),
    ("SELECT", "\"SELECT\""),
    ("A B", "\"A B\""),
    ("A'B", "\"A'B\""),
    ("A+B", "\"A+B\""),
    ("A?B", "\"A?B\""),
];
/// Databases and schemas of the same kinds.
const PLACES: [[(&str, &str); 2]; 4] = [
    [("DB", "db"), ("PUBLIC", "public")],
    [("my db", "\"my db\""), ("\"s/c\"", "\"s/c\"")],
    [("a\"b.c", "\"a\"\"b.c\""), ("ä ö", "\"ä ö\"")],
    [("100%", "\"100%\""), ("x?y&z=#", "\"x?y&z=#\"")],
];

async fn sql(rig: &Rig, text: String) -> Vec<Vec<Option<String>>> {
    let snowflake = rig.cloud.snowflake().clone();
    let run = move || snowflake.sql(&text).map_err(|error| format!("{text}: {error}"));
    tokio::task::spawn_blocking(run).await.unwrap().unwrap().rows
}

/// Publishes one row through a channel of its own.
async fn publish(sink: &Sink, [database, schema, table]: [&str; 3], number: usize) {
    let content =
        format!("{{\"n\":{number},\"kinesisMetadata\":{{\"shardedSequenceNumber\":\"{number}\"}}}}\n");
    let token = number.to_string();
    let size = content.len().to_string();
    let group = format!("group-{number}");
    let named = [
        ("Database", database),
        ("Schema", schema),
        ("Table", table),
        ("Channel Group", &group),
        ("Offset Token Start", &token),
        ("Offset Token End", &token),
        ("Size", &size),
        ("Records", "1"),
    ];
    let named: BTreeMap<String, String> =
        named.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let upload = sink.begin(UploadRequest::from_properties(&named).unwrap()).unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        let progress = sink.advance(upload, WAIT).await.unwrap();
        match progress.state {
            State::WantData => {
                sink.write(upload, content.as_bytes()).unwrap();
                sink.finish_data(upload).unwrap();
            }
            State::Committed => return,
            state => {
                let said: Vec<_> = sink.messages().into_iter().map(|message| message.text).collect();
                assert!(!state.is_final(), "{database}, {schema}, {table}: {progress:?}");
                assert!(Instant::now() < deadline, "{database}, {schema}, {table}: {progress:?} {said:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_reaches_the_table_that_sql_calls_so() {
    let rig = Rig::without_table(1).await.unwrap();
    let config = SinkConfig::from_properties(&rig.sink_properties().unwrap()).unwrap();
    let sink = Sink::start(config, &tokio::runtime::Handle::current());
    let mut number = 0;
    for [(database, sql_database), (schema, sql_schema)] in PLACES {
        sql(
            &rig,
            format!(
                "CREATE DATABASE {sql_database}; CREATE SCHEMA IF NOT EXISTS {sql_database}.{sql_schema}"
            ),
        )
        .await;
        for (table, sql_table) in TABLES {
            number += 1;
            let path = format!("{sql_database}.{sql_schema}.{sql_table}");
            sql(&rig, format!("CREATE TABLE IF NOT EXISTS {path} (n INT)")).await;
            publish(&sink, [database, schema, table], number).await;
            let found = sql(&rig, format!("SELECT n FROM {path} WHERE n = {number}")).await;
            assert_eq!(found, [vec![Some(number.to_string())]], "{database}, {schema}, {table}");
        }
        let tables = sql(&rig, format!("SHOW TABLES IN SCHEMA {sql_database}.{sql_schema}")).await;
        // Five names are given in two spellings, one of them in three.
        assert_eq!(tables.len(), TABLES.len() - 6, "no name stands for two tables");
    }
    sink.close(GRACE).await;
    rig.cloud.stop().await;
}
