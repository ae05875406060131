//! The HTTP face: routes, errors, and the layer that journals calls and injects faults.

mod append;
mod channels;
mod elastic;
mod error;
mod layer;
mod login;
mod query;
mod stage;
mod statements;
mod target;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};

pub(crate) use error::ApiError;
pub(crate) use stage::Stage;
pub(crate) use statements::Results;

use crate::server::Snowflake;

const CHANNEL: &str = "/v2/streaming/databases/{database}/schemas/{schema}/pipes/{pipe}/channels/{channel}";
const PIPE_VERB: &str = "/v2/streaming/databases/{database}/schemas/{schema}/pipes/{pipe_and_verb}";
const ROWS: &str =
    "/v2/streaming/data/databases/{database}/schemas/{schema}/pipes/{pipe}/channels/{channel}/rows";

const FRAGMENTS: &str =
    "/v2/streaming/data/databases/{database}/schemas/{schema}/pipes/{pipe}/channels/{channel}/filebuffer";
const ELASTIC_PIPE: &str =
    "/v2/streaming/data/databases/{database}/schemas/{schema}/pipes/{pipe}/channels/ELASTIC/rows";
const ELASTIC_TABLE: &str = "/v2/streaming/data/databases/{database}/schemas/{schema}/tables/{table}/rows";

pub(crate) fn router(snowflake: Snowflake) -> Router {
    Router::new()
        .route("/v2/streaming/hostname", get(login::hostname))
        .route("/oauth/token", post(login::token))
        .route("/telemetry/send/sessionless", post(login::telemetry))
        .route(CHANNEL, put(channels::open).delete(channels::drop))
        .route(PIPE_VERB, post(channels::pipe_verb))
        .route(ROWS, post(append::rows))
        .route(FRAGMENTS, post(stage::fragments))
        .route("/local-stage/{*path}", put(stage::put))
        .route(ELASTIC_PIPE, post(elastic::pipe_rows))
        .route(ELASTIC_TABLE, post(elastic::table_rows))
        .route("/api/v2/statements", post(statements::run))
        .route("/api/v2/statements/{handle}", get(statements::result))
        .route("/api/v2/statements/{handle}/cancel", post(statements::cancel))
        .layer(axum::middleware::from_fn_with_state(snowflake.clone(), layer::observe))
        .layer(DefaultBodyLimit::disable())
        .with_state(snowflake)
}
