//! The SQL API: `POST /api/v2/statements` and the result of a statement by its handle.
//!
//! Statements run to their end within the request; a handle can be asked again while it is remembered. The first partition
//! comes with the answer, the others are asked for by number, hold nothing but rows and come compressed:
//! <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses#retrieving-additional-partitions>.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path as Segments, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiError;
use super::login::{bearer, require_accept};
use super::query::Pairs;
use crate::auth::Session;
use crate::catalog::{DataType, Zone};
use crate::locks::lock;
use crate::names;
use crate::server::Snowflake;
use crate::sql::{self, Answer, SqlError, SqlSession};

/// Results that can be asked for again.
const REMEMBERED: usize = 100;

/// Results by statement handle, newest last.
#[derive(Default)]
pub(crate) struct Results {
    newest: Mutex<VecDeque<(String, Arc<Kept>)>>,
}

/// A result: the answer with the first partition, and the rows of the others.
struct Kept {
    answer: Value,
    others: Vec<Vec<Vec<Option<String>>>>,
}

impl Results {
    fn put(&self, handle: String, result: Arc<Kept>) {
        let mut newest = lock(&self.newest);
        newest.push_back((handle, result));
        if newest.len() > REMEMBERED {
            newest.pop_front();
        }
    }

    fn get(&self, handle: &str) -> Option<Arc<Kept>> {
        lock(&self.newest).iter().find(|(known, _)| known == handle).map(|(_, result)| Arc::clone(result))
    }
}

#[derive(Deserialize)]
struct Request {
    statement: String,
    database: Option<String>,
    schema: Option<String>,
    role: Option<String>,
    warehouse: Option<String>,
}

/// `POST /api/v2/statements`.
pub(super) async fn run(
    State(snowflake): State<Snowflake>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let login = session(&snowflake, &headers)?;
    let request: Request = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad_request("391920", format!("Unable to parse the request body: {error}"))
    })?;
    let role = request.role.as_deref().map_or(login.role.clone(), names::resolve);
    if !snowflake.account().catalog().user_has_role(&login.user, &role) {
        let message = format!("Role '{role}' specified in the request is not granted to this user.");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "390189", message));
    }
    let mut context = SqlSession::new(&login.user, &role);
    context.database = request.database.as_deref().map(names::resolve);
    let catalog = snowflake.account().catalog();
    // The API takes a warehouse by its exact name.
    let default = catalog.users.get(&login.user).and_then(|user| user.default_warehouse.clone());
    context.warehouse = request.warehouse.clone().or(default);
    context.needs_warehouse = true;
    context.schema = request.schema.as_deref().map(names::resolve);
    let account = snowflake.account().clone();
    let statement = request.statement;
    let answer = tokio::task::spawn_blocking(move || sql::run(&account, &mut context, &statement)).await;
    let answer =
        answer.map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "000603", "Internal error"))?;
    let handle = uuid::Uuid::new_v4().to_string();
    match answer {
        Ok(answer) => {
            let result = Arc::new(encode(&answer, &handle, snowflake.options().partition_rows));
            snowflake.results().put(handle, Arc::clone(&result));
            Ok(Json(&result.answer).into_response())
        }
        Err(error) => Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(failure(&error, &handle))).into_response()),
    }
}

/// `GET /api/v2/statements/{handle}`, with `?partition=` for one of the further partitions.
pub(super) async fn result(
    State(snowflake): State<Snowflake>,
    Segments(handle): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    session(&snowflake, &headers)?;
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "391918", "Statement handle is not known.");
    let result = snowflake.results().get(&handle).ok_or_else(missing)?;
    let number = match Pairs::query(&query.unwrap_or_default()).get("partition").map(str::parse::<usize>) {
        None | Some(Ok(0)) => return Ok(Json(&result.answer).into_response()),
        Some(Ok(number)) => number,
        Some(Err(_)) => return Err(ApiError::bad_request("391911", "Invalid partition number.")),
    };
    let no_such = || ApiError::bad_request("391911", format!("There is no partition {number}."));
    let rows = result.others.get(number - 1).ok_or_else(no_such)?;
    let failed = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "000603", "Internal error");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!({ "data": rows }).to_string().as_bytes()).map_err(failed)?;
    let body = gzip.finish().map_err(failed)?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
    Ok((headers, body).into_response())
}

/// `POST /api/v2/statements/{handle}/cancel`: everything has ended already.
pub(super) async fn cancel(
    State(snowflake): State<Snowflake>,
    Segments(handle): Segments<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    session(&snowflake, &headers)?;
    Ok(Json(json!({"code": "000604", "message": "successfully canceled", "statementHandle": handle})))
}

/// A key-pair JWT, or a token that the streaming API takes.
fn session(snowflake: &Snowflake, headers: &HeaderMap) -> Result<Session, ApiError> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(ApiError::bad_request("391903", "User-Agent header is missing."));
    }
    require_accept(headers)?;
    let token = bearer(headers)?;
    Ok(snowflake.session(token).or_else(|_| snowflake.login(token))?)
}

fn failure(error: &SqlError, handle: &str) -> Value {
    json!({
        "code": error.code,
        "message": error.message,
        "sqlState": error.state,
        "statementHandle": handle,
    })
}

fn encode(answer: &Answer, handle: &str, partition_rows: usize) -> Kept {
    let rows = answer.api_rows();
    let count = rows.len();
    let mut partitions: VecDeque<Vec<_>> =
        rows.chunks(partition_rows.max(1)).map(<[Vec<Option<String>>]>::to_vec).collect();
    let size = |rows: &Vec<Vec<Option<String>>>| json!(rows).to_string().len();
    let mut info: Vec<Value> = partitions
        .iter()
        .map(|rows| json!({"rowCount": rows.len(), "uncompressedSize": size(rows)}))
        .collect();
    let first = partitions.pop_front().unwrap_or_default();
    if info.is_empty() {
        info.push(json!({"rowCount": 0, "uncompressedSize": size(&first)}));
    }
    let url = format!("/api/v2/statements/{handle}");
    let answer = json!({
        "resultSetMetaData": {
            "numRows": count,
            "format": "jsonv2",
            "partitionInfo": info,
            "rowType": answer.columns.iter().map(|(name, data_type)| row_type(name, data_type)).collect::<Vec<_>>(),
        },
        "data": first,
        "code": "090001",
        "statementStatusUrl": url,
        "requestId": handle,
        "sqlState": "00000",
        "statementHandle": handle,
        "message": "Statement executed successfully.",
        "createdOn": chrono::Utc::now().timestamp_millis(),
    });
    Kept { answer, others: partitions.into() }
}

fn row_type(name: &str, data_type: &DataType) -> Value {
    let (precision, scale, length) = match data_type {
        DataType::Number { precision, scale } => (Some(u32::from(*precision)), Some(u32::from(*scale)), None),
        DataType::Time(digits) | DataType::Timestamp(Zone::None | Zone::Local | Zone::Stored, digits) => {
            (Some(0), Some(u32::from(*digits)), None)
        }
        DataType::Varchar(length) | DataType::Binary(length) => (None, None, Some(*length)),
        _ => (None, None, None),
    };
    json!({
        "name": name,
        "database": "",
        "schema": "",
        "table": "",
        "nullable": true,
        "type": data_type.api_name(),
        "precision": precision,
        "scale": scale,
        "length": length,
        "byteLength": length.map(|length| u64::from(length) * 4),
        "collation": null,
    })
}
