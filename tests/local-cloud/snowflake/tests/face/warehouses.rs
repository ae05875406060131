//! Queries need a warehouse, and a role that may use it.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Reply, World};

async fn statement(world: &World, user: &str, body: Value) -> Reply {
    let jwt = world.key.sign(&world.key.claims("LOCAL-ACCOUNT", user));
    let bearer = format!("Bearer {jwt}");
    let headers =
        [("authorization", bearer.as_str()), ("accept", "application/json"), ("user-agent", "test/1.0")];
    world.send(Method::POST, "/api/v2/statements", &headers, body.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn rows_are_read_in_a_warehouse_and_the_error_table_with_its_own_privilege() {
    let world = World::new().await;
    let key = world.key.public_pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    world.sql(&format!(
        "CREATE TABLE t (a INT) ERROR_LOGGING = TRUE; CREATE ROLE reader; \
         CREATE USER bot TYPE = SERVICE DEFAULT_ROLE = reader RSA_PUBLIC_KEY = '{key}'; GRANT ROLE reader TO USER bot; \
         GRANT USAGE ON DATABASE demo TO ROLE reader; GRANT USAGE ON SCHEMA demo.public TO ROLE reader; \
         GRANT SELECT ON TABLE t TO ROLE reader; CREATE WAREHOUSE wh WAREHOUSE_SIZE = XSMALL"
    ));
    let code = async |text: &str, warehouse: Option<&str>| {
        let reply = statement(&world, "BOT", json!({"statement": text, "warehouse": warehouse})).await;
        reply.code()
    };
    const ROWS: &str = "SELECT * FROM demo.public.t";
    const ERRORS: &str = "SELECT * FROM ERROR_TABLE(demo.public.t)";
    assert_eq!(code("SELECT 1", None).await, "090001", "nothing is read");
    assert_eq!(code("SHOW TABLES IN SCHEMA demo.public", None).await, "090001", "nor here");
    assert_eq!(code(ROWS, None).await, "000606");
    assert_eq!(code(ROWS, Some("WH")).await, "000606", "no USAGE");
    assert_eq!(code("USE WAREHOUSE wh", None).await, "002003");
    world.sql("GRANT USAGE ON WAREHOUSE wh TO ROLE reader");
    assert_eq!(code(ROWS, Some("WH")).await, "090001");
    assert_eq!(code(ROWS, Some("wh")).await, "000606", "the API folds no case");
    assert_eq!(code(&format!("USE WAREHOUSE wh; {ROWS}"), None).await, "090001");
    assert_eq!(code(ERRORS, Some("WH")).await, "003001");
    world.sql("GRANT SELECT ERROR TABLE ON TABLE t TO ROLE reader");
    assert_eq!(code(ERRORS, Some("WH")).await, "090001");
    assert_eq!(code(ERRORS, None).await, "000606");
    world.sql("ALTER USER bot SET DEFAULT_WAREHOUSE = WH");
    assert_eq!(code(ERRORS, None).await, "090001");
    world.sql("DROP WAREHOUSE wh");
    assert_eq!(code(ROWS, Some("WH")).await, "000606");
    assert_eq!(statement(&world, "LOCAL_USER", json!({"statement": ROWS})).await.code(), "090001");
}
