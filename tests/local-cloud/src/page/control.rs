//! Troubles of the local Snowflake on demand, for test suites in any language.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use local_snowflake::{Fault, Route, Trouble};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer;
use super::inspect::refuse;
use super::state::Sources;

pub(super) fn routes() -> Router<Arc<Sources>> {
    Router::new()
        .route("/api/faults", get(faults).post(add).delete(clear))
        .route("/api/commits", post(commits))
        .route("/api/channels/invalidate", post(invalidate))
        .route("/api/tokens/expire", post(expire_tokens))
}

/// Kinds of trouble, as they are written.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Refuse,
    RefuseAfter,
    Delay,
    DelayAfter,
    Cut,
    CutAfter,
    Hang,
    HangAfter,
}

/// A fault as it is written. A misspelt field is refused: a fault that never strikes would pass for a success.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    route: Route,
    trouble: Kind,
    #[serde(default)]
    path_contains: String,
    #[serde(default)]
    skip: u32,
    /// Once when absent, always when null.
    #[serde(default = "once")]
    times: Option<u32>,
    status: Option<u16>,
    code: Option<String>,
    body: Option<String>,
    ms: Option<u64>,
}

#[allow(clippy::unnecessary_wraps, reason = "the default of a field that may be null")]
fn once() -> Option<u32> {
    Some(1)
}

impl Written {
    fn fault(self) -> Result<Fault, &'static str> {
        let answer = || {
            let status = self.status.ok_or("a refusal needs a status")?;
            if StatusCode::from_u16(status).is_err() {
                return Err("the status is none of HTTP's");
            }
            match (&self.body, &self.code) {
                (Some(body), None) => Ok((status, body.clone())),
                (None, Some(code)) => match Fault::refuse(status, code) {
                    Trouble::Refuse { status, body } => Ok((status, body)),
                    _ => Err("no refusal"),
                },
                _ => Err("a refusal needs a code, for the service's usual form, or a body, and not both"),
            }
        };
        let time = || self.ms.map(Duration::from_millis).ok_or("a delay needs its milliseconds: ms");
        let refusal = matches!(self.trouble, Kind::Refuse | Kind::RefuseAfter);
        if !refusal && (self.status.is_some() || self.code.is_some() || self.body.is_some()) {
            return Err("only a refusal has a status, a code or a body");
        }
        if !matches!(self.trouble, Kind::Delay | Kind::DelayAfter) && self.ms.is_some() {
            return Err("only a delay has ms");
        }
        let trouble = match self.trouble {
            Kind::Refuse => answer().map(|(status, body)| Trouble::Refuse { status, body })?,
            Kind::RefuseAfter => answer().map(|(status, body)| Trouble::RefuseAfter { status, body })?,
            Kind::Delay => Trouble::Delay(time()?),
            Kind::DelayAfter => Trouble::DelayAfter(time()?),
            Kind::Cut => Trouble::Cut,
            Kind::CutAfter => Trouble::CutAfter,
            Kind::Hang => Trouble::Hang,
            Kind::HangAfter => Trouble::HangAfter,
        };
        let Self { route, path_contains, skip, times, .. } = self;
        Ok(Fault { route, path_contains, skip, times, trouble })
    }
}

/// A fault of the plan, as it was written.
fn shown((fault, troubled): &(Fault, u32)) -> Value {
    let (kind, status, body, time) = match &fault.trouble {
        Trouble::Refuse { status, body } => (Kind::Refuse, Some(status), Some(body), None),
        Trouble::RefuseAfter { status, body } => (Kind::RefuseAfter, Some(status), Some(body), None),
        Trouble::Delay(time) => (Kind::Delay, None, None, Some(time)),
        Trouble::DelayAfter(time) => (Kind::DelayAfter, None, None, Some(time)),
        Trouble::Cut => (Kind::Cut, None, None, None),
        Trouble::CutAfter => (Kind::CutAfter, None, None, None),
        Trouble::Hang => (Kind::Hang, None, None, None),
        Trouble::HangAfter => (Kind::HangAfter, None, None, None),
    };
    let mut shown = json!({
        "route": fault.route,
        "trouble": kind,
        "path_contains": fault.path_contains,
        "skip": fault.skip,
        "times": fault.times,
        "troubled": troubled,
    });
    let ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    for (name, value) in [("status", json!(status)), ("body", json!(body)), ("ms", json!(ms))] {
        if !value.is_null() {
            shown[name] = value;
        }
    }
    shown
}

/// `GET /api/faults`: the plan, and how many calls each fault has troubled.
async fn faults(State(sources): State<Arc<Sources>>) -> Response {
    plan(&sources)
}

/// `POST /api/faults` with a fault as JSON.
async fn add(State(sources): State<Arc<Sources>>, Json(written): Json<Written>) -> Response {
    match written.fault() {
        Ok(fault) => {
            sources.snowflake.faults().add(fault);
            plan(&sources)
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, why),
    }
}

/// `DELETE /api/faults`: ends them all.
async fn clear(State(sources): State<Arc<Sources>>) -> Response {
    sources.snowflake.faults().clear();
    plan(&sources)
}

fn plan(sources: &Sources) -> Response {
    answer(&json!({ "faults": sources.snowflake.faults().plan().iter().map(shown).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commits {
    paused: Option<bool>,
    delay_ms: Option<u64>,
}

/// `POST /api/commits?paused=true|false&delay_ms=N`: appends are accepted and their rows stored later, or not at all.
async fn commits(State(sources): State<Arc<Sources>>, Query(wanted): Query<Commits>) -> Response {
    match wanted.paused {
        Some(true) => sources.snowflake.pause_commits(),
        Some(false) => sources.snowflake.resume_commits(),
        None => {}
    }
    if let Some(ms) = wanted.delay_ms {
        sources.snowflake.set_commit_delay(Duration::from_millis(ms));
    }
    answer(&json!({ "ok": true }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    pipe: String,
    channel: String,
    #[serde(default = "invalidated")]
    code: String,
}

fn invalidated() -> String {
    "ERR_CHANNEL_INVALIDATED".to_owned()
}

/// `POST /api/channels/invalidate?pipe=DB.SCHEMA.PIPE&channel=NAME[&code=CODE]`: its uncommitted rows are lost, and it
/// must be opened again.
async fn invalidate(State(sources): State<Arc<Sources>>, Query(broken): Query<Broken>) -> Response {
    let snowflake = sources.snowflake.clone();
    let work = move || snowflake.invalidate_channel(&broken.pipe, &broken.channel, &broken.code);
    match tokio::task::spawn_blocking(work).await {
        Ok(true) => answer(&json!({ "ok": true })),
        Ok(false) => refuse(StatusCode::NOT_FOUND, "no such channel; write the pipe as SQL does"),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `POST /api/tokens/expire`: every token handed out so far is refused from now on.
async fn expire_tokens(State(sources): State<Arc<Sources>>) -> Response {
    sources.snowflake.expire_tokens();
    answer(&json!({ "ok": true }))
}
