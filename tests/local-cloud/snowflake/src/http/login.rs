//! Hostname discovery and the token exchange.

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};

use super::ApiError;
use super::query::Pairs;
use crate::auth::Session;
use crate::server::Snowflake;

pub(crate) const TOKEN_TYPE: HeaderName = HeaderName::from_static("x-snowflake-authorization-token-type");
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// `GET /v2/streaming/hostname`: the ingest host as bare text.
pub(crate) async fn hostname(
    State(snowflake): State<Snowflake>,
    headers: HeaderMap,
) -> Result<String, ApiError> {
    let token = bearer(&headers)?;
    if !snowflake.account().sessions.is_access_token(token) && snowflake.session(token).is_err() {
        snowflake.login(token)?;
    }
    Ok(bare_or_json(&snowflake, "hostname", snowflake.options().ingest_host.clone()))
}

fn bare_or_json(snowflake: &Snowflake, name: &str, text: String) -> String {
    if snowflake.options().quirks.json_login { json!({ name: text }).to_string() } else { text }
}

/// `POST /oauth/token`: a token for the ingest host as bare text.
pub(crate) async fn token(
    State(snowflake): State<Snowflake>,
    headers: HeaderMap,
    body: String,
) -> Result<String, ApiError> {
    let form = Pairs::form(&body);
    let jwt = match form.get("assertion") {
        Some(assertion) => assertion,
        None => bearer(&headers)?,
    };
    if form.get("grant_type") != Some(JWT_BEARER) {
        return Err(ApiError::bad_request(
            "unsupported_grant_type",
            "grant_type must be the JWT bearer grant",
        ));
    }
    let session = snowflake.login(jwt)?;
    let host = &snowflake.options().ingest_host;
    let scope = form.get("scope").unwrap_or(host);
    if !scope.eq_ignore_ascii_case(&host.replace('_', "-")) {
        return Err(ApiError::bad_request("invalid_scope", "scope is not an ingest host of this account"));
    }
    Ok(bare_or_json(&snowflake, "token", snowflake.issue_token(session, scope)?))
}

/// `POST /telemetry/send/sessionless`: Snowflake's own client reports here; accepted and forgotten.
pub(crate) async fn telemetry() -> Json<Value> {
    Json(json!({"success": true, "code": null, "message": null, "data": "Log Received"}))
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, "390101", "Authorization header not found."))
}

/// The session of a call to the ingest host.
pub(crate) fn ingest_session(snowflake: &Snowflake, headers: &HeaderMap) -> Result<Session, ApiError> {
    require_accept(headers)?;
    Ok(snowflake.session(bearer(headers)?)?)
}

/// Snowflake refuses requests without an `Accept` header that admits JSON.
pub(crate) fn require_accept(headers: &HeaderMap) -> Result<(), ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match accept {
        Some(accept) if accept.contains("json") || accept.contains('*') => Ok(()),
        other => Err(ApiError::new(
            StatusCode::NOT_ACCEPTABLE,
            "391902",
            format!("Unsupported Accept header {} is specified.", other.unwrap_or("null")),
        )),
    }
}
