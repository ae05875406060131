//! A pipe of one's own: its table is read from its definition, so that what is known of a table is known here, too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use snowpipe::{Finding, Progress, Sink, SinkConfig, State, UploadRequest, Verdict};
use support::{World, drive};

const PIPE: [(&str, &str); 4] =
    [("Database", "DB"), ("Schema", "PIPES"), ("Destination Type", "PIPE"), ("Pipe", "my_pipe")];
const EXACT: [(&str, &str); 3] =
    [("Invalid Rows", "ROWS"), ("Warehouse", "COMPUTE_WH"), ("Offset Token Record Pointer", "/t")];

async fn sql(world: &World, text: &str) {
    let (snowflake, text) = (world.snowflake().clone(), text.to_owned());
    tokio::task::spawn_blocking(move || snowflake.sql(&text).unwrap()).await.unwrap();
}

/// A pipe in a schema of its own that leads to `table`.
async fn world(table: &str, columns: &str) -> World {
    let world = World::with(Duration::from_millis(30), &EXACT).await;
    let select = "FROM (SELECT $1:n::NUMBER, $1:text FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))";
    sql(
        &world,
        &format!(
            "CREATE SCHEMA DB.PIPES; CREATE TABLE {table} (N NUMBER, TEXT VARCHAR) {columns}; \
             CREATE PIPE DB.PIPES.\"my_pipe\" AS COPY INTO {table} {select}"
        ),
    )
    .await;
    world
}

/// Publishes rows 1 to 10 through the pipe; row 4 does not fit.
async fn one_bad(sink: &Arc<Sink>) -> Progress {
    let request = [
        ("Channel Group", "orders.shard-0"),
        ("Offset Token Start", "1"),
        ("Offset Token End", "10"),
        ("Size", "300"),
    ];
    let map = request.into_iter().chain(PIPE).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let upload = sink.begin(UploadRequest::from_properties(&map.collect()).unwrap()).unwrap();
    let row = |n| match n {
        4 => "{\"t\":4,\"n\":\"no number\"}\n".to_owned(),
        n => format!("{{\"t\":{n},\"n\":{n}}}\n"),
    };
    drive(sink, upload, (1..=10).map(row).collect::<String>().into_bytes()).await
}

async fn verified(world: &World, changes: &[(&str, &str)]) -> Vec<Finding> {
    let changes: Vec<_> = PIPE.iter().chain(changes).copied().collect();
    Sink::verify(&SinkConfig::from_properties(&world.properties(&changes)).unwrap()).await
}

fn found<'a>(findings: &'a [Finding], step: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.step == step).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_rejected_rows_are_told_behind_a_pipe() {
    let world = world("DB.SC.\"the table\"", "ERROR_LOGGING = TRUE").await;
    let ended = one_bad(&world.sink).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
    assert_eq!(ended.pieces.len(), 1, "{ended:?}");
    let piece = &ended.pieces[0];
    assert_eq!((piece.rows, piece.kind), (1, State::Invalid), "{ended:?}");
    assert_eq!(piece.tokens, Some(("4".to_owned(), "4".to_owned())));
    assert!(piece.reason.contains("Snowflake rejected 1 row(s)"), "{ended:?}");
    let findings = verified(&world, &[]).await;
    assert!(findings.iter().all(|finding| finding.outcome == Verdict::Successful), "{findings:?}");
    assert!(found(&findings, "Rejected Rows").explanation.contains("one by one"), "{findings:?}");
    assert!(found(&findings, "Error Logging").explanation.contains("kept in the error table"));
    assert!(
        found(&findings, "Privileges").explanation.ends_with("OWNERSHIP on table DB.SC.\"the table\""),
        "{findings:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_behind_a_pipe_without_error_logging_is_told_once() {
    let world = world("DB.SC.PLAIN", "ENABLE_SCHEMA_EVOLUTION = TRUE").await;
    let ended = one_bad(&world.sink).await;
    assert_eq!((ended.state, ended.row_errors), (State::Invalid, 1), "{ended:?}");
    let text = world.message("has no error logging: rows").await;
    assert!(text.starts_with("table DB.SC.PLAIN"), "{text}");
    let findings = verified(&world, &[]).await;
    assert!(found(&findings, "Error Logging").explanation.starts_with("off"), "{findings:?}");
    assert!(found(&findings, "Schema Evolution").explanation.contains("the pipe names"), "{findings:?}");
    assert_eq!(found(&findings, "Rejected Rows").outcome, Verdict::Failed, "{findings:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_is_not_shown_to_the_role_costs_what_its_table_would_tell() {
    let world = world("DB.SC.HIDDEN", "ERROR_LOGGING = TRUE").await;
    let user = world.cloud.endpoints().snowflake_user.clone();
    sql(
        &world,
        &format!(
            "CREATE ROLE INGEST; GRANT ROLE INGEST TO USER {user}; GRANT USAGE ON DATABASE DB TO ROLE INGEST; \
             GRANT USAGE ON SCHEMA DB.PIPES TO ROLE INGEST"
        ),
    )
    .await;
    let findings = verified(&world, &[("Role", "INGEST")]).await;
    assert!(found(&findings, "Privileges").explanation.contains("GRANT OPERATE ON PIPE"), "{findings:?}");
    for step in ["Error Logging", "Schema Evolution", "Rejected Rows"] {
        let finding = found(&findings, step);
        assert_eq!(finding.outcome, Verdict::Skipped, "{findings:?}");
        assert!(finding.explanation.contains("table of the pipe is not shown"), "{findings:?}");
    }
    // The pipe tells the table, which has a schema of its own.
    sql(&world, "GRANT OPERATE ON PIPE DB.PIPES.\"my_pipe\" TO ROLE INGEST").await;
    let finding = verified(&world, &[("Role", "INGEST")]).await;
    let text = &found(&finding, "Privileges").explanation;
    for statement in ["GRANT USAGE ON SCHEMA DB.SC TO", "GRANT INSERT ON TABLE DB.SC.HIDDEN TO"] {
        assert!(text.contains(statement), "{text}");
    }
    world.stop().await;
}
