//! Append rows to a named channel.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as Segments, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::json;

use super::channels::{ChannelSegments, no_channel};
use super::login::ingest_session;
use super::query::Pairs;
use super::{ApiError, target};
use crate::account::Account;
use crate::journal::{Append, AppendOutcome};
use crate::server::Snowflake;
use crate::streaming::{BodyError, Channel, Committer, Key, Pending, Removed, Verdict, decode};

/// Bodies of at least this size are decoded off the runtime's threads.
const DECODE_APART: usize = 16 * 1024;
/// Sticky routing: a client sends it back with its next append.
const SESSION: HeaderName = HeaderName::from_static("x-snowflake-session");
/// A refused body is read up to this size, so that the client can finish sending and read the answer.
const MOST_DRAINED: usize = 64 * 1024 * 1024;

/// `POST …/channels/{channel}/rows`.
pub(super) async fn rows(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe, name)): ChannelSegments,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = Key::new(target::pipe_path(&database, &schema, &pipe), &name);
    journaled(&snowflake, key, &name, query.as_deref(), async |key, entry| {
        let body = read(body, snowflake.options().limits.body_bytes).await?;
        entry.compressed = body.len();
        let arrival = admit(&snowflake, &headers, key, &name)?;
        if snowflake.options().discard_rows {
            let answer = arrival.enqueue(entry, Bytes::new());
            entry.uncompressed = uncompressed(&headers).unwrap_or(entry.compressed);
            return answer;
        }
        let body = decoded(body, &headers).await?;
        arrival.enqueue(entry, body)
    })
    .await
}

/// The length after decoding that the client names.
fn uncompressed(headers: &HeaderMap) -> Option<usize> {
    headers.get("x-snowflake-uncompressed-content-length")?.to_str().ok()?.parse().ok()
}

/// Runs an append and writes it to the journal, whatever becomes of it. The work gives the next continuation token.
pub(super) async fn journaled(
    snowflake: &Snowflake,
    key: Key,
    name: &str,
    query: Option<&str>,
    work: impl AsyncFnOnce(Key, &mut Append) -> Result<String, ApiError>,
) -> Result<Response, ApiError> {
    let query = Pairs::query(query.unwrap_or_default());
    let own = |name: &str| query.get(name).map(str::to_owned);
    let mut entry = Append {
        at_ms: snowflake.options().clock.now_ms(),
        pipe: key.pipe.to_string(),
        channel: name.to_owned(),
        continuation_token: own("continuationToken").unwrap_or_default(),
        start: own("startOffsetToken"),
        end: own("endOffsetToken").or_else(|| own("offsetToken")),
        request_id: own("requestId").unwrap_or_default(),
        compressed: 0,
        uncompressed: 0,
        outcome: AppendOutcome::Rejected(String::new()),
        body: None,
    };
    let answer = work(key, &mut entry).await;
    if let Err(error) = &answer {
        entry.outcome = AppendOutcome::Rejected(error.code.clone());
    }
    snowflake.journal().append(entry);
    let message = "Data buffered successfully";
    let body = json!({"status_code": 0, "message": message, "next_continuation_token": answer?});
    let mut response = Json(body).into_response();
    if snowflake.options().quirks.session_header {
        response.headers_mut().insert(SESSION, HeaderValue::from_static("bG9jYWw6NDQz"));
    }
    Ok(response)
}

/// An append that may go into its channel.
pub(super) struct Arrival {
    account: Arc<Account>,
    channel: Arc<Channel>,
    may_evolve: bool,
}

/// Finds the channel of an append, checks the caller, and counts the request.
pub(super) fn admit(
    snowflake: &Snowflake,
    headers: &HeaderMap,
    key: Key,
    name: &str,
) -> Result<Arrival, ApiError> {
    let session = ingest_session(snowflake, headers)?;
    let account = snowflake.account();
    let found = target::find(account, &session, &key.pipe)?;
    let Some(channel) = account.channels.get(&key) else {
        return Err(match account.channels.removed(&key) {
            Some(Removed::Replaced) => removed(name),
            Some(Removed::Expired) | None => no_channel(name),
        });
    };
    if channel.generation != found.origin.generation || channel.table_id != found.origin.table_id {
        return Err(removed(name));
    }
    let limits = &account.options.limits;
    let per_second = f64::from(limits.requests_per_second);
    if limits.rates && !channel.state().requests.take(1.0, per_second, account.clock().instant()) {
        return Err(too_fast("requests"));
    }
    Ok(Arrival { account: account.clone(), channel, may_evolve: found.may_evolve })
}

