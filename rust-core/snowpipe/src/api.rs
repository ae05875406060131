//! The calls to the ingest host.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::SinkConfig;
use crate::fault::classify;
use crate::login::{Login, Session, build_client, describe_transport};
use crate::machine::{ChannelStatus, Fault, FaultClass, Opened};
use crate::names::{PipePath, encode};

/// Open, status: answers come within a second or two.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A 4 MB body over a slow line.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);
/// A failed login is not tried again by every channel at once.
const LOGIN_PAUSE: Duration = Duration::from_secs(1);

/// All calls of a sink. Without a usable configuration every call fails with the reason.
#[derive(Debug)]
pub(crate) struct Api {
    ready: Result<Ready, Fault>,
    failed: Mutex<Option<(Instant, Fault)>>,
}

#[derive(Debug)]
struct Ready {
    client: Client,
    login: Login,
}

/// One append.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) continuation: String,
    pub(crate) first: String,
    pub(crate) last: String,
    /// Uncompressed length.
    pub(crate) raw: u64,
    pub(crate) bytes: Bytes,
    /// The same for every try of the same bytes.
    pub(crate) request_id: Uuid,
    pub(crate) attempt: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusBody {
    channel_status_code: Option<String>,
    last_committed_offset_token: Option<String>,
    rows_error_count: Option<u64>,
    rows_errors: Option<u64>,
    last_error_offset_upper_bound: Option<String>,
    last_error_message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OpenBody {
    #[serde(default)]
    next_continuation_token: Option<String>,
    #[serde(default)]
    channel_status: StatusBody,
}

#[derive(Debug, Deserialize)]
struct AppendBody {
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct BulkBody {
    #[serde(default)]
    channel_statuses: HashMap<String, StatusBody>,
}

impl From<StatusBody> for ChannelStatus {
    fn from(body: StatusBody) -> Self {
        Self {
            code: body.channel_status_code,
            committed: body.last_committed_offset_token,
            row_errors: body.rows_error_count.or(body.rows_errors).unwrap_or(0),
            last_error_bound: body.last_error_offset_upper_bound,
            last_error_message: body.last_error_message,
        }
    }
}

impl Api {
    /// Prepares the calls; none is made.
    pub(crate) fn new(config: &SinkConfig) -> Self {
        let unusable = |detail: String| Fault { class: FaultClass::Auth, detail, retry_after: None };
        let ready = build_client(config.ca_file.as_deref()).map_err(unusable).and_then(|client| {
            let login = Login::new(config, client.clone()).map_err(|error| unusable(error.to_string()))?;
            Ok(Ready { client, login })
        });
        Self { ready, failed: Mutex::new(None) }
    }

    /// Login, for verification.
    pub(crate) fn login(&self) -> Result<&Login, Fault> {
        self.ready.as_ref().map(|ready| &ready.login).map_err(Clone::clone)
    }

    /// Opens a channel and takes it over.
    pub(crate) async fn open(&self, pipe: &PipePath, channel: &str, force: bool) -> Result<Opened, Fault> {
        let path = channel_path(pipe, channel);
        let body = json!({ "fail_on_uncommitted_rows": !force });
        let query = format!("requestId={}&retryCount=0", Uuid::new_v4());
        let answer =
            self.call(&path, &query, |client, url| client.put(url).timeout(CALL_TIMEOUT).json(&body)).await?;
        let body: OpenBody = parse(&answer)?;
        let status = ChannelStatus::from(body.channel_status);
        match body.next_continuation_token {
            Some(continuation) => Ok(Opened { continuation, status }),
            None if status.code.as_deref().is_some_and(|code| code != "SUCCESS") => {
                Ok(Opened { continuation: String::new(), status })
            }
            None => Err(transient("the answer to an open holds no continuation token".to_owned())),
        }
    }

    /// Sends rows; the answer is the next continuation token.
    pub(crate) async fn append(
        &self,
        pipe: &PipePath,
        channel: &str,
        append: &Append,
    ) -> Result<String, Fault> {
        let path = format!("data/{}/rows", channel_path(pipe, channel));
        let query = format!(
            "continuationToken={}&startOffsetToken={}&endOffsetToken={}&requestId={}&retryCount={}",
            encode(&append.continuation),
            encode(&append.first),
            encode(&append.last),
            append.request_id,
            append.attempt
        );
        let answer = self
            .call(&path, &query, |client, url| {
                client
                    .post(url)
                    .timeout(APPEND_TIMEOUT)
                    .header("Content-Type", "application/x-ndjson")
                    .header("Content-Encoding", "zstd")
                    .header("x-snowflake-uncompressed-content-length", append.raw)
                    .body(append.bytes.clone())
            })
            .await?;
        parse::<AppendBody>(&answer)?
            .next_continuation_token
            .ok_or_else(|| transient("the answer to an append holds no continuation token".to_owned()))
    }

    /// Status of several channels of a pipe; an absent one is not known to the service.
    pub(crate) async fn bulk_status(
        &self,
        pipe: &PipePath,
        channels: &[String],
    ) -> Result<HashMap<String, ChannelStatus>, Fault> {
        let path = format!("{}:bulk-channel-status", pipe.encoded());
        let body = json!({ "channel_names": channels });
        let query = format!("requestId={}&retryCount=0", Uuid::new_v4());
        let answer = self
            .call(&path, &query, |client, url| client.post(url).timeout(CALL_TIMEOUT).json(&body))
            .await?;
        let body: BulkBody = parse(&answer)?;
        Ok(body.channel_statuses.into_iter().map(|(name, status)| (name, status.into())).collect())
    }

    /// Asks about a pipe; the default pipe of a table is made by this when it has never been used.
    pub(crate) async fn pipe_info(&self, pipe: &PipePath) -> Result<(), Fault> {
        let path = format!("{}:pipe-info", pipe.encoded());
        let query = format!("requestId={}&retryCount=0", Uuid::new_v4());
        let body = json!({ "generate_new_token": false });
        self.call(&path, &query, |client, url| client.post(url).timeout(CALL_TIMEOUT).json(&body))
            .await
            .map(drop)
    }

    /// One call; a refused token is renewed once.
    async fn call(
        &self,
        path: &str,
        query: &str,
        request: impl Fn(&Client, String) -> RequestBuilder,
    ) -> Result<String, Fault> {
        let ready = self.ready.as_ref().map_err(Clone::clone)?;
        let mut renewed = false;
        loop {
            let session = self.session(ready).await?;
            let url = format!("{}v2/streaming/{path}?{query}", session.base);
            let mut request = request(&ready.client, url)
                .bearer_auth(session.token.expose_secret())
                .header("Accept", "application/json");
            if let Some(token_type) = session.token_type {
                request = request.header("X-Snowflake-Authorization-Token-Type", token_type);
            }
            let response = request.send().await.map_err(|error| transport(&session, &error))?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                ready.login.refused(&session).await;
                continue;
            }
            let header = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
            let retry_after = header.map(str::to_owned);
            let text = response.text().await.map_err(|error| transport(&session, &error))?;
            if status.is_success() {
                return Ok(text);
            }
            let fault = classify(status.as_u16(), &text, retry_after.as_deref());
            if fault.class == FaultClass::ClientInvalid {
                ready.login.moved(&session).await;
            }
            return Err(fault);
        }
    }

    async fn session(&self, ready: &Ready) -> Result<Session, Fault> {
        if let Some(fault) = self.recent_failure() {
            return Err(fault);
        }
        let answer = ready.login.session().await;
        if let Err(fault) = &answer {
            *self.lock() = Some((Instant::now(), fault.clone()));
        }
        answer
    }

    fn recent_failure(&self) -> Option<Fault> {
        self.lock().as_ref().filter(|(at, _)| at.elapsed() < LOGIN_PAUSE).map(|(_, fault)| fault.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Fault)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `databases/…/channels/…`, encoded.
fn channel_path(pipe: &PipePath, channel: &str) -> String {
    format!("{}/channels/{}", pipe.encoded(), encode(channel))
}

/// Path of a channel, for the provenance event.
pub(crate) fn transit_path(pipe: &PipePath, channel: &str) -> String {
    format!("/v2/streaming/{}", channel_path(pipe, channel))
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Fault> {
    serde_json::from_str(answer).map_err(|_| transient("the answer cannot be read".to_owned()))
}

fn transient(detail: String) -> Fault {
    Fault { class: FaultClass::Transient, detail, retry_after: None }
}

fn transport(session: &Session, error: &reqwest::Error) -> Fault {
    transient(describe_transport(session.base.host_str().unwrap_or_default(), error))
}
