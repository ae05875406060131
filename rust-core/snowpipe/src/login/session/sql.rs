//! The SQL API: <https://docs.snowflake.com/en/developer-guide/sql-api/handling-responses>.

use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;

use super::{CALL_TIMEOUT, Login, join, reason};
use crate::inflate::Inflate;
use crate::machine::{Fault, FaultClass};
use crate::names::encode;

/// Longest answer that is read, as it comes and decompressed.
const LONGEST: usize = 32 << 20;

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
            if body.len() + bytes.len() > LONGEST {
                return Err(too_long());
            }
            body.extend_from_slice(&bytes);
        }
        let text = text(&body)?;
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
fn text(body: &[u8]) -> Result<String, Fault> {
    let (mut text, mut is_long) = (Vec::new(), false);
    let mut take = |piece: &[u8]| {
        is_long = text.len() + piece.len() > LONGEST;
        if is_long {
            return Err("too long".to_owned());
        }
        text.extend_from_slice(piece);
        Ok(())
    };
    let mut inflate = Inflate::default();
    match inflate.write(body, &mut take).and_then(|()| inflate.finish(&mut take)) {
        Ok(()) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(_) if is_long => Err(too_long()),
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
        assert_eq!(text(b"{}").unwrap(), "{}");
        assert_eq!(text(&zipped(b"{\"data\":[]}")).unwrap(), "{\"data\":[]}");
        let cut = &zipped(b"{\"data\":[]}")[..12];
        assert_eq!(text(cut).unwrap_err().class, FaultClass::Transient);
        let bomb = zipped(&vec![b' '; LONGEST + 2]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(text(&bomb).unwrap_err().class, FaultClass::Rejected);
    }
}
