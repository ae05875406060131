//! A client of the router, without sockets.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use local_snowflake::{Options, Snowflake};
use serde_json::{Value, json};
use tower::ServiceExt;

pub const PIPES: &str = "/v2/streaming/databases/DEMO/schemas/PUBLIC/pipes";
pub const DATA_PIPES: &str = "/v2/streaming/data/databases/DEMO/schemas/PUBLIC/pipes";

/// An RSA key pair as PEM texts.
pub struct Key {
    pub private_pem: String,
    pub public_pem: String,
    pub fingerprint: String,
}

impl Key {
    pub fn generate() -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let pem = |kind: &str, der: &[u8]| {
            format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public.as_ref());
        Key {
            private_pem: pem("PRIVATE KEY", private.as_ref()),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            fingerprint: format!("SHA256:{}", STANDARD.encode(digest)),
        }
    }

    /// Signs claims as a JWT.
    pub fn sign(&self, claims: &Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(self.private_pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), claims, &key)
            .unwrap()
    }

    /// Claims that are accepted.
    pub fn claims(&self, account: &str, user: &str) -> Value {
        let now = chrono::Utc::now().timestamp();
        let subject = format!("{account}.{user}");
        json!({"iss": format!("{subject}.{}", self.fingerprint), "sub": subject, "iat": now, "exp": now + 3540})
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The answer's next continuation token; fails unless the status is 200.
    #[track_caller]
    pub fn next(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()["next_continuation_token"].as_str().unwrap().to_owned()
    }
}

/// A server with the database DEMO, and a logged-in client.
pub struct World {
    pub snowflake: Snowflake,
    pub key: Key,
    router: Router,
    token: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let world = Self::start(options).await;
        world.sql("CREATE DATABASE demo");
        world
    }

    /// A server on the state file of an earlier one.
    pub async fn reopen(options: Options) -> Self {
        let world = Self::start(options).await;
        world.sql("USE DATABASE demo");
        world
    }

    async fn start(options: Options) -> Self {
        let key = Key::generate();
        let options = Options { public_keys_pem: vec![key.public_pem.clone()], ..options };
        let snowflake = Snowflake::new(options).unwrap();
        let router = snowflake.router();
        let mut world = World { snowflake, key, router, token: String::new() };
        world.token = world.login("LOCAL_USER", None).await;
        world
    }

    /// A scoped token for a user and role.
    pub async fn login(&self, user: &str, role: Option<&str>) -> String {
        let mut claims = self.key.claims("LOCAL-ACCOUNT", user);
        if let Some(role) = role {
            claims["scp"] = format!("session:role:{role}").into();
        }
        let form = "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&scope=localhost";
        let jwt = self.key.sign(&claims);
        let reply = self
            .send(Method::POST, "/oauth/token", &[("authorization", &format!("Bearer {jwt}"))], form)
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.text().to_owned()
    }

    /// The same world through another token.
    pub fn use_token(&mut self, token: String) {
        self.token = token;
    }

    pub async fn send(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        Reply { status, body }
    }

    /// A call with the scoped token.
    pub async fn call(&self, method: Method, uri: &str, body: impl Into<Body>) -> Reply {
        self.call_encoded(method, uri, "", body).await
    }

    pub async fn call_encoded(
        &self,
        method: Method,
        uri: &str,
        encoding: &str,
        body: impl Into<Body>,
    ) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            (header::AUTHORIZATION.as_str(), bearer.as_str()),
            ("accept", "application/json"),
            ("user-agent", "test"),
        ];
        if !encoding.is_empty() {
            headers.push(("content-encoding", encoding));
        }
        self.send(method, uri, &headers, body).await
    }

    pub async fn open(&self, pipe: &str, channel: &str) -> Reply {
        self.call(Method::PUT, &format!("{PIPES}/{pipe}/channels/{channel}"), "{}").await
    }

    pub async fn append(
        &self,
        pipe: &str,
        channel: &str,
        token: &str,
        offsets: (&str, &str),
        rows: &str,
    ) -> Reply {
        let (start, end) = offsets;
        let query =
            format!("continuationToken={token}&startOffsetToken={start}&endOffsetToken={end}&requestId=r");
        let uri = format!("{DATA_PIPES}/{pipe}/channels/{channel}/rows?{query}");
        self.call(Method::POST, &uri, rows.to_owned()).await
    }

    /// Statuses of the given channels.
    pub async fn statuses(&self, pipe: &str, channels: &[&str]) -> Value {
        let body = json!({"channel_names": channels}).to_string();
        let reply = self.call(Method::POST, &format!("{PIPES}/{pipe}:bulk-channel-status"), body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()["channel_statuses"].clone()
    }

    pub async fn status(&self, pipe: &str, channel: &str) -> Value {
        self.statuses(pipe, &[channel]).await[channel].clone()
    }

    /// Waits until the channel's committed offset token is `token`.
    pub async fn committed(&self, pipe: &str, channel: &str, token: &str) -> Value {
        for _ in 0..200 {
            let status = self.status(pipe, channel).await;
            if status["last_committed_offset_token"] == token {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{channel} never committed {token}: {}", self.status(pipe, channel).await);
    }

    /// Opens channel `c`, appends the rows and waits for their commit; the channel's status.
    pub async fn stream(&self, pipe: &str, rows: &str) -> Value {
        let token = self.open(pipe, "c").await.next();
        let last = self.status(pipe, "c").await["last_committed_offset_token"]
            .as_str()
            .map_or(0, |t| t.parse().unwrap());
        let end = format!("{}", last + 1);
        self.append(pipe, "c", &token, (&end, &end), rows).await.next();
        self.committed(pipe, "c", &end).await
    }

    #[track_caller]
    pub fn sql(&self, text: &str) -> Vec<Vec<Option<String>>> {
        self.snowflake.sql(text).unwrap_or_else(|error| panic!("{text}: {error}")).rows
    }

    /// The rows as text, values separated by `|`, NULL as `NULL`.
    #[track_caller]
    pub fn table(&self, text: &str) -> Vec<String> {
        let rows = self.sql(text);
        let value = |value: Option<String>| value.unwrap_or_else(|| "NULL".into());
        rows.into_iter().map(|row| row.into_iter().map(value).collect::<Vec<_>>().join("|")).collect()
    }

    /// The code of a statement that fails.
    #[track_caller]
    pub fn sql_error(&self, text: &str) -> String {
        match self.snowflake.sql(text) {
            Ok(result) => panic!("{text} succeeded:\n{result}"),
            Err(error) => error.code,
        }
    }
}
