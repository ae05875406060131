//! Verify names what the role lacks, and the statement that grants it; with all of it granted, rows and columns arrive.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use snowpipe::{Finding, Sink, SinkConfig, State, Verdict};
use support::World;

const TABLE: [(&str, &str); 4] = [("Role", "INGEST"), ("Database", "DB"), ("Schema", "SC"), ("Table", "T")];
const PIPE: [(&str, &str); 5] = [
    ("Role", "INGEST"),
    ("Database", "DB"),
    ("Schema", "SC"),
    ("Destination Type", "PIPE"),
    ("Pipe", "my pipe"),
];

async fn sql(world: &World, text: &str) {
    let (snowflake, text) = (world.snowflake().clone(), text.to_owned());
    tokio::task::spawn_blocking(move || snowflake.sql(&text).unwrap()).await.unwrap();
}

/// A world whose user has a role that may do nothing.
async fn world() -> World {
    let world = World::start().await;
    let user = world.cloud.endpoints().snowflake_user.clone();
    sql(&world, &format!("CREATE ROLE INGEST; GRANT ROLE INGEST TO USER {user}")).await;
    world
}

async fn verified(world: &World, changes: &[(&str, &str)]) -> Vec<Finding> {
    Sink::verify(&SinkConfig::from_properties(&world.properties(changes)).unwrap()).await
}

fn found<'a>(findings: &'a [Finding], step: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.step == step).unwrap()
}

/// The statements that a finding gives.
fn statements(finding: &Finding) -> Vec<String> {
    let text = &finding.explanation;
    text.split('(').skip(1).filter_map(|rest| Some(rest.split_once(";)")?.0.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_role_lacks_on_the_way_to_the_table_is_named_with_its_statement() {
    let world = world().await;
    sql(&world, "ALTER TABLE DB.SC.T SET ENABLE_SCHEMA_EVOLUTION = TRUE").await;
    let expected = [
        "GRANT USAGE ON DATABASE DB TO ROLE INGEST",
        "GRANT USAGE ON SCHEMA DB.SC TO ROLE INGEST",
        "GRANT INSERT ON TABLE DB.SC.T TO ROLE INGEST",
        "GRANT EVOLVE SCHEMA ON TABLE DB.SC.T TO ROLE INGEST",
    ];
    for (granted, next) in expected.iter().enumerate() {
        let findings = verified(&world, &TABLE).await;
        let finding = found(&findings, "Privileges");
        let lacks = statements(finding);
        assert_eq!(finding.outcome, Verdict::Failed, "{findings:?}");
        assert_eq!(lacks.first().map(String::as_str), Some(*next), "{finding:?}");
        // A table that the role cannot see does not tell that it evolves.
        assert!(expected[granted..].starts_with(&lacks.iter().map(String::as_str).collect::<Vec<_>>()));
        if granted == 3 {
            assert_eq!(found(&findings, "Destination").outcome, Verdict::Successful, "{findings:?}");
            assert_eq!(found(&findings, "Schema Evolution").outcome, Verdict::Failed, "{findings:?}");
        }
        sql(&world, next).await;
    }
    let findings = verified(&world, &TABLE).await;
    assert!(findings.iter().all(|finding| finding.outcome == Verdict::Successful), "{findings:?}");
    let sink = std::sync::Arc::new(support::sink(&world.properties(&TABLE)));
    let upload = world.begin(&sink, 1, 1, 0);
    let ended = support::drive(&sink, upload, b"{\"n\":1,\"more\":\"new\"}\n".to_vec()).await;
    assert_eq!(ended.state, State::Committed, "{ended:?}");
    let column = world.snowflake().sql("SELECT MORE FROM DB.SC.T").unwrap();
    assert_eq!(column.rows[0][0].as_deref(), Some("new"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_replaces_what_is_needed_on_the_table() {
    let world = world().await;
    sql(
        &world,
        "ALTER TABLE DB.SC.T SET ENABLE_SCHEMA_EVOLUTION = TRUE; GRANT USAGE ON DATABASE DB TO ROLE INGEST; \
         GRANT USAGE ON SCHEMA DB.SC TO ROLE INGEST; GRANT OWNERSHIP ON TABLE DB.SC.T TO ROLE INGEST COPY CURRENT GRANTS",
    )
    .await;
    let findings = verified(&world, &TABLE).await;
    let finding = found(&findings, "Privileges");
    assert_eq!(finding.outcome, Verdict::Successful, "{findings:?}");
    assert!(
        finding.explanation.ends_with("USAGE on schema DB.SC, OWNERSHIP on table DB.SC.T"),
        "{finding:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_of_ones_own_must_be_operated() {
    let world = world().await;
    sql(
        &world,
        "CREATE PIPE DB.SC.\"my pipe\" AS COPY INTO DB.SC.T FROM (SELECT $1:n, $1:text FROM \
         TABLE(DATA_SOURCE(TYPE => 'STREAMING'))); GRANT USAGE ON DATABASE DB TO ROLE INGEST; \
         GRANT USAGE ON SCHEMA DB.SC TO ROLE INGEST; GRANT INSERT ON TABLE DB.SC.T TO ROLE INGEST",
    )
    .await;
    let findings = verified(&world, &PIPE).await;
    let finding = found(&findings, "Privileges");
    assert_eq!(finding.outcome, Verdict::Failed, "{findings:?}");
    assert_eq!(
        statements(finding),
        ["GRANT OPERATE ON PIPE DB.SC.\"my pipe\" TO ROLE INGEST"],
        "{finding:?}"
    );
    sql(&world, &statements(finding)[0]).await;
    let findings = verified(&world, &PIPE).await;
    let finding = found(&findings, "Privileges");
    assert_eq!(finding.outcome, Verdict::Successful, "{findings:?}");
    assert!(finding.explanation.ends_with("INSERT on table DB.SC.T"), "{finding:?}");
    assert_eq!(found(&findings, "Destination").outcome, Verdict::Successful, "{findings:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_the_users_is_named_and_nothing_else_is_tried() {
    let world = World::start().await;
    sql(&world, "CREATE ROLE STRANGE").await;
    let user = world.cloud.endpoints().snowflake_user.clone();
    let role = [("Role", "STRANGE")];
    let findings = verified(&world, &[&TABLE[1..], &role].concat()).await;
    assert_eq!(found(&findings, "Account Configuration").outcome, Verdict::Successful, "{findings:?}");
    let connection = found(&findings, "Snowpipe Streaming Connection");
    assert_eq!(connection.outcome, Verdict::Failed, "{findings:?}");
    for part in [&user, "role STRANGE", "Check account, user and role"] {
        assert!(connection.explanation.contains(part), "{connection:?}");
    }
    assert!(findings[2..].iter().all(|finding| finding.outcome == Verdict::Skipped), "{findings:?}");
    sql(&world, &format!("GRANT ROLE STRANGE TO USER {user}")).await;
    let findings = verified(&world, &[&TABLE[1..], &role].concat()).await;
    assert_eq!(
        found(&findings, "Snowpipe Streaming Connection").outcome,
        Verdict::Successful,
        "{findings:?}"
    );
    world.stop().await;
}
