//! What the service makes of rows by itself (new columns, defaults, binary values), and that its counts explain what was sent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use snowpipe::{State, UploadRequest};
use support::{World, drive};

async fn sql(world: &World, statement: &'static str) -> Vec<Vec<Option<String>>> {
    let snowflake = world.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(statement).unwrap().rows).await.unwrap()
}

fn request(target: (&str, &str), group: usize, first: usize, last: usize) -> UploadRequest {
    let map = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        (target.0, target.1.to_owned()),
        ("Destination Type", target.0.to_uppercase()),
        ("Channel Group", format!("orders.shard-{group}")),
        ("Offset Token Start", first.to_string()),
        ("Offset Token End", last.to_string()),
        ("Size", "4000".to_owned()),
    ];
    UploadRequest::from_properties(&map.map(|(name, value)| (name.to_owned(), value)).into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_new_keys_from_fifty_channels_at_once() {
    const CHANNELS: usize = 50;
    const KEYS: usize = 20;
    let world = Arc::new(World::with(Duration::from_millis(50), &[]).await);
    sql(&world, "ALTER TABLE DB.SC.T SET ENABLE_SCHEMA_EVOLUTION = TRUE").await;
    let mut driven = Vec::new();
    for channel in 0..CHANNELS {
        let sink = Arc::clone(&world.sink);
        driven.push(tokio::spawn(async move {
            let (first, last) = (channel * KEYS + 1, (channel + 1) * KEYS);
            let rows: String = (first..=last).map(|n| format!("{{\"n\":{n},\"key_{n}\":{n}}}\n")).collect();
            loop {
                let upload = sink.begin(request(("Table", "T"), channel, first, last)).unwrap();
                let ended = drive(&sink, upload, rows.clone().into_bytes()).await;
                if ended.state != State::Retry {
                    return (ended.state, ended.row_errors);
                }
            }
        }));
    }
    let mut refused = 0;
    for driven in driven {
        let (state, errors) = driven.await.unwrap();
        assert!(matches!(state, State::Committed | State::Invalid), "{state:?}");
        refused += usize::try_from(errors).unwrap();
    }
    let mut rows = world.rows().await;
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len() + refused, CHANNELS * KEYS, "each row is stored once or counted as an error");
    assert_eq!(world.rows().await.len(), rows.len(), "no row twice");
    let columns = sql(&world, "SHOW COLUMNS IN TABLE DB.SC.T").await.len();
    assert_eq!(columns, 2 + rows.len(), "a column for each stored row");
    let rows_of =
        |w: &World| w.snowflake().journal().requests().into_iter().map(|r| r.path).collect::<Vec<_>>();
    let statements = rows_of(&world).iter().filter(|path| path.contains("/statements")).count();
    assert!(statements <= 2, "the connector looks at the table and changes nothing: {statements} statements");
    Arc::into_inner(world).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_a_row_does_not_mention_are_the_services_and_null_stays_null() {
    let world = World::start().await;
    sql(&world, "CREATE TABLE DB.SC.D (N NUMBER, TEXT VARCHAR DEFAULT 'none')").await;
    let upload = world.sink.begin(request(("Table", "D"), 0, 1, 3)).unwrap();
    let rows = "{\"n\":1}\n{\"n\":2,\"text\":null}\n{\"n\":3,\"text\":\"x\"}\n";
    assert_eq!(drive(&world.sink, upload, rows.into()).await.state, State::Committed);
    let sent = world.snowflake().journal().appends().remove(0).body.unwrap();
    assert_eq!(sent, rows.as_bytes(), "nothing is added to a row");
    let stored = sql(&world, "SELECT TEXT FROM DB.SC.D").await;
    assert_eq!(stored, [vec![Some("none".to_owned())], vec![None], vec![Some("x".to_owned())]]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_of_ones_own_fills_columns_its_own_way() {
    let world = World::start().await;
    let pipe = "CREATE PIPE DB.SC.P AS COPY INTO DB.SC.T FROM (SELECT $1:n::NUMBER, 'from the pipe' \
         FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))";
    sql(&world, pipe).await;
    let upload = world.sink.begin(request(("Pipe", "P"), 0, 1, 2)).unwrap();
    let ended = drive(&world.sink, upload, "{\"n\":1,\"text\":\"a\"}\n{\"n\":2}\n".into()).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    let stored = sql(&world, "SELECT DISTINCT TEXT FROM DB.SC.T").await;
    assert_eq!(stored, [vec![Some("from the pipe".to_owned())]]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_values_are_sent_as_they_are_and_read_as_base64() {
    let world = World::start().await;
    sql(&world, "CREATE TABLE DB.SC.B (N NUMBER, B BINARY)").await;
    // "cafe" could be hexadecimal as well, and the first one only is.
    let rows = "{\"n\":1,\"b\":\"48656C6C6F\"}\n{\"n\":2,\"b\":\"cafe\"}\n{\"n\":3,\"b\":\"SGVsbG8=\"}\n";
    let upload = world.sink.begin(request(("Table", "B"), 0, 1, 3)).unwrap();
    let ended = drive(&world.sink, upload, rows.into()).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
    let sent = world.snowflake().journal().appends().remove(0).body.unwrap();
    assert_eq!(sent, rows.as_bytes());
    let stored = sql(&world, "SELECT B FROM DB.SC.B").await;
    assert_eq!(stored, [vec![Some("71A7DE".to_owned())], vec![Some("48656C6C6F".to_owned())]]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_inserted_and_rejected_explain_the_rows_that_were_sent() {
    let world = World::with(Duration::from_millis(30), &[]).await;
    let (mut told, mut refused) = (0, 0);
    for batch in 0..20_u64 {
        let (first, last) = (batch * 50 + 1, batch * 50 + 50);
        let bad = if batch % 3 == 0 { first + batch } else { 0 };
        // Ends of lines in every form: CRLF, none at the end, empty lines between.
        let rows: String = (first..=last)
            .map(|n| {
                let end = match n {
                    _ if n == last => "",
                    _ if n % 7 == 0 => "\r\n",
                    _ if n % 11 == 0 => "\n\n",
                    _ => "\n",
                };
                let text = if n == bad { "{\"no\":\"number\"}" } else { "1" };
                format!("{{\"n\":{n},\"text\":\"line\\nbreak\",\"x\":{text}}}{end}")
            })
            .collect();
        let rows = rows.replace(&format!("\"n\":{bad},"), &format!("\"n\":{bad},\"N\":\"no number\","));
        let upload = world.begin(&world.sink, first, last, first - 1);
        let ended = drive(&world.sink, upload, rows.into_bytes()).await;
        assert!(matches!(ended.state, State::Committed | State::Invalid), "{ended:?}");
        told += ended.rows_sent;
        refused += ended.row_errors;
    }
    let lines = |body: &[u8]| {
        let rows = body.split(|byte| *byte == b'\n').filter(|row| !row.trim_ascii().is_empty());
        u64::try_from(rows.count()).unwrap()
    };
    let sent: u64 =
        world.snowflake().journal().appends().iter().map(|a| lines(a.body.as_ref().unwrap())).sum();
    let channels = world.snowflake().snapshot().channels;
    let channel = &channels[0];
    assert_eq!((told, sent), (1_000, 1_000), "rows counted, rows in the payloads");
    assert_eq!(channel.rows_inserted + channel.rows_error_count, sent, "{channel:?}");
    assert_eq!(channel.rows_error_count, refused);
    world.stop().await;
}
