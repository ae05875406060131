//! Hostname, token exchange and what is refused.

use http::{Method, StatusCode};
use local_snowflake::Options;
use serde_json::{Value, json};

use crate::client::{Key, PIPES, World};

const FORM: &str = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&scope=localhost";

#[tokio::test(start_paused = true)]
async fn hostname_and_token_are_bare_text() {
    let world = World::new().await;
    let jwt = world.key.sign(&world.key.claims("LOCAL-ACCOUNT", "LOCAL_USER"));
    let bearer = format!("Bearer {jwt}");
    let reply = world.send(Method::GET, "/v2/streaming/hostname", &[("authorization", &bearer)], "").await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, "localhost"));
    let reply = world.send(Method::POST, "/oauth/token", &[("authorization", &bearer)], FORM).await;
    assert_eq!(reply.text().split('.').count(), 3, "the token is itself a JWT");
    let assertion =
        format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={jwt}");
    let reply = world.send(Method::POST, "/oauth/token", &[], assertion).await;
    assert_eq!(reply.status, StatusCode::OK, "an assertion needs no header and no scope");
    let reply = world
        .send(
            Method::POST,
            "/oauth/token",
            &[("authorization", &bearer)],
            FORM.replace("localhost", "elsewhere"),
        )
        .await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    let reply = world.send(Method::GET, "/v2/streaming/hostname", &[], "").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_jwt_must_be_right_in_every_part() {
    let world = World::new().await;
    let good = world.key.claims("LOCAL-ACCOUNT", "LOCAL_USER");
    let now = good["iat"].as_i64().unwrap();
    let other = Key::generate();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let cases = [
        ("as is", world.key.sign(&good), StatusCode::OK),
        ("one hour", world.key.sign(&with("exp", json!(now + 3600))), StatusCode::OK),
        ("milliseconds, as Snowflake's SDK sends them", world.key.sign(&json!({"iss": good["iss"], "sub": good["sub"], "iat": now * 1000, "exp": (now + 3540) * 1000})), StatusCode::OK),
        ("above one hour", world.key.sign(&with("exp", json!(now + 3601))), StatusCode::UNAUTHORIZED),
        ("expired", world.key.sign(&with("exp", json!(now - 61))), StatusCode::UNAUTHORIZED),
        ("another key's signature", other.sign(&good), StatusCode::UNAUTHORIZED),
        (
            "another fingerprint",
            other.sign(&other.claims("LOCAL-ACCOUNT", "LOCAL_USER")),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "another account",
            world.key.sign(&world.key.claims("OTHER", "LOCAL_USER")),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "lower-case account",
            world.key.sign(&world.key.claims("local-account", "LOCAL_USER")),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "unknown user",
            world.key.sign(&world.key.claims("LOCAL-ACCOUNT", "NOBODY")),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "issuer without fingerprint",
            world.key.sign(&with("iss", good["sub"].clone())),
            StatusCode::UNAUTHORIZED,
        ),
        (
            "a role not granted",
            world.key.sign(&with("scp", json!("session:role:ACCOUNTADMIN"))),
            StatusCode::UNAUTHORIZED,
        ),
        ("the own role", world.key.sign(&with("scp", json!("session:role:LOCAL_ROLE"))), StatusCode::OK),
        ("garbage", "abc".to_owned(), StatusCode::UNAUTHORIZED),
    ];
    for (name, jwt, status) in cases {
        let bearer = format!("Bearer {jwt}");
        let reply = world.send(Method::POST, "/oauth/token", &[("authorization", &bearer)], FORM).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn ingest_calls_need_a_scoped_token_and_accept() {
    let options = Options { access_tokens: vec!["pat".into()], ..Options::default() };
    let world = World::with(options).await;
    world.sql("CREATE TABLE t (a INT)");
    let uri = format!("{PIPES}/T-STREAMING/channels/c");
    let jwt = world.key.sign(&world.key.claims("LOCAL-ACCOUNT", "LOCAL_USER"));
    for (token, status) in [
        ("pat", StatusCode::OK),
        ("WIF.OIDC.pat", StatusCode::OK),
        ("unknown", StatusCode::UNAUTHORIZED),
        (jwt.as_str(), StatusCode::UNAUTHORIZED),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
        let reply = world.send(Method::PUT, &uri, &headers, "").await;
        assert_eq!(reply.status, status, "{token}: {}", reply.text());
    }
    let reply = world.send(Method::PUT, &uri, &[("authorization", "Bearer pat")], "").await;
    assert_eq!(reply.code(), "391902", "no Accept header");
    world.snowflake.expire_tokens();
    assert_eq!(world.open("T-STREAMING", "c").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_replaced_without_a_pause_by_the_second_one() {
    let world = World::new().await;
    let (old, new) = (Key::generate(), Key::generate());
    let logs_in = async |key: &Key| {
        let bearer = format!("Bearer {}", key.sign(&key.claims("LOCAL-ACCOUNT", "BOT")));
        let reply = world.send(Method::POST, "/oauth/token", &[("authorization", &bearer)], FORM).await;
        reply.status == StatusCode::OK
    };
    let bare = |key: &Key| key.public_pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let shown = |name: &str| {
        let rows = world.sql("DESCRIBE USER bot");
        rows.into_iter().find(|row| row[0].as_deref() == Some(name)).and_then(|row| row[1].clone())
    };
    world.sql(&format!("CREATE USER bot TYPE = SERVICE RSA_PUBLIC_KEY = '{}'", bare(&old)));
    assert_eq!((logs_in(&old).await, logs_in(&new).await), (true, false));
    world.sql(&format!("ALTER USER bot SET RSA_PUBLIC_KEY_2 = '{}'", bare(&new)));
    assert_eq!((logs_in(&old).await, logs_in(&new).await), (true, true));
    assert_eq!(shown("RSA_PUBLIC_KEY_2_FP"), Some(new.fingerprint.clone()));
    world.sql("ALTER USER bot UNSET RSA_PUBLIC_KEY");
    assert_eq!((logs_in(&old).await, logs_in(&new).await), (false, true));
    assert_eq!(shown("RSA_PUBLIC_KEY_FP"), None);
    world.sql(&format!("ALTER USER bot SET RSA_PUBLIC_KEY = '{}'", bare(&new)));
    world.sql("ALTER USER bot UNSET RSA_PUBLIC_KEY_2");
    assert_eq!((logs_in(&old).await, logs_in(&new).await), (false, true));
}
