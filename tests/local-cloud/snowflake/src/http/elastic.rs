//! Elastic channels: at least once, unordered, durable with the answer.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as Segments, RawQuery, State};
use http::HeaderMap;
use serde_json::{Value, json};

use super::append::{decoded, read, too_fast};
use super::login::ingest_session;
use super::query::Pairs;
use super::{ApiError, target};
use crate::catalog::Path;
use crate::names::{self, DEFAULT_PIPE_SUFFIX};
use crate::server::Snowflake;
use crate::streaming::{Committer, Key, Pending};

/// Name of the channel that every pipe has for this.
pub(super) const ELASTIC: &str = "ELASTIC";

type Answer = Result<Json<Value>, ApiError>;

/// `POST …/pipes/{pipe}/channels/ELASTIC/rows`.
pub(super) async fn pipe_rows(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe)): Segments<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let pipe = target::pipe_path(&database, &schema, &pipe);
    take(&snowflake, pipe, query, &headers, body).await
}

/// `POST …/tables/{table}/rows`.
pub(super) async fn table_rows(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, table)): Segments<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = format!("{}{DEFAULT_PIPE_SUFFIX}", names::resolve(&table));
    let pipe = Path { name, ..target::pipe_path(&database, &schema, &table) };
    take(&snowflake, pipe, query, &headers, body).await
}

async fn take(
    snowflake: &Snowflake,
    pipe: Path,
    query: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let body = read(body, snowflake.options().limits.body_bytes).await?;
    let session = ingest_session(snowflake, headers)?;
    let query = Pairs::query(query.as_deref().unwrap_or_default());
    for name in ["continuationToken", "offsetToken", "startOffsetToken", "endOffsetToken"] {
        if query.get(name).is_some() {
            let message = format!("{name} must not be sent to an elastic channel.");
            return Err(ApiError::bad_request("ERR_INVALID_REQUEST_PARAMETER", message));
        }
    }
    let account = snowflake.account();
    let found = target::find(account, &session, &pipe)?;
    let body = decoded(body, headers).await?;
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if account.committer.pending_bytes().saturating_add(bytes) > account.options.limits.pending_bytes {
        return Err(too_fast("bytes that wait for their commit"));
    }
    let channel = account.channels.get_or_create(Key::new(pipe, ELASTIC), ELASTIC, found.origin, usize::MAX);
    let channel = channel.ok_or_else(|| too_fast("channels"))?;
    let due = account.clock().instant() + account.commit_delay();
    channel.state().append_unordered(Pending {
        start: None,
        end: None,
        body,
        may_evolve: found.may_evolve,
        accepted_ms: account.clock().now_ms(),
        due,
        held: Some(account.committer.hold(bytes)),
    });
    Committer::schedule(account, channel, due);
    // The documentation shows the message alone; Snowflake's SDK does not read an answer without the token.
    Ok(Json(json!({"message": "OK", "next_continuation_token": ""})))
}