impl Arrival {
    /// The next token, when this append is a repetition of the one before.
    pub(super) fn repeated(&self, entry: &mut Append) -> Option<String> {
        let Verdict::Replayed(token) = self.channel.state().judge(&entry.continuation_token) else {
            return None;
        };
        entry.outcome = AppendOutcome::Replayed;
        Some(token)
    }

    /// Judges the continuation token and takes the rows over.
    pub(super) fn enqueue(self, entry: &mut Append, body: Bytes) -> Result<String, ApiError> {
        let Arrival { account, channel, may_evolve } = self;
        entry.uncompressed = body.len();
        entry.body = Some(body.clone());
        let limits = &account.options.limits;
        let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let due = account.clock().instant() + account.commit_delay();
        let verdict = {
            let mut state = channel.state();
            if state.gone {
                return Err(removed(&channel.name));
            }
            if matches!(state.judge(&entry.continuation_token), Verdict::Accepted(_)) {
                if account.committer.pending_bytes().saturating_add(bytes) > limits.pending_bytes {
                    return Err(too_fast("bytes that wait for their commit"));
                }
                #[allow(clippy::cast_precision_loss, reason = "a rate, not a count")]
                let (amount, allowance) = (bytes as f64, limits.bytes_per_second as f64);
                if limits.rates && !state.bytes.take(amount, allowance, account.clock().instant()) {
                    return Err(too_fast("bytes"));
                }
            }
            let pending = Pending {
                start: entry.start.clone(),
                end: entry.end.clone(),
                body,
                may_evolve,
                accepted_ms: account.clock().now_ms(),
                due,
                held: Some(account.committer.hold(bytes)),
            };
            state.append(&entry.continuation_token, pending)
        };
        match verdict {
            Verdict::Accepted(token) => {
                entry.outcome = AppendOutcome::Accepted;
                Committer::schedule(&account, channel, due);
                Ok(token)
            }
            Verdict::Replayed(token) => {
                entry.outcome = AppendOutcome::Replayed;
                Ok(token)
            }
            Verdict::Stale => Err(ApiError::bad_request(
                "STALE_CONTINUATION_TOKEN_SEQUENCER",
                "The continuation token is stale: the channel was opened again, or the token is not the last one.",
            )),
            Verdict::Invalid(code) => {
                Err(ApiError::new(StatusCode::CONFLICT, code, "The channel must be reopened."))
            }
        }
    }
}

/// The table or pipe was made anew, or the channel was dropped, since the channel was opened.
fn removed(name: &str) -> ApiError {
    let message = format!("The pipe of channel '{name}' changed, or the channel was dropped; open it again.");
    ApiError::new(StatusCode::CONFLICT, "STALE_PIPE_CACHE", message)
}

pub(super) fn too_fast(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "390701",
        format!("Request rate exceeds the limit on {what}."),
    )
}

pub(super) async fn read(mut body: Body, most: usize) -> Result<Bytes, ApiError> {
    let broken = |_| ApiError::bad_request("ERR_BODY", "The body ended early.");
    let mut taken = Vec::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken)?;
        let Some(data) = frame.data_ref() else { continue };
        size += data.len();
        if size > MOST_DRAINED {
            break;
        }
        if size <= most {
            taken.extend_from_slice(data);
        }
    }
    if size > most {
        let message = format!("The request body is larger than {most} bytes.");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "ERR_PAYLOAD_TOO_LARGE", message));
    }
    Ok(taken.into())
}

pub(super) async fn decoded(body: Bytes, headers: &HeaderMap) -> Result<Bytes, ApiError> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let result = if body.len() < DECODE_APART || encoding.is_empty() {
        decode(body, encoding)
    } else {
        let encoding = encoding.to_owned();
        tokio::task::spawn_blocking(move || decode(body, &encoding)).await.unwrap_or(Err(BodyError::Corrupt))
    };
    let body = result.map_err(|error| match error {
        BodyError::Encoding(other) => {
            let message = format!("Content-Encoding '{other}' is not supported.");
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "ERR_CONTENT_ENCODING", message)
        }
        BodyError::Corrupt => {
            ApiError::bad_request("ERR_BODY", "The body does not match its Content-Encoding.")
        }
        BodyError::TooLarge => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "ERR_PAYLOAD_TOO_LARGE",
            "The decoded body is too large.",
        ),
    })?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::bad_request("ERR_EMPTY_BODY", "The body has no rows."));
    }
    Ok(body)
}
