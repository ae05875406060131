//! `ListShards`: filters and paging.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Kinesis;
use super::describe::shard_json;
use super::request::{StreamRef, check_range, millis};
use super::shard::{Shard, shard_index};
use super::stream::{State, Stream};
use crate::aws::AwsError;
use crate::sync::read;

/// How long a page token may be used, as on AWS.
const TOKEN_LIFE_MS: i64 = 300_000;
const DEFAULT_PAGE: i64 = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListShards {
    #[serde(flatten)]
    stream: StreamRef,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<i64>,
    stream_creation_timestamp: Option<f64>,
    shard_filter: Option<Filter>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    #[serde(rename = "Type")]
    kind: String,
    shard_id: Option<String>,
    timestamp: Option<f64>,
}

/// What a page token carries: the listing and the last shard given.
#[derive(Deserialize, Serialize)]
struct Token {
    stream: String,
    created_ms: i64,
    after: u32,
    filter: Option<Filter>,
    issued_ms: i64,
}

impl Token {
    fn encode(&self) -> Result<String, AwsError> {
        let json =
            serde_json::to_vec(self).map_err(|_| AwsError::new("InternalFailure", "").with_status(500))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// The stream, the shard the listing begins after, and the filter.
type Listing = (Arc<Stream>, Option<u32>, Option<Filter>);

/// The stream a page token belongs to, for the access check.
pub(crate) fn stream_of_token(token: &str) -> Option<String> {
    Token::decode(token).map(|token| token.stream)
}

impl Kinesis {
    pub(super) fn list_shards(&self, request: &ListShards) -> Result<Value, AwsError> {
        let max = request.max_results.unwrap_or(DEFAULT_PAGE);
        check_range(max, "maxResults", 1, 10_000)?;
        let now_ms = self.now_ms();
        let (stream, after, filter) = match &request.next_token {
            Some(token) => self.continued(request, token, now_ms)?,
            None => self.begun(request)?,
        };
        let state = read(&stream.state);
        let first = after.map_or(0, |index| index.saturating_add(1));
        let mut shards = Vec::new();
        for (_, shard) in state.shards.range(first..) {
            if admitted(&state, shard, filter.as_ref(), stream.created_ms, now_ms)? {
                shards.push(Arc::clone(shard));
            }
        }
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let more = shards.len() > max;
        shards.truncate(max);
        let mut out = json!({ "Shards": shards.iter().map(|shard| shard_json(shard)).collect::<Vec<_>>() });
        if let (true, Some(last)) = (more, shards.last()) {
            let token = Token {
                stream: stream.name.clone(),
                created_ms: stream.created_ms,
                after: last.index,
                filter,
                issued_ms: now_ms,
            };
            out["NextToken"] = token.encode()?.into();
        }
        Ok(out)
    }

    fn begun(&self, request: &ListShards) -> Result<Listing, AwsError> {
        let stream = self.stream(&request.stream)?;
        if request.stream_creation_timestamp.is_some_and(|at| millis(at) / 1000 != stream.created_ms / 1000) {
            return Err(self.no_stream(&stream.name));
        }
        let after =
            match &request.exclusive_start_shard_id {
                Some(id) => Some(shard_index(id).ok_or_else(|| {
                    AwsError::invalid_argument(format!("Invalid ExclusiveStartShardId {id}."))
                })?),
                None => None,
            };
        Ok((stream, after, request.shard_filter.clone()))
    }

    fn continued(&self, request: &ListShards, token: &str, now_ms: i64) -> Result<Listing, AwsError> {
        if !request.stream.is_empty()
            || request.exclusive_start_shard_id.is_some()
            || request.stream_creation_timestamp.is_some()
        {
            return Err(AwsError::invalid_argument("NextToken and StreamName cannot be provided together."));
        }
        let token = Token::decode(token).ok_or_else(|| AwsError::invalid_argument("Invalid NextToken."))?;
        if now_ms - token.issued_ms > TOKEN_LIFE_MS {
            return Err(AwsError::new("ExpiredNextTokenException", "The NextToken has expired."));
        }
        let stream = self.stream_named(&token.stream)?;
        if stream.created_ms != token.created_ms {
            return Err(self.no_stream(&token.stream));
        }
        Ok((stream, Some(token.after), token.filter))
    }
}

/// Whether a shard passes the filter.
fn admitted(
    state: &State,
    shard: &Shard,
    filter: Option<&Filter>,
    stream_created_ms: i64,
    now_ms: i64,
) -> Result<bool, AwsError> {
    let Some(filter) = filter else { return Ok(true) };
    let closed_ms = shard.closed().map(|closed| closed.at_ms);
    let alive_from = |ms: i64| closed_ms.is_none_or(|closed| closed >= ms);
    // Shards made with the stream count as there from its beginning on.
    let made_by = |ms: i64| shard.parent.is_none() || shard.created_ms <= ms;
    let horizon_ms = state.horizon_ms(now_ms).max(stream_created_ms);
    let timestamp = || {
        filter.timestamp.map(millis).ok_or_else(|| {
            AwsError::invalid_argument(format!(
                "Timestamp is required for a shard filter of type {}.",
                filter.kind
            ))
        })
    };
    Ok(match filter.kind.as_str() {
        "AFTER_SHARD_ID" => {
            let id = filter.shard_id.as_deref().and_then(shard_index);
            shard.index
                > id.ok_or_else(|| {
                    AwsError::invalid_argument(
                        "ShardId is required for a shard filter of type AFTER_SHARD_ID.",
                    )
                })?
        }
        "AT_LATEST" => closed_ms.is_none(),
        "FROM_TRIM_HORIZON" => alive_from(horizon_ms),
        "AT_TRIM_HORIZON" => alive_from(horizon_ms) && made_by(horizon_ms),
        "FROM_TIMESTAMP" => alive_from(timestamp()?),
        "AT_TIMESTAMP" => {
            let at = timestamp()?;
            alive_from(at) && made_by(at)
        }
        other => {
            return Err(AwsError::constraint(
                other,
                "shardFilter.type",
                "satisfy enum value set: [AT_TRIM_HORIZON, FROM_TIMESTAMP, AFTER_SHARD_ID, AT_TIMESTAMP, FROM_TRIM_HORIZON, AT_LATEST]",
            ));
        }
    })
}
