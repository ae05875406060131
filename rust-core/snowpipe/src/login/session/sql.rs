//! The SQL API: <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses>.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;

use super::{CALL_TIMEOUT, Login, join, reason};
use crate::machine::{Fault, FaultClass};
use crate::names::encode;

/// Longest answer that is read, as it comes and decompressed.
const LONGEST: u64 = 32 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Login {
    /// Runs a statement, which the login token is enough for.
    ///
    /// # Errors
    /// A fault with what the service said.
    pub(crate) async fn statement(&self, statement: &str, warehouse: Option<&str>) -> Result<String, Fault> {
        let mut body = serde_json::json!({ "statement": statement, "timeout": CALL_TIMEOUT.as_secs() });
        if let Some(role) = self.role() {
            body["role"] = role.into();
        }
        if let Some(warehouse) = warehouse {
            body["warehouse"] = warehouse.into();
        }
        self.call_sql(self.client.post(join(&self.control, "api/v2/statements")).json(&body)).await
    }

    /// A further partition of the answer to a statement; the first one is 0 and comes with the answer.
    ///
    /// # Errors
    /// A fault with what the service said.
    pub(crate) async fn partition(&self, handle: &str, number: usize) -> Result<String, Fault> {
        let mut url = join(&self.control, &format!("api/v2/statements/{}", encode(handle)));
        url.set_query(Some(&format!("partition={number}")));
        self.call_sql(self.client.get(url)).await
    }

    async fn call_sql(&self, request: RequestBuilder) -> Result<String, Fault> {
        let token = self.login_token(&mut *self.state.lock().await)?;
        let mut request = request
            .bearer_auth(token.expose_secret())
            .header("Accept", "application/json")
            .timeout(CALL_TIMEOUT);
        if let Some(token_type) = self.identity.token_type() {
            request = request.header("X-Snowflake-Authorization-Token-Type", token_type);
        }
        let mut response = request.send().await.map_err(|error| self.transport(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.transport(&error))? {
            if (body.len() + bytes.len()) as u64 > LONGEST {
                return Err(too_long());
            }
            body.extend_from_slice(&bytes);
        }
        let text = text(body)?;
        if status.is_success() {
            return Ok(text);
        }
        let detail = format!("HTTP {}{}", status.as_u16(), reason(&text));
        let class = match status {
            StatusCode::TOO_MANY_REQUESTS => FaultClass::Throttled,
            StatusCode::REQUEST_TIMEOUT => FaultClass::Transient,
            _ if status.is_server_error() => FaultClass::Transient,
            _ => FaultClass::Rejected,
        };
        Err(Fault { class, detail, retry_after: None })
    }
}

/// Further partitions come compressed whether that was asked for or not.
fn text(body: Vec<u8>) -> Result<String, Fault> {
    if !body.starts_with(&GZIP) {
        return Ok(String::from_utf8_lossy(&body).into_owned());
    }
    let mut text = String::new();
    let read = MultiGzDecoder::new(body.as_slice()).take(LONGEST + 1).read_to_string(&mut text);
    match read {
        Ok(_) if text.len() as u64 > LONGEST => Err(too_long()),
        Ok(_) => Ok(text),
        Err(_) => {
            let detail = "the answer of the SQL API cannot be decompressed".to_owned();
            Err(Fault { class: FaultClass::Transient, detail, retry_after: None })
        }
    }
}

/// Asking again brings no less.
fn too_long() -> Fault {
    let detail = format!("the answer of the SQL API has more than {} MB", LONGEST >> 20);
    Fault { class: FaultClass::Rejected, detail, retry_after: None }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn answers_are_decompressed_within_bounds() {
        assert_eq!(text(b"{}".to_vec()).unwrap(), "{}");
        assert_eq!(text(zipped(b"{\"data\":[]}")).unwrap(), "{\"data\":[]}");
        let cut = &zipped(b"{\"data\":[]}")[..12];
        assert_eq!(text(cut.to_vec()).unwrap_err().class, FaultClass::Transient);
        let bomb = zipped(&vec![b' '; usize::try_from(LONGEST).unwrap() + 2]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(text(bomb).unwrap_err().class, FaultClass::Rejected);
    }
}
