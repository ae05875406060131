//! What the user is told, and that nothing hangs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::{Fault, Route, Trouble};
use snowpipe::{Sink, SinkConfig, State, Verdict};
use support::{World, content, drive, reach, sink};

async fn first_message(world: &World, changes: &[(&str, &str)]) -> String {
    let sink = Arc::new(sink(&world.properties(changes)));
    let upload = world.begin(&sink, 1, 10, 0);
    let started = Instant::now();
    let text = loop {
        assert!(started.elapsed() < Duration::from_secs(15), "nothing said");
        if let Some(message) = sink.messages().pop() {
            break message.text;
        }
        let _ = sink.advance(upload, Duration::from_millis(50)).await;
    };
    let closing = Instant::now();
    sink.close(Duration::from_secs(2)).await;
    assert!(closing.elapsed() < Duration::from_secs(3));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_are_named_with_their_remedy() {
    let world = World::start().await;
    let other_key = world.cloud.private_key_file().with_file_name("other.p8");
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
        .arg(&other_key)
        .output()
        .expect("the tests need openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = std::fs::read_to_string(&other_key).unwrap();
    let text = first_message(&world, &[("Private Key", &key)]).await;
    assert!(text.contains("RSA_PUBLIC_KEY_FP"), "{text}");
    let text = first_message(&world, &[("User", "NOBODY")]).await;
    assert!(text.contains("NOBODY"), "{text}");
    let text = first_message(&world, &[("CA Certificates File", "")]).await;
    assert!(text.contains("CA Certificates File"), "{text}");
    let text = first_message(&world, &[("Snowflake Endpoint Override URL", "https://127.0.0.1:1")]).await;
    assert!(text.contains("127.0.0.1"), "{text}");
    let text = first_message(&world, &[("Private Key", "no key")]).await;
    assert!(text.contains("Private Key"), "{text}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_named_and_work_goes_on_when_it_is_there() {
    let world = World::start().await;
    world.snowflake().sql("DROP TABLE DB.SC.T").unwrap();
    let upload = world.begin(&world.sink, 1, 10, 0);
    let text = world.message("cannot be opened").await;
    assert!(text.contains("table DB.SC.T"), "{text}");
    world.snowflake().sql("CREATE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR)").unwrap();
    assert_eq!(drive(&world.sink, upload, content(1, 10)).await.state, State::Committed);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_is_bounded_when_nothing_answers() {
    let world = World::start().await;
    world.snowflake().faults().add(Fault::always(Route::Any, Trouble::Hang));
    let upload = world.begin(&world.sink, 1, 10, 0);
    let waiting = reach(&world.sink, upload, &[State::Waiting]).await;
    assert_eq!(waiting.state, State::Waiting);
    let started = Instant::now();
    world.sink.close(Duration::from_secs(2)).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(reach(&world.sink, upload, &[]).await.state, State::Retry);
    world.snowflake().faults().clear();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_finds_out_without_side_effects() {
    let world = World::start().await;
    let destination = [("Database", "DB"), ("Schema", "SC"), ("Table", "T")];
    let config = SinkConfig::from_properties(&world.properties(&destination)).unwrap();
    let findings = Sink::verify(&config).await;
    let outcomes: Vec<Verdict> = findings.iter().map(|f| f.outcome).collect();
    assert_eq!(outcomes, [Verdict::Successful; 6], "{findings:?}");
    assert!(findings[3].explanation.contains("OWNERSHIP"), "{findings:?}");
    assert!(findings[4].explanation.contains("kept in the error table"), "{findings:?}");
    let missing = [("Database", "DB"), ("Schema", "SC"), ("Table", "NOT_THERE")];
    let config = SinkConfig::from_properties(&world.properties(&missing)).unwrap();
    let findings = Sink::verify(&config).await;
    assert_eq!(findings[2].outcome, Verdict::Failed, "{findings:?}");
    let config = SinkConfig::from_properties(&world.properties(&[("User", "NOBODY")])).unwrap();
    let findings = Sink::verify(&config).await;
    assert_eq!(findings[1].outcome, Verdict::Failed, "{findings:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_answers_is_named_within_fifteen_seconds() {
    let world = World::start().await;
    world.snowflake().faults().add(Fault::always(Route::Any, Trouble::Hang));
    let text = first_message(&world, &[]).await;
    assert!(text.contains("not answered"), "{text}");
    world.snowflake().faults().clear();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_runtime_needs_no_key() {
    let world = World::with_tokens(&["runtime-token"]).await;
    let (sink, _) = world.managed("runtime-token");
    let upload = world.begin(&sink, 1, 10, 0);
    assert_eq!(drive(&sink, upload, content(1, 10)).await.state, State::Committed, "{:?}", sink.messages());
    sink.close(Duration::from_secs(5)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_flow_files_are_published_as_their_rows() {
    let world = World::start().await;
    let upload = world.begin(&world.sink, 1, 100, 0);
    let data = zstd::encode_all(content(1, 100).as_slice(), 3).unwrap();
    assert_eq!(drive(&world.sink, upload, data).await.rows_sent, 100);
    let upload = world.begin(&world.sink, 51, 150, 50);
    let damaged = zstd::encode_all(content(51, 150).as_slice(), 3).unwrap();
    let ended = drive(&world.sink, upload, damaged[..damaged.len() / 2].to_vec()).await;
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    assert_eq!(world.rows().await, (1..=100).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_names_privileges_error_logging_and_schema_evolution() {
    let world = World::start().await;
    let statements = "CREATE TABLE DB.SC.\"lower_t\" (N NUMBER) ENABLE_SCHEMA_EVOLUTION = TRUE; \
         CREATE TABLE DB.SC.LOWERXT (N NUMBER) ERROR_LOGGING = TRUE";
    let snowflake = world.snowflake().clone();
    tokio::task::spawn_blocking(move || snowflake.sql(statements).unwrap()).await.unwrap();
    let before = world.rows().await;
    let destination = [("Database", "DB"), ("Schema", "SC"), ("Table", "lower_t")];
    let config = SinkConfig::from_properties(&world.properties(&destination)).unwrap();
    let findings = Sink::verify(&config).await;
    assert!(findings.iter().all(|f| f.outcome == Verdict::Successful), "{findings:?}");
    assert!(findings[4].explanation.starts_with("off"), "{findings:?}");
    assert!(findings[5].explanation.contains("become columns"), "{findings:?}");
    assert_eq!(world.rows().await, before);
    world.snowflake().faults().add(Fault::always(Route::Statements, Fault::refuse(403, "390189")));
    let findings = Sink::verify(&config).await;
    assert_eq!(
        findings[2].outcome,
        Verdict::Successful,
        "the SQL API is not needed for the rest: {findings:?}"
    );
    assert!(findings[3..].iter().all(|f| f.outcome == Verdict::Skipped), "{findings:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_error_logging_is_told_once() {
    let world = World::start().await;
    world.snowflake().sql("CREATE OR REPLACE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR)").unwrap();
    assert_eq!(world.publish(1, 10, 0).await.state, State::Committed);
    let text = world.message("no error logging").await;
    assert!(text.contains("table DB.SC.T"), "{text}");
    assert_eq!(world.publish(11, 20, 10).await.state, State::Committed);
    assert!(!world.sink.messages().iter().any(|m| m.text.contains("no error logging")));
    let asked = |path: &str| world.snowflake().journal().requests().iter().filter(|r| r.path == path).count();
    assert_eq!(asked("/api/v2/statements"), 1);
    world.stop().await;
}
