//! Requests, errors and polling.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result};

/// How long NiFi may take for what it does asynchronously (parameter updates, services, listings).
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(60);
const POLL_PAUSE: Duration = Duration::from_millis(150);
/// Longest part of an error answer that is shown, in characters.
const SHOWN_BODY: usize = 2000;

/// A client of one NiFi's REST API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RestClient {
    base: String,
    http: reqwest::Client,
}

impl RestClient {
    /// A client of the NiFi at `address`, `http://host:port`.
    pub fn new(address: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(|source| Error::Http { what: "setting up the HTTP client".to_owned(), source })?;
        Ok(Self { base: format!("{}/nifi-api", address.trim_end_matches('/')), http })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.send(Method::GET, path, |request| request).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.send(Method::POST, path, |request| request.json(body)).await
    }

    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.send(Method::PUT, path, |request| request.json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value> {
        self.send(Method::DELETE, path, |request| request).await
    }

    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        shape: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<T> {
        let what = format!("{method} /nifi-api{path}");
        let body = self.fetch(method, path, shape).await?;
        let body = if body.is_empty() { b"null".as_slice() } else { &body };
        serde_json::from_slice(body)
            .map_err(|error| Error::Unexpected(format!("{what}: the answer is not as expected: {error}")))
    }

    /// The body of a successful answer, whatever its type.
    pub(super) async fn fetch(
        &self,
        method: Method,
        path: &str,
        shape: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>> {
        let what = format!("{method} /nifi-api{path}");
        let failed = |source| Error::Http { what: what.clone(), source };
        let request = shape(self.http.request(method, format!("{}{path}", self.base)));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.bytes().await.map_err(failed)?;
        if !status.is_success() {
            let body = String::from_utf8_lossy(&body).chars().take(SHOWN_BODY).collect();
            return Err(Error::Refused { what, status: status.as_u16(), body });
        }
        Ok(body.into())
    }

    /// Asks again and again until `done` finds what it wants in the answer.
    pub(super) async fn poll<T>(
        &self,
        path: &str,
        what: &str,
        done: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        wait_for(what, REQUEST_LIMIT, || async {
            let answer: Value = self.get(path).await?;
            Ok(done(&answer))
        })
        .await
    }
}

/// Calls `probe` until it finds something, at most for `limit`.
pub async fn wait_for<T, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout { what: what.to_owned(), limit, detail: String::new() });
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

/// The text at `pointer`, or an error that names what is missing.
pub(super) fn text(value: &Value, pointer: &str) -> Result<String> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::Unexpected(format!("NiFi's answer has no text at {pointer}")))
}

/// The part at `pointer`, typed.
pub(super) fn part<T: DeserializeOwned>(value: &Value, pointer: &str) -> Result<T> {
    let part = value
        .pointer(pointer)
        .ok_or_else(|| Error::Unexpected(format!("NiFi's answer has nothing at {pointer}")))?;
    T::deserialize(part)
        .map_err(|error| Error::Unexpected(format!("NiFi's answer at {pointer} is not as expected: {error}")))
}

/// The components of the entities in the list at `pointer`, typed.
pub(super) fn components<T: DeserializeOwned>(value: &Value, pointer: &str) -> Result<Vec<T>> {
    let entities: Vec<Value> = part(value, pointer)?;
    entities.iter().map(|entity| part(entity, "/component")).collect()
}
