//! The HTTP face: routes, errors, and the layer that journals calls and injects faults.

mod error;
mod layer;
mod login;
mod query;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub(crate) use error::ApiError;

use crate::server::Snowflake;

pub(crate) fn router(snowflake: Snowflake) -> Router {
    Router::new()
        .route("/v2/streaming/hostname", get(login::hostname))
        .route("/oauth/token", post(login::token))
        .route("/telemetry/send/sessionless", post(login::telemetry))
        .layer(axum::middleware::from_fn_with_state(snowflake.clone(), layer::observe))
        .layer(DefaultBodyLimit::disable())
        .with_state(snowflake)
}
