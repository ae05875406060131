//! A client of Snowflake's SQL API with key-pair login, written from its public documentation
//! (<https://docs.snowflake.com/en/developer-guide/sql-api>) and sharing nothing with the connector: what the connector
//! has done is looked at from outside.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Certificate, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Endpoints, Error, Result};

const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Life of a login; the service accepts up to an hour.
const LOGIN_SECONDS: u64 = 1800;
const POLL_PAUSE: Duration = Duration::from_millis(100);

/// The answer to a statement. Values are texts, as the SQL API sends them; `None` is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Option<String>>>,
}

impl ResultSet {
    /// The first value of the first row as a number; 0 when there is none.
    pub fn number(&self) -> u64 {
        self.rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or(0)
    }
}

/// A client of one account, logged in as one user.
#[derive(Clone)]
pub struct SqlClient {
    http: reqwest::Client,
    url: String,
    role: String,
    subject: String,
    issuer: String,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    result_set_meta_data: MetaData,
    #[serde(default)]
    data: Vec<Vec<Option<Value>>>,
    #[serde(default)]
    statement_handle: String,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaData {
    #[serde(default)]
    row_type: Vec<Column>,
    #[serde(default)]
    partition_info: Vec<Value>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl SqlClient {
    /// A client with the account, user, key and authority of `endpoints`.
    pub fn new(endpoints: &Endpoints) -> Result<Self> {
        let pem = endpoints.private_key()?;
        let unusable =
            |what: &str| Error::Unexpected(format!("{}: {what}", endpoints.snowflake_private_key_file));
        let der = der_of_pem(&pem).ok_or_else(|| unusable("no PEM text of an unencrypted PKCS#8 key"))?;
        let pair = KeyPair::from_pkcs8(&der).map_err(|_| unusable("no RSA key"))?;
        let public = pair.public_key().as_der().map_err(|_| unusable("no public key"))?;
        let fingerprint = STANDARD.encode(digest::digest(&digest::SHA256, public.as_ref()));
        let subject =
            format!("{}.{}", endpoints.snowflake_account, endpoints.snowflake_user).to_ascii_uppercase();
        Ok(Self {
            http: client(&endpoints.snowflake_ca_file)?,
            url: format!("{}/api/v2/statements", endpoints.snowflake_url.trim_end_matches('/')),
            role: endpoints.snowflake_role.clone(),
            issuer: format!("{subject}.SHA256:{fingerprint}"),
            subject,
            key: EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| unusable("no RSA key"))?,
        })
    }

    /// Runs one statement and returns the whole answer.
    pub async fn query(&self, statement: &str) -> Result<ResultSet> {
        let body = json!({ "statement": statement, "role": self.role, "timeout": REQUEST_LIMIT.as_secs() });
        let what = format!("the statement {}", shortened(statement));
        let mut answer = self.send(Method::POST, "", Some(&body), &what).await?;
        while answer.0 == StatusCode::ACCEPTED {
            tokio::time::sleep(POLL_PAUSE).await;
            answer = self.send(Method::GET, &format!("/{}", answer.1.statement_handle), None, &what).await?;
        }
        let first = answer.1;
        let mut result = ResultSet {
            columns: first.result_set_meta_data.row_type.into_iter().map(|c| c.name).collect(),
            rows: rows(first.data),
        };
        for partition in 1..first.result_set_meta_data.partition_info.len() {
            let path = format!("/{}?partition={partition}", first.statement_handle);
            result.rows.extend(rows(self.send(Method::GET, &path, None, &what).await?.1.data));
        }
        Ok(result)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        what: &str,
    ) -> Result<(StatusCode, Answer)> {
        let failed = |source| Error::Http { what: what.to_owned(), source };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.login()?)
            .header("X-Snowflake-Authorization-Token-Type", "KEYPAIR_JWT")
            .header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.bytes().await.map_err(failed)?;
        let text = local_cloud::sql::plain(&text).map_err(Error::io(format!("decompressing {what}")))?;
        let answer: Answer = serde_json::from_slice(&text).map_err(|error| {
            let shown: String = String::from_utf8_lossy(&text).chars().take(300).collect();
            Error::Unexpected(format!("{what}: {status} with an unexpected answer ({error}): {shown}"))
        })?;
        if status.is_success() {
            return Ok((status, answer));
        }
        Err(Error::Refused { what: what.to_owned(), status: status.as_u16(), body: answer.message })
    }

    fn login(&self) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = Claims { iss: &self.issuer, sub: &self.subject, iat: now, exp: now + LOGIN_SECONDS };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|error| Error::Unexpected(format!("signing a login: {error}")))
    }
}

fn client(authority: &str) -> Result<reqwest::Client> {
    let pem = std::fs::read(authority).map_err(Error::io(format!("reading {authority}")))?;
    let failed = |source| Error::Http { what: format!("trusting {authority}"), source };
    let trusted = Certificate::from_pem_bundle(&pem).map_err(failed)?;
    reqwest::Client::builder()
        .no_proxy()
        .timeout(REQUEST_LIMIT)
        .user_agent(concat!("shardflow-harness/", env!("CARGO_PKG_VERSION")))
        .tls_certs_only(trusted)
        .build()
        .map_err(failed)
}

fn der_of_pem(pem: &str) -> Option<Vec<u8>> {
    let body = pem.split_once("-----BEGIN PRIVATE KEY-----")?.1.split_once("-----END PRIVATE KEY-----")?.0;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

fn rows(data: Vec<Vec<Option<Value>>>) -> Vec<Vec<Option<String>>> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    data.into_iter().map(|row| row.into_iter().map(|value| value.map(text)).collect()).collect()
}

fn shortened(statement: &str) -> String {
    let one_line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= 80 {
        one_line
    } else {
        one_line.chars().take(80).chain("…".chars()).collect()
    }
}
