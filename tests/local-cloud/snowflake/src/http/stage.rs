//! File mode: what Snowflake's own clients do with large payloads. A file goes encrypted to a stage, here this server
//! itself, and its fragments are then registered with a channel like an append.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use axum::body::Body;
use axum::extract::{Path as Segments, RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::append::{admit, journaled};
use super::channels::ChannelSegments;
use super::{ApiError, target};
use crate::catalog::Path;
use crate::locks::lock;
use crate::server::Snowflake;
use crate::streaming::{Key, decode};

/// Name of the stage's bucket.
const BUCKET: &str = "local-stage";
/// Files that wait for their registration; above this, uploads are refused.
const MOST_BYTES: usize = 1 << 30;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Files on the stage, by path inside the bucket.
pub(crate) struct Stage {
    key: [u8; 32],
    files: Mutex<HashMap<String, Bytes>>,
}

impl Default for Stage {
    fn default() -> Self {
        Stage { key: rand::random(), files: Mutex::default() }
    }
}

impl Stage {
    /// The answer to `:pipe-info`: a key, and a stage behind `host` (with port).
    pub(super) fn pipe_info(&self, pipe: &Path, host: &str) -> Value {
        let stage = json!({
            "location_type": "S3",
            "location": BUCKET,
            "region": "us-west-2",
            "bucket_name": BUCKET,
            // Clients number their files from zero.
            "path_prefix": format!("{}/{}/", pipe.name, uuid::Uuid::new_v4()),
            "storage_endpoint": host,
            "url_override": null,
            "creds": {"AWS_KEY_ID": "local", "AWS_SECRET_KEY": "local", "AWS_TOKEN": "local"},
            "expiry_time_ms": chrono::Utc::now().timestamp_millis() + 3_600_000,
            "use_s3_regional_url": false,
        });
        json!({
            "status_code": 0,
            "message": "Success",
            "pipe_encryption_info": {
                "pipe_key": STANDARD.encode(self.key),
                "pipe_key_id": 1,
                "diversifier": "local",
                "encryption_version": "AES-CTR-128.1",
            },
            "rowset_stage_location": stage,
            "durable_stage_location": stage,
        })
    }

    /// The rows of one fragment, decrypted and decompressed.
    fn rows(&self, fragment: &Fragment) -> Result<Bytes, ApiError> {
        let wrong = |what: &str| {
            ApiError::bad_request("ERR_FILE_FRAGMENT", format!("{what}: {}", fragment.file_path))
        };
        let file = lock(&self.files).get(fragment.path()).cloned().ok_or_else(|| wrong("no such file"))?;
        let begin = fragment.fragment_start_byte_offset;
        let bytes = file
            .get(begin..begin + fragment.fragment_length_bytes)
            .ok_or_else(|| wrong("outside of the file"))?;
        let iv = STANDARD.decode(&fragment.iv_base64).ok().and_then(|iv| <[u8; 16]>::try_from(iv).ok());
        let iv = iv.ok_or_else(|| wrong("bad initialization vector"))?;
        let key = UnboundCipherKey::new(&AES_256, &self.key).and_then(DecryptingKey::ctr);
        let mut plain = bytes.to_vec();
        key.and_then(|key| {
            key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(iv))).map(|_| ())
        })
        .map_err(|_| wrong("cannot be decrypted"))?;
        let encoding = match plain.as_slice() {
            [a, b, c, d, ..] if [*a, *b, *c, *d] == ZSTD_MAGIC => "zstd",
            [a, b, ..] if [*a, *b] == GZIP_MAGIC => "gzip",
            _ => "",
        };
        decode(plain.into(), encoding).map_err(|_| wrong("cannot be decompressed"))
    }

    fn forget(&self, fragments: &[Fragment]) {
        let mut files = lock(&self.files);
        for fragment in fragments {
            files.remove(fragment.path());
        }
    }
}

/// A part of a staged file, as it is registered.
#[derive(Deserialize)]
struct Fragment {
    file_path: String,
    iv_base64: String,
    fragment_length_bytes: usize,
    #[serde(default)]
    fragment_start_byte_offset: usize,
    #[serde(default)]
    fragment_start_offset_token: Option<String>,
    #[serde(default)]
    fragment_end_offset_token: Option<String>,
}

impl Fragment {
    /// The path inside the bucket; some clients name the bucket as well.
    fn path(&self) -> &str {
        let path = self.file_path.trim_start_matches('/');
        path.strip_prefix(BUCKET).map_or(path, |inside| inside.trim_start_matches('/'))
    }
}

/// The data of a body in `aws-chunked` encoding: lines with the chunk's length, each followed by the chunk.
fn unchunked(body: &[u8]) -> Option<Bytes> {
    let mut data = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(data.into());
        }
        rest = &rest[end + 2..];
        data.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// `PUT /local-stage/…`, as S3 takes an object.
pub(super) async fn put(
    State(snowflake): State<Snowflake>,
    Segments(path): Segments<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let body = match encoding {
        Some(encoding) if encoding.contains("aws-chunked") => unchunked(&body)
            .ok_or_else(|| ApiError::bad_request("InvalidChunk", "The body is not aws-chunked."))?,
        _ => body,
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
    let etag: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut files = lock(&snowflake.stage().files);
    if files.values().map(Bytes::len).sum::<usize>() + body.len() > MOST_BYTES {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "The stage is full."));
    }
    files.insert(path, body);
    Ok((StatusCode::OK, [(header::ETAG, format!("\"{etag}\""))]).into_response())
}

/// `POST …/channels/{channel}/filebuffer`.
pub(super) async fn fragments(
    State(snowflake): State<Snowflake>,
    Segments((database, schema, pipe, name)): ChannelSegments,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = Key::new(target::pipe_path(&database, &schema, &pipe), &name);
    journaled(&snowflake, key, &name, query.as_deref(), async |key, entry| {
        let body = super::append::read(body, snowflake.options().limits.body_bytes).await?;
        entry.compressed = body.len();
        let arrival = admit(&snowflake, &headers, key, &name)?;
        // The file of a repetition is used up already.
        if let Some(token) = arrival.repeated(entry) {
            return Ok(token);
        }
        let list: Vec<Fragment> = serde_json::from_slice(&body).map_err(|error| {
            ApiError::bad_request("ERR_INVALID_REQUEST_BODY", format!("Not fragments: {error}"))
        })?;
        entry.start = list.first().and_then(|fragment| fragment.fragment_start_offset_token.clone());
        entry.end = list.last().and_then(|fragment| fragment.fragment_end_offset_token.clone());
        let account = snowflake.clone();
        let (list, rows) = tokio::task::spawn_blocking(move || {
            let parts: Result<Vec<Bytes>, ApiError> =
                list.iter().map(|part| account.stage().rows(part)).collect();
            parts.map(|parts| (list, Bytes::from(parts.concat())))
        })
        .await
        .map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "ERR_INTERNAL", "decoding failed"))??;
        let token = arrival.enqueue(entry, rows)?;
        snowflake.stage().forget(&list);
        Ok(token)
    })
    .await
}
