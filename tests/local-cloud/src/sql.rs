//! A small client of Snowflake's SQL API, with key-pair authentication.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData as _};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::endpoints::Endpoints;

/// Why a statement gave no result.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// A file named by the endpoints.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The key or the token made with it.
    #[error("private key: {0}")]
    Key(String),
    /// The way to the server.
    #[error("Snowflake: {0}")]
    Http(#[from] reqwest::Error),
    /// An answer that cannot be read.
    #[error("Snowflake's answer: {0}")]
    Answer(#[from] std::io::Error),
    /// Snowflake's refusal.
    #[error("{code}: {message}")]
    Refused {
        /// Snowflake's code.
        code: String,
        /// Snowflake's message.
        message: String,
    },
}

/// Columns and rows. `None` is NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// Values as text.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Runs one or several statements (separated by semicolons) and gives the result of the last.
///
/// # Errors
/// When the server cannot be reached or refuses the statement.
pub async fn query(endpoints: &Endpoints, statement: &str) -> Result<Table, SqlError> {
    let read = |path: &str| std::fs::read(path).map_err(|error| SqlError::File(path.to_owned(), error));
    let authority = reqwest::Certificate::from_pem(&read(&endpoints.snowflake_ca_file)?)?;
    let client = reqwest::Client::builder().add_root_certificate(authority).build()?;
    let token = token(endpoints, Path::new(&endpoints.snowflake_private_key_file))?;
    let body = json!({
        "statement": statement,
        "role": endpoints.snowflake_role,
        "warehouse": "COMPUTE_WH",
        "parameters": { "MULTI_STATEMENT_COUNT": "0" },
    });
    let url = format!("{}/api/v2/statements", endpoints.snowflake_url);
    let mut answer = call(client.post(&url).json(&body), &token).await?;
    let mut table = table(&answer);
    let handle = answer["statementHandle"].as_str().unwrap_or_default().to_owned();
    let partitions = answer["resultSetMetaData"]["partitionInfo"].as_array().map_or(0, Vec::len);
    for number in 1..partitions {
        answer = call(client.get(format!("{url}/{handle}?partition={number}")), &token).await?;
        table.rows.extend(rows(&answer));
    }
    Ok(table)
}

async fn call(request: RequestBuilder, token: &str) -> Result<Value, SqlError> {
    let request = request.bearer_auth(token).header("X-Snowflake-Authorization-Token-Type", "KEYPAIR_JWT");
    let answer =
        request.header("Accept", "application/json").header("User-Agent", "local-cloud").send().await?;
    let status = answer.status();
    let answer: Value =
        serde_json::from_slice(&plain(&answer.bytes().await?)?).map_err(std::io::Error::from)?;
    if !status.is_success() {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        return Err(SqlError::Refused { code: text("code"), message: text("message") });
    }
    Ok(answer)
}

/// The body of an answer as text: the partitions after the first come compressed whether that was asked for or not.
///
/// # Errors
/// When it is compressed and damaged.
pub fn plain(body: &[u8]) -> std::io::Result<Cow<'_, [u8]>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    if !body.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(body));
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(body).read_to_end(&mut plain)?;
    Ok(Cow::Owned(plain))
}

fn table(answer: &Value) -> Table {
    let names = array(&answer["resultSetMetaData"]["rowType"]);
    let name = |column: &Value| column["name"].as_str().unwrap_or_default().to_owned();
    Table { columns: names.iter().map(name).collect(), rows: rows(answer) }
}

fn rows(answer: &Value) -> Vec<Vec<Option<String>>> {
    let cell = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    array(&answer["data"]).iter().map(|row| array(row).iter().map(cell).collect()).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A key-pair token, valid for ten minutes.
fn token(endpoints: &Endpoints, key_file: &Path) -> Result<String, SqlError> {
    let name = key_file.to_string_lossy().into_owned();
    let pem = std::fs::read_to_string(key_file).map_err(|error| SqlError::File(name, error))?;
    let pair = KeyPair::from_pem(&pem).map_err(|error| SqlError::Key(error.to_string()))?;
    let fingerprint = STANDARD.encode(Sha256::digest(pair.subject_public_key_info()));
    let subject = format!("{}.{}", endpoints.snowflake_account, endpoints.snowflake_user).to_uppercase();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({
        "iss": format!("{subject}.SHA256:{fingerprint}"),
        "sub": subject,
        "iat": now,
        "exp": now + 600,
    });
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| SqlError::Key(error.to_string()))?;
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
        .map_err(|error| SqlError::Key(error.to_string()))
}

impl Table {
    /// The table for a terminal.
    #[must_use]
    pub fn render(&self) -> String {
        let shown = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
        let lines: Vec<Vec<String>> = std::iter::once(self.columns.clone())
            .chain(self.rows.iter().map(|row| row.iter().map(shown).collect()))
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                lines
                    .iter()
                    .filter_map(|line| line.get(at))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        for (at, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
            if at == 0 {
                out.push_str(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  "));
                out.push('\n');
            }
        }
        out.push_str(&format!("({} row{})\n", self.rows.len(), if self.rows.len() == 1 { "" } else { "s" }));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let table = Table {
            columns: vec!["ID".into(), "NAME".into()],
            rows: vec![vec![Some("1".into()), Some("Ann".into())], vec![Some("100".into()), None]],
        };
        assert_eq!(table.render(), "ID   NAME\n---  ----\n1    Ann\n100  NULL\n(2 rows)\n");
    }
}
