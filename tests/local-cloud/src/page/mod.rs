//! A page that shows what happens: streams, leases, channels, rows arriving. Beside it, what programs can ask and do.

mod account;
mod control;
mod inspect;
mod state;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

pub(crate) use state::Sources;

const HTML: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Nothing from elsewhere, and nothing of this page elsewhere.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
);

pub(crate) fn router(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/", get(|| asset("text/html; charset=utf-8", HTML)))
        .route("/style.css", get(|| asset("text/css; charset=utf-8", STYLE)))
        .route("/script.js", get(|| asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/api/state", get(now))
        .merge(inspect::routes())
        .merge(control::routes())
        .with_state(sources)
}

/// Takes a sample of the totals each second, so that a page just opened has a history to show.
pub(crate) async fn watch(sources: Arc<Sources>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sources = Arc::clone(&sources);
        // The tables are locked by whoever writes to them.
        if tokio::task::spawn_blocking(move || sources.sample()).await.is_err() {
            return;
        }
    }
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache"), POLICY], text).into_response()
}

async fn now(State(sources): State<Arc<Sources>>) -> Response {
    // Reading rows runs SQL, which may wait for a writer.
    match tokio::task::spawn_blocking(move || sources.state()).await {
        Ok(state) => answer(&state),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// JSON that is not kept by anybody.
fn answer(value: &serde_json::Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, value.to_string()).into_response()
}
