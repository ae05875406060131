//! What happened, as JSON, for programs: rows with their channel and token, refused rows, calls, channels, the clocks.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::state::Sources;
use super::{account, answer};

/// Rows or calls in one answer unless the caller says how many.
const USUAL: usize = 100;

pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new()
        .route("/api/rows", get(rows))
        .route("/api/errors", get(errors))
        .route("/api/requests", get(requests))
        .route("/api/channels", get(channels))
        .route("/api/check", get(check))
        .route("/api/clock", get(clock).post(advance))
}

#[derive(Deserialize)]
struct Part {
    table: String,
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

/// `GET /api/rows?table=DB.SCHEMA.TABLE[&after=ROW][&limit=N]`
async fn rows(State(sources): State<Arc<Sources>>, Query(part): Query<Part>) -> Response {
    let found = move || sources.snowflake.stored_rows(&part.table, part.after, part.limit.unwrap_or(USUAL));
    match tokio::task::spawn_blocking(found).await {
        Ok(Ok(Some(rows))) => answer(&json!(rows)),
        Ok(Ok(None)) => refuse(StatusCode::NOT_FOUND, "no such table; write it as DATABASE.SCHEMA.TABLE"),
        Ok(Err(error)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.message),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `GET /api/errors?table=DB.SCHEMA.TABLE[&after=N][&limit=N]`
async fn errors(State(sources): State<Arc<Sources>>, Query(part): Query<Part>) -> Response {
    let limit = part.limit.unwrap_or(USUAL);
    let statement =
        format!("SELECT * FROM ERROR_TABLE({}) LIMIT {limit} OFFSET {}", part.table, part.after.max(0));
    let found = move || sources.snowflake.sql_as("ACCOUNTADMIN", &statement);
    match tokio::task::spawn_blocking(found).await {
        Ok(Ok(found)) => {
            let names: Vec<_> = found.columns.into_iter().map(|column| column.name).collect();
            let object = |row: Vec<Option<String>>| -> Map<String, Value> {
                names.iter().cloned().zip(row.into_iter().map(Value::from)).collect()
            };
            answer(
                &json!({ "table": part.table, "errors": found.rows.into_iter().map(object).collect::<Vec<_>>() }),
            )
        }
        Ok(Err(error)) => refuse(StatusCode::BAD_REQUEST, &error.message),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct Calls {
    path: String,
    status: Option<u16>,
    limit: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { path: String::new(), status: None, limit: USUAL }
    }
}

/// `GET /api/requests[?path=PART][&status=N][&limit=N]`: the newest calls to Snowflake, oldest first.
async fn requests(State(sources): State<Arc<Sources>>, Query(wanted): Query<Calls>) -> Response {
    let mut calls = sources.snowflake.journal().requests();
    calls.retain(|call| {
        call.path.contains(&wanted.path) && wanted.status.is_none_or(|status| call.status == status)
    });
    let skip = calls.len().saturating_sub(wanted.limit);
    let shown = calls.iter().skip(skip).map(|call| {
        json!({
            "at_ms": call.at_ms,
            "method": call.method,
            "path": call.path,
            "request_id": call.request_id,
            "status": call.status,
            "took_ms": u64::try_from(call.took.as_millis()).unwrap_or(u64::MAX),
            "injected_fault": call.fault,
            "user_agent": call.user_agent,
        })
    });
    answer(&json!({ "requests": shown.collect::<Vec<_>>(), "older": skip }))
}

/// `GET /api/channels`
async fn channels(State(sources): State<Arc<Sources>>) -> Response {
    match tokio::task::spawn_blocking(move || sources.snowflake.snapshot().channels).await {
        Ok(channels) => answer(&json!({ "channels": channels })),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `GET /api/check`
async fn check(State(sources): State<Arc<Sources>>) -> Response {
    match tokio::task::spawn_blocking(move || account::check(&sources)).await {
        Ok(Ok(found)) => answer(&found),
        Ok(Err(error)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.message),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Service {
    Aws,
    Snowflake,
}

#[derive(Deserialize)]
struct Step {
    service: Service,
    seconds: u32,
}

/// `GET /api/clock`
async fn clock(State(sources): State<Arc<Sources>>) -> Response {
    clocks(&sources)
}

/// `POST /api/clock?service=snowflake|aws&seconds=N`: moves one of the clocks forward.
async fn advance(State(sources): State<Arc<Sources>>, Query(step): Query<Step>) -> Response {
    let clock = match step.service {
        Service::Aws => &sources.front.clock,
        Service::Snowflake => sources.snowflake.clock(),
    };
    clock.advance(Duration::from_secs(step.seconds.into()));
    clocks(&sources)
}

fn clocks(sources: &Sources) -> Response {
    let shown = |clock: &local_snowflake::Clock| json!({ "now_ms": clock.now_ms(), "ahead_s": clock.advanced().as_secs() });
    answer(&json!({ "aws": shown(&sources.front.clock), "snowflake": shown(sources.snowflake.clock()) }))
}

pub(super) fn refuse(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": why }).to_string())
        .into_response()
}
