//! The calls to the ingest host.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::config::SinkConfig;
use crate::fault::classify;
use crate::login::{Login, Session, build_client, describe_transport};
use crate::machine::{ChannelStatus, Fault, FaultClass, Opened};
use crate::names::{PipePath, encode};
use crate::trip::Trips;

/// Open, status: answers come within a second or two.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A 4 MB body over a slow line.
pub(crate) const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// All calls of a sink. Without a usable configuration every call fails with the reason.
#[derive(Debug)]
pub(crate) struct Api {
    ready: Result<Ready, Fault>,
}

#[derive(Debug)]
struct Ready {
    client: Client,
    login: Login,
}

/// Sticky routing of a channel's appends, as Snowflake's own processor does it.
const STICKY: &str = "x-snowflake-session";

/// One append.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    /// What the answer to the append before asked to be sent along.
    pub(crate) sticky: Option<String>,
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

/// Answer to an append.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The next continuation token; empty for an elastic channel.
    pub(crate) continuation: String,
    /// To be sent along with the next append of the channel.
    pub(crate) sticky: Option<String>,
}

/// A successful answer.
struct Reply {
    /// Host and path, for messages.
    from: String,
    text: String,
    sticky: Option<String>,
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

/// Documented as an object with a message; a code that is not 0 is that of a failure (as with the other calls).
#[derive(Debug, Deserialize)]
struct ElasticBody {
    #[serde(default)]
    status_code: Option<i64>,
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
    pub(crate) fn new(config: &SinkConfig, trips: &Trips) -> Self {
        let unusable = |detail: String| Fault { class: FaultClass::Auth, detail, retry_after: None };
        let ready =
            build_client(config.ca_file.as_deref(), &config.proxy).map_err(unusable).and_then(|client| {
                let mut login =
                    Login::new(config, client.clone()).map_err(|error| unusable(error.to_string()))?;
                login.trips = trips.clone();
                Ok(Ready { client, login })
            });
        Self { ready }
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
            Some(continuation) => Ok(Opened { continuation, status, former: None }),
            None if status.code.as_deref().is_some_and(|code| code != "SUCCESS") => {
                Ok(Opened { continuation: String::new(), status, former: None })
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
    ) -> Result<Taken, Fault> {
        let path = format!("data/{}/rows", channel_path(pipe, channel));
        let query = format!(
            "continuationToken={}&startOffsetToken={}&endOffsetToken={}&requestId={}&retryCount={}",
            encode(&append.continuation),
            encode(&append.first),
            encode(&append.last),
            append.request_id,
            append.attempt
        );
        let reply = self.rows(&path, &query, append).await?;
        let continuation = parse::<AppendBody>(&reply)?
            .next_continuation_token
            .ok_or_else(|| transient("the answer to an append holds no continuation token".to_owned()))?;
        Ok(Taken { continuation, sticky: reply.sticky })
    }

    /// Sends rows to the elastic channel at `path`; the answer says that they are durable.
    pub(crate) async fn append_elastic(&self, path: &str, append: &Append) -> Result<Taken, Fault> {
        let path = format!("data/{path}/rows");
        let query = format!("requestId={}&retryCount={}", append.request_id, append.attempt);
        let reply = self.rows(&path, &query, append).await?;
        // Nothing else will tell whether the rows are there: something between may answer for the service.
        let body: ElasticBody = parse(&reply)?;
        match body.status_code {
            None | Some(0) => Ok(Taken { continuation: String::new(), sticky: reply.sticky }),
            Some(code) => Err(transient(format!("the answer of {} has the status code {code}", reply.from))),
        }
    }

    async fn rows(&self, path: &str, query: &str, append: &Append) -> Result<Reply, Fault> {
        self.call(path, query, |client, url| rows_request(client.post(url), append)).await
    }

    /// Runs a statement, in a warehouse when it needs one.
    pub(crate) async fn statement(&self, statement: &str, warehouse: Option<&str>) -> Result<String, Fault> {
        self.login()?.statement(statement, warehouse).await
    }

    /// A further partition of the answer to a statement.
    pub(crate) async fn partition(&self, handle: &str, number: usize) -> Result<String, Fault> {
        self.login()?.partition(handle, number).await
    }

    /// Logs in when that is needed.
    pub(crate) async fn ready(&self) -> Result<(), Fault> {
        let ready = self.ready.as_ref().map_err(Clone::clone)?;
        ready.login.session().await.map(drop)
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
    ) -> Result<Reply, Fault> {
        let ready = self.ready.as_ref().map_err(Clone::clone)?;
        let mut renewed = false;
        loop {
            let session = ready.login.session().await?;
            let url = format!("{}v2/streaming/{path}?{query}", session.base);
            let mut request = request(&ready.client, url)
                .bearer_auth(session.token.expose_secret())
                .header("Accept", "application/json");
            if let Some(token_type) = session.token_type {
                request = request.header("X-Snowflake-Authorization-Token-Type", token_type);
            }
            let broken = |error: reqwest::Error| {
                ready.login.heard(&session, Some(FaultClass::Transient));
                transport(&session, &error)
            };
            let response = request.send().await.map_err(broken)?;
            let status = response.status();
            let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            let (retry_after, sticky) = (header("retry-after"), header(STICKY));
            let text = response.text().await.map_err(broken)?;
            if status.is_success() {
                // A web page comes from something that is not Snowflake.
                ready.login.heard(&session, is_page(&text).then_some(FaultClass::Transient));
                let from = format!("{}/v2/streaming/{path}", session.base.host_str().unwrap_or_default());
                return Ok(Reply { from, text, sticky });
            }
            let fault = classify(status.as_u16(), &text, retry_after.as_deref());
            ready.login.heard(&session, Some(fault.class));
            // An expired token is answered in several ways; a missing right looks the same and costs one login.
            if fault.class == FaultClass::Auth && !renewed {
                renewed = true;
                ready.login.refused(&session).await;
                continue;
            }
            if fault.class == FaultClass::Auth {
                ready.login.refused_again().await;
            }
            return Err(fault);
        }
    }
}

fn rows_request(request: RequestBuilder, append: &Append) -> RequestBuilder {
    let request = request
        .timeout(APPEND_TIMEOUT)
        .header("Content-Type", "application/x-ndjson")
        .header("Content-Encoding", "zstd")
        .header("x-snowflake-uncompressed-content-length", append.raw);
    let request = match &append.sticky {
        Some(sticky) => request.header(STICKY, sticky),
        None => request,
    };
    request.body(append.bytes.clone())
}

/// `databases/…/channels/…`, encoded.
fn channel_path(pipe: &PipePath, channel: &str) -> String {
    format!("{}/channels/{}", pipe.encoded(), encode(channel))
}

/// Path of a channel, for the provenance event.
pub(crate) fn transit_path(pipe: &PipePath, channel: &str) -> String {
    format!("/v2/streaming/{}", channel_path(pipe, channel))
}

fn is_page(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a Reply) -> Result<T, Fault> {
    serde_json::from_str(&answer.text).map_err(|_| {
        let what = match answer.text.trim() {
            "" => "it is empty",
            text if is_page(text) => "it is a web page, of a proxy or a gateway it seems",
            _ => "it is not the JSON that Snowflake answers",
        };
        transient(format!("the answer of {} cannot be read: {what}", answer.from))
    })
}

fn transient(detail: String) -> Fault {
    Fault { class: FaultClass::Transient, detail, retry_after: None }
}

fn transport(session: &Session, error: &reqwest::Error) -> Fault {
    transient(describe_transport(session.base.host_str().unwrap_or_default(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_cannot_be_read_is_named() {
        let text = |text: &str| {
            let reply = Reply { from: "host/path".to_owned(), text: text.to_owned(), sticky: None };
            parse::<ElasticBody>(&reply).unwrap_err().detail
        };
        assert_eq!(text(""), "the answer of host/path cannot be read: it is empty");
        assert!(text("\n<html>").contains("a web page"));
        assert!(text("\"OK\"").contains("not the JSON that Snowflake answers"));
    }

    #[test]
    fn what_an_answer_asked_for_goes_with_the_next_append() {
        let append = |sticky: Option<&str>| Append {
            sticky: sticky.map(str::to_owned),
            continuation: "0_1".into(),
            first: "1".into(),
            last: "2".into(),
            raw: 10,
            bytes: Bytes::new(),
            request_id: Uuid::new_v4(),
            attempt: 0,
        };
        let sent = |append: &Append| {
            let request = rows_request(Client::new().post("https://localhost"), append).build().unwrap();
            request.headers().get(STICKY).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent(&append(Some("MTAuMC4wLjE6NDQz"))).as_deref(), Some("MTAuMC4wLjE6NDQz"));
        assert_eq!(sent(&append(None)), None);
    }
}
