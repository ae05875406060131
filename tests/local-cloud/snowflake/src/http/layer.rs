//! Runs around every call: faults first, then the work, then the journal.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::query::Pairs;
use crate::faults::{CutConnection, Route, Trouble};
use crate::journal;
use crate::server::Snowflake;

pub(crate) async fn observe(State(snowflake): State<Snowflake>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut entry = journal::Request {
        at_ms: snowflake.options().clock.now_ms(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        request_id: request_id(&query, request.headers()),
        query,
        user_agent: text(request.headers(), &header::USER_AGENT),
        token_type: text(request.headers(), &super::login::TOKEN_TYPE),
        status: 0,
        took: std::time::Duration::ZERO,
        fault: false,
    };
    let trouble = classify(request.method(), &entry.path)
        .and_then(|route| snowflake.faults().strike(route, &entry.path));
    entry.fault = trouble.is_some();
    if snowflake.account().expiry_due() {
        let account = snowflake.account().clone();
        // Forgetting a channel writes to the state file.
        let _ = tokio::task::spawn_blocking(move || account.expire_idle()).await;
    }
    let response = match trouble {
        Some(trouble) => troubled(trouble, request, next).await,
        None => next.run(request).await,
    };
    entry.status = response.status().as_u16();
    entry.took = begin.elapsed();
    snowflake.journal().request(entry);
    response
}

fn request_id(query: &str, headers: &HeaderMap) -> String {
    let in_query = Pairs::query(query).get("requestId").map(str::to_owned);
    in_query.unwrap_or_else(|| text(headers, &HeaderName::from_static("x-request-id")))
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn troubled(trouble: Trouble, request: Request, next: Next) -> Response {
    match trouble {
        Trouble::Refuse { status, body } => {
            // The body is read so that a keep-alive connection stays usable, as behind a real gateway.
            let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            refusal(status, body)
        }
        Trouble::RefuseAfter { status, body } => {
            next.run(request).await;
            refusal(status, body)
        }
        Trouble::Delay(time) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Trouble::DelayAfter(time) => {
            let response = next.run(request).await;
            tokio::time::sleep(time).await;
            response
        }
        Trouble::Cut => cut(),
        Trouble::CutAfter => {
            next.run(request).await;
            cut()
        }
        Trouble::Hang => std::future::pending().await,
        Trouble::HangAfter => {
            next.run(request).await;
            std::future::pending().await
        }
    }
}

fn cut() -> Response {
    let mut response = StatusCode::BAD_GATEWAY.into_response();
    response.extensions_mut().insert(CutConnection);
    response
}

fn refusal(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if body.starts_with(['{', '"']) { "application/json" } else { "text/plain" };
    (status, [(header::CONTENT_TYPE, kind)], Body::from(body)).into_response()
}

fn classify(method: &Method, path: &str) -> Option<Route> {
    let route = match path {
        "/v2/streaming/hostname" => Route::Hostname,
        "/oauth/token" => Route::Token,
        _ if path.starts_with("/api/v2/statements") => Route::Statements,
        _ if path.ends_with(":bulk-channel-status") => Route::Status,
        _ if path.ends_with(":pipe-info") => Route::PipeInfo,
        _ if path.ends_with("/channels/ELASTIC/rows") => Route::ElasticAppend,
        _ if path.ends_with("/rows") && path.contains("/tables/") => Route::ElasticAppend,
        _ if path.ends_with("/rows") || path.ends_with("/filebuffer") => Route::Append,
        _ if path.contains("/channels/") && method == Method::PUT => Route::Open,
        _ if path.contains("/channels/") && method == Method::DELETE => Route::Drop,
        _ => return None,
    };
    Some(route)
}
