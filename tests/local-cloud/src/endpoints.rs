//! The file that tells other programs where everything is.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Addresses and credentials of a local cloud.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Endpoints {
    /// Kinesis and DynamoDB.
    pub aws_endpoint: String,
    /// Region.
    pub aws_region: String,
    /// Access key id.
    pub aws_access_key_id: String,
    /// Secret access key.
    pub aws_secret_access_key: String,
    /// Snowflake.
    pub snowflake_url: String,
    /// Certificate of the authority that signed Snowflake's.
    pub snowflake_ca_file: String,
    /// Account identifier.
    pub snowflake_account: String,
    /// User.
    pub snowflake_user: String,
    /// Role.
    pub snowflake_role: String,
    /// The user's private key.
    pub snowflake_private_key_file: String,
    /// Page that shows what happens.
    pub page_url: String,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("aws_endpoint", &self.aws_endpoint)
            .field("snowflake_url", &self.snowflake_url)
            .field("page_url", &self.page_url)
            .finish_non_exhaustive()
    }
}

impl Endpoints {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or is not what [`Endpoints::write`] writes.
    pub fn read(path: &Path) -> io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::from)
    }

    /// Writes the file in one step: a reader sees all of it or none.
    ///
    /// # Errors
    /// When the file or its folder cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}
