//! Where the local cloud listens and how to log in: the file that `local-cloud serve --endpoints FILE` writes.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rest::wait_for;
use crate::{Error, Result};

/// Addresses, names and keys of one local cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Kinesis and DynamoDB.
    pub aws_endpoint: String,
    /// Region that requests are signed for.
    pub aws_region: String,
    /// Access key.
    pub aws_access_key_id: String,
    /// Its secret.
    pub aws_secret_access_key: String,
    /// Snowflake, over TLS.
    pub snowflake_url: String,
    /// PEM file with the authority that signed Snowflake's certificate.
    pub snowflake_ca_file: String,
    /// Account identifier.
    pub snowflake_account: String,
    /// User with a key pair.
    pub snowflake_user: String,
    /// The user's role.
    pub snowflake_role: String,
    /// PEM file with the user's private key.
    pub snowflake_private_key_file: String,
    /// Page that shows what is going on.
    pub page_url: String,
}

impl Endpoints {
    /// Reads the file, waiting until the local cloud has written it.
    pub async fn read(file: &Path, limit: Duration) -> Result<Self> {
        wait_for(&format!("the local cloud's {}", file.display()), limit, || async {
            Ok(std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()))
        })
        .await
    }

    /// The text of the private key.
    pub fn private_key(&self) -> Result<String> {
        let file = &self.snowflake_private_key_file;
        std::fs::read_to_string(file).map_err(Error::io(format!("reading {file}")))
    }
}
