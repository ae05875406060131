//! The floor of publishing: ready rows, compressed and posted, one request of a channel at a time, the next body being
//! compressed meanwhile. No cutting at rows, no tokens of rows, no waiting for commits.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use super::Outcome;
use super::usage::{Usage, print};

/// Access token that the local cloud of the bench accepts without an exchange.
pub const TOKEN: &str = "bench-floor";

/// Options of `post`.
#[derive(Args, Clone)]
pub struct Options {
    /// Address of Snowflake.
    #[arg(long)]
    url: String,
    /// File with the authority of its certificate.
    #[arg(long)]
    authority: PathBuf,
    /// `/v2/streaming/…` path of the pipe without its beginning: `databases/D/schemas/S/pipes/P`.
    #[arg(long)]
    pipe: String,
    /// Channels, all at once.
    #[arg(long)]
    channels: u32,
    /// File with the rows that are posted again and again.
    #[arg(long)]
    rows: PathBuf,
    /// Bytes of a body before compression.
    #[arg(long, default_value_t = 6 << 20)]
    body_bytes: usize,
    /// Level of zstd.
    #[arg(long, default_value_t = 1)]
    level: i32,
    /// How long.
    #[arg(long)]
    seconds: f64,
}

/// Posts for a while and prints what it took.
pub async fn run(options: Options) -> Outcome<()> {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(&options.authority)?)?;
    let http = Client::builder().add_root_certificate(authority).no_proxy().http1_only().build()?;
    let rows = Bytes::from(std::fs::read(&options.rows)?);
    let bodies = bodies(&rows, options.body_bytes);
    let run = std::process::id();
    let mut channels = Vec::new();
    for index in 0..options.channels {
        let url = format!("channels/floor-{run}-{index}");
        let open = http.put(format!("{}/v2/streaming/{}/{url}", options.url, options.pipe));
        let opened = answer(open.json(&json!({}))).await?;
        channels.push((
            format!("{}/v2/streaming/data/{}/{url}/rows", options.url, options.pipe),
            token(&opened)?,
        ));
    }
    let usage = Usage::begin()?;
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let loops: Vec<_> = channels
        .into_iter()
        .map(|(url, token)| {
            tokio::spawn(publish(http.clone(), url, token, bodies.clone(), options.level, until))
        })
        .collect();
    let (mut posted, mut bytes) = (0, 0);
    for one in loops {
        let (bodies, raw) = one.await??;
        posted += bodies;
        bytes += raw;
    }
    print(&usage.end(posted, bytes)?)
}

/// Whole rows of about `size` bytes each.
fn bodies(rows: &Bytes, size: usize) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    let mut rest = rows.clone();
    while rest.len() > size {
        let end = rest[..size].iter().rposition(|byte| *byte == b'\n').map_or(size, |at| at + 1);
        bodies.push(rest.split_to(end));
    }
    if bodies.is_empty() {
        bodies.push(rest);
    }
    bodies
}

async fn publish(
    http: Client,
    url: String,
    mut token: String,
    bodies: Vec<Bytes>,
    level: i32,
    until: Instant,
) -> Outcome<(u64, u64)> {
    let (mut posted, mut bytes) = (0, 0);
    let compress = |number: usize| {
        let raw = bodies[number % bodies.len()].clone();
        async move {
            let size = raw.len();
            let packed = tokio::task::spawn_blocking(move || zstd::encode_all(&raw[..], level)).await??;
            Outcome::Ok((packed, size))
        }
    };
    let mut ready = compress(0).await?;
    for number in 1.. {
        let (packed, size) = ready;
        let request = http.post(&url).query(&[
            ("continuationToken", token.as_str()),
            ("startOffsetToken", &posted.to_string()),
            ("endOffsetToken", &posted.to_string()),
            ("requestId", &format!("{number}")),
        ]);
        let request = request
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "zstd")
            .header("x-snowflake-uncompressed-content-length", size)
            .body(packed);
        let (answered, next) = tokio::join!(answer(request), compress(number));
        token = self::token(&answered?)?;
        ready = next?;
        posted += 1;
        bytes += u64::try_from(size)?;
        if Instant::now() >= until {
            break;
        }
    }
    Ok((posted, bytes))
}

async fn answer(request: RequestBuilder) -> Outcome<Value> {
    let request = request.header("accept", "application/json").bearer_auth(TOKEN);
    let answer =
        request.header("x-snowflake-authorization-token-type", "PROGRAMMATIC_ACCESS_TOKEN").send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body)?)
}

fn token(answer: &Value) -> Outcome<String> {
    let token = answer.get("next_continuation_token").and_then(Value::as_str);
    Ok(token.ok_or("an answer without a continuation token")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_with_rows() {
        let rows = Bytes::from_static(b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
        let bodies = bodies(&rows, 20);
        assert!(!bodies.is_empty());
        assert!(bodies.iter().all(|body| body.ends_with(b"}\n") && body.len() <= 20));
    }
}
