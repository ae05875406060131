//! Roles: what a connector's role needs, one privilege at a time.

use http::StatusCode;

use crate::client::World;

const T: &str = "T-STREAMING";

#[tokio::test(start_paused = true)]
async fn streaming_needs_usage_and_insert() {
    let mut world = World::new().await;
    let key = world.key.public_pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    world.sql(&format!(
        "CREATE TABLE t (a INT) ENABLE_SCHEMA_EVOLUTION = TRUE; CREATE ROLE ingest; \
         CREATE USER bot TYPE = SERVICE DEFAULT_ROLE = ingest RSA_PUBLIC_KEY = '{key}'; GRANT ROLE ingest TO USER bot"
    ));
    let token = world.login("BOT", Some("INGEST")).await;
    world.use_token(token);
    for grant in ["USAGE ON DATABASE demo", "USAGE ON SCHEMA demo.public", "INSERT ON TABLE t"] {
        let reply = world.open(T, "c").await;
        assert_eq!(reply.code(), "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED", "before GRANT {grant}");
        world.sql(&format!("GRANT {grant} TO ROLE ingest"));
    }
    world.stream(T, "{\"a\":1,\"b\":1}\n").await;
    assert_eq!(world.table("SHOW COLUMNS IN TABLE t").len(), 1, "INSERT alone does not evolve");
    world.sql("GRANT EVOLVE SCHEMA ON TABLE t TO ROLE ingest");
    world.stream(T, "{\"a\":2,\"b\":2}\n").await;
    assert_eq!(world.table("SELECT * FROM t"), ["1|NULL", "2|2"]);
    let as_ingest = |text: &str| world.snowflake.sql_as("ingest", text).map_err(|error| error.code);
    assert_eq!(as_ingest("SELECT * FROM demo.public.t").unwrap_err(), "002003");
    assert_eq!(as_ingest("DROP TABLE demo.public.t").unwrap_err(), "003001");
    world.sql("REVOKE INSERT ON TABLE t FROM ROLE ingest");
    assert_eq!(world.open(T, "c").await.status, StatusCode::NOT_FOUND);
    world.sql("GRANT OWNERSHIP ON TABLE t TO ROLE ingest COPY CURRENT GRANTS");
    assert_eq!(world.open(T, "c").await.status, StatusCode::OK, "the owner may");
    as_ingest("SELECT * FROM demo.public.t").unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_iceberg_table_needs_usage_on_its_external_volume() {
    let mut world = World::new().await;
    let key = world.key.public_pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    world.sql(&format!(
        "CREATE ICEBERG TABLE t (a INT) EXTERNAL_VOLUME = 'my_volume' CATALOG = 'SNOWFLAKE' BASE_LOCATION = 't'; \
         CREATE ICEBERG TABLE m (a INT) EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'; CREATE ROLE ingest; \
         CREATE USER bot TYPE = SERVICE DEFAULT_ROLE = ingest RSA_PUBLIC_KEY = '{key}'; \
         GRANT ROLE ingest TO USER bot; GRANT USAGE ON DATABASE demo TO ROLE ingest; \
         GRANT USAGE, CREATE ICEBERG TABLE ON SCHEMA public TO ROLE ingest; \
         GRANT OWNERSHIP ON ICEBERG TABLE t TO ROLE ingest; GRANT OWNERSHIP ON TABLE m TO ROLE ingest"
    ));
    let token = world.login("BOT", Some("INGEST")).await;
    world.use_token(token);
    let run = |text: &str| world.snowflake.sql_as("INGEST", text).map(|_| ()).map_err(|error| error.code);
    let another = "CREATE ICEBERG TABLE demo.public.u (a INT) EXTERNAL_VOLUME = 'my_volume'";
    assert_eq!(world.open("M-STREAMING", "c").await.status, StatusCode::OK, "Snowflake's own storage");
    assert_eq!(world.open(T, "c").await.code(), "ERR_TABLE_DOES_NOT_EXIST_NOT_AUTHORIZED");
    assert_eq!(run(another), Err("003001".into()));
    let myself = "GRANT USAGE ON EXTERNAL VOLUME my_volume TO ROLE ingest";
    assert_eq!(run(myself), Err("003001".into()), "nobody grants what he has not");
    world.sql("GRANT USAGE ON EXTERNAL VOLUME other_volume TO ROLE ingest");
    assert_eq!(world.open(T, "c").await.status, StatusCode::NOT_FOUND, "another volume");
    world.sql(myself);
    world.stream(T, "{\"a\":1}\n").await;
    assert_eq!(run(another), Ok(()));
    world.sql("REVOKE USAGE ON EXTERNAL VOLUME my_volume FROM ROLE ingest");
    assert_eq!(world.open(T, "c").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn roles_inherit_and_definitions_need_privileges() {
    let world = World::new().await;
    world.sql(
        "CREATE TABLE t (a INT); CREATE ROLE reader; CREATE ROLE parent; GRANT ROLE reader TO ROLE parent",
    );
    world.sql("GRANT USAGE ON DATABASE demo TO ROLE reader; GRANT USAGE ON SCHEMA public TO ROLE reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE reader");
    let run =
        |role: &str, text: &str| world.snowflake.sql_as(role, text).map(|_| ()).map_err(|error| error.code);
    assert_eq!(run("parent", "SELECT * FROM demo.public.t"), Ok(()));
    for (text, code) in [
        ("INSERT INTO demo.public.t VALUES (1)", "003001"),
        ("CREATE TABLE demo.public.u (a INT)", "003001"),
        ("CREATE DATABASE other", "003001"),
        ("ALTER TABLE demo.public.t SET ERROR_LOGGING = TRUE", "003001"),
        ("GRANT SELECT ON TABLE demo.public.t TO ROLE parent", "003001"),
        ("SELECT * FROM ERROR_TABLE(demo.public.t)", "003001"),
        ("TRUNCATE TABLE demo.public.t", "003001"),
    ] {
        assert_eq!(run("reader", text), Err(code.into()), "{text}");
    }
    world.sql("REVOKE ROLE reader FROM ROLE parent");
    assert_eq!(run("parent", "SELECT * FROM demo.public.t"), Err("002003".into()));
    assert_eq!(run("ACCOUNTADMIN", "DROP DATABASE demo"), Ok(()));
}
