//! Open, status and drop.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path as Segments, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::elastic::ELASTIC;
use super::login::ingest_session;
use super::{ApiError, target};
use crate::catalog::Path;
use crate::server::Snowflake;
use crate::streaming::{Channel, ChannelState, Key, Origin, Removed, Uncommitted};

/// Database, schema, pipe and channel of a path.
pub(super) type ChannelSegments = Segments<(String, String, String, String)>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choices {
    fail_on_uncommitted_rows: bool,
    offset_token: Option<String>,
}

impl Choices {
    fn read(body: &[u8]) -> Result<Self, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Choices::default());
        }
        serde_json::from_slice(body).map_err(|error| {
            ApiError::bad_request("ERR_INVALID_REQUEST_BODY", format!("Not a valid body: {error}"))
        })
    }
}

/// `PUT …/channels/{channel}`.
pub(super) async fn open(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe, name)): ChannelSegments,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let session = ingest_session(&snowflake, &headers)?;
    let choices = Choices::read(&body)?;
    let account = snowflake.account();
    let pipe = target::pipe_path(&database, &schema, &pipe);
    let found = match target::find(account, &session, &pipe) {
        Err(error) if account.options.quirks.missing_pipe_as_status => {
            let status = json!({"channel_name": name, "channel_status_code": error.code});
            return Ok(Json(json!({"next_continuation_token": "0_1", "channel_status": status})));
        }
        found => found?,
    };
    let key = Key::new(pipe, &name);
    let most = account.options.limits.channels_per_pipe;
    loop {
        let channel = account.channels.get_or_create(key.clone(), &name, found.origin, most);
        let channel = channel.ok_or_else(|| {
            let message = format!("The pipe has {most} channels already.");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "ERR_TOO_MANY_CHANNELS_PER_PIPE", message)
        })?;
        if choices.fail_on_uncommitted_rows && channel.state().has_uncommitted() {
            return Err(uncommitted(&name));
        }
        let opened = channel.when_settled(|state| {
            if state.gone {
                return None;
            }
            if let (None, Some(token)) = (&state.progress.committed, &choices.offset_token) {
                state.progress.committed = Some(token.clone());
            }
            state.last_used_ms = account.clock().now_ms();
            let opened = state.open(choices.fail_on_uncommitted_rows);
            Some(opened.map(|token| (token, status(&channel, state))))
        });
        // A channel that was removed in the meantime is made again.
        match opened.await {
            None => continue,
            Some(Err(Uncommitted)) => return Err(uncommitted(&name)),
            Some(Ok((token, status))) => {
                return Ok(Json(json!({
                    "status_code": 0,
                    "message": "Success",
                    "next_continuation_token": token,
                    "channel_status": status,
                })));
            }
        }
    }
}

fn uncommitted(channel: &str) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "ERR_CHANNEL_HAS_UNCOMMITTED_DATA",
        format!("Channel '{channel}' has rows that are not committed yet."),
    )
}

/// `DELETE …/channels/{channel}`.
pub(super) async fn drop(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe, name)): ChannelSegments,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let session = ingest_session(&snowflake, &headers)?;
    let choices = Choices::read(&body)?;
    let account = snowflake.account();
    let pipe = target::pipe_path(&database, &schema, &pipe);
    target::find(account, &session, &pipe)?;
    let channel = account.channels.get(&Key::new(pipe, &name)).ok_or_else(|| no_channel(&name))?;
    if choices.fail_on_uncommitted_rows && channel.state().has_uncommitted() {
        return Err(uncommitted(&name));
    }
    channel.when_settled(|_| ()).await;
    account.channels.remove(&channel, Removed::Replaced);
    account.forget_channel(&channel).await;
    // The documentation says "no body", but Snowflake's SDK fails to read an empty one.
    let committed = channel.state().progress.committed.clone();
    Ok(Json(json!({"status_code": 0, "message": "Success", "last_committed_offset_token": committed})))
}

pub(super) fn no_channel(name: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED",
        format!("Channel '{name}' does not exist or is not authorized."),
    )
}

/// `POST …/pipes/{pipe}:bulk-channel-status` and `…:pipe-info`.
pub(super) async fn pipe_verb(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe_and_verb)): Segments<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let session = ingest_session(&snowflake, &headers)?;
    let account = snowflake.account();
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "404", "Not Found");
    let (pipe, verb) = pipe_and_verb.rsplit_once(':').ok_or_else(unknown)?;
    let pipe = target::pipe_path(&database, &schema, pipe);
    match verb {
        "bulk-channel-status" => {
            let found = target::find(account, &session, &pipe)?;
            Ok(Json(statuses(&snowflake, &pipe, found.origin, &body)?).into_response())
        }
        "pipe-info" => {
            target::find(account, &session, &pipe)?;
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.unwrap_or(&account.options.ingest_host);
            Ok(Json(snowflake.stage().pipe_info(&pipe, host)).into_response())
        }
        _ => Err(unknown()),
    }
}

#[derive(Deserialize)]
struct Names {
    channel_names: Vec<String>,
}

/// Names are case-sensitive here; a channel that does not exist is left out.
fn statuses(snowflake: &Snowflake, pipe: &Path, origin: Origin, body: &[u8]) -> Result<Value, ApiError> {
    let names: Names = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request("ERR_INVALID_REQUEST_BODY", format!("Not a valid body: {error}"))
    })?;
    let mut found = Map::new();
    for name in names.channel_names {
        let (channels, key) = (&snowflake.account().channels, Key::new(pipe.clone(), &name));
        // Every pipe has its elastic channel, opened or not.
        let channel = match name.as_str() {
            ELASTIC => channels.get_or_create(key, ELASTIC, origin, usize::MAX),
            _ => channels.get(&key),
        };
        if let Some(channel) = channel.filter(|channel| channel.name == name) {
            let status = status(&channel, &channel.state());
            found.insert(name, status);
        }
    }
    Ok(json!({"status_code": 0, "message": "Success", "channel_statuses": found}))
}

/// A channel's status; some clients read `rows_error_count`, others `rows_errors`.
fn status(channel: &Arc<Channel>, state: &ChannelState) -> Value {
    let pipe = &channel.key.pipe;
    let error = state.progress.last_error.as_ref();
    json!({
        "database_name": pipe.database,
        "schema_name": pipe.schema,
        "pipe_name": pipe.name,
        "channel_name": channel.name,
        "channel_status_code": state.status.code(),
        "last_committed_offset_token": state.progress.committed,
        "created_on_ms": channel.created_ms,
        "rows_inserted": state.progress.rows_inserted,
        "rows_parsed": state.progress.rows_parsed,
        "rows_error_count": state.progress.rows_errors,
        "rows_errors": state.progress.rows_errors,
        "last_error_offset_upper_bound": error.and_then(|error| error.offset_upper_bound.as_deref()),
        "last_error_message": error.map(|error| error.message.as_str()),
        "last_error_timestamp": error.map(|error| error.timestamp_ms),
        "last_error_timestamp_ms": error.map(|error| error.timestamp_ms),
        "snowflake_avg_processing_latency_ms": state.progress.latency_ms,
    })
}
