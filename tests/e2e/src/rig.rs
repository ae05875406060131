//! A local cloud with one stream and one table, and the settings of a connector for them.

use std::collections::BTreeMap;

use local_cloud::{LocalCloud, Options};

use crate::Error;

/// One stream, one table.
pub struct Rig {
    /// The services.
    pub cloud: LocalCloud,
    /// Name of the stream.
    pub stream: String,
    /// `DATABASE.SCHEMA.TABLE`, all in upper case.
    pub table: [String; 3],
}

impl Rig {
    /// Starts a local cloud that keeps the bodies of appends, with a stream of `shards` shards and no table.
    ///
    /// # Errors
    /// When the local cloud does not start or refuses the stream.
    pub async fn without_table(shards: u32) -> Result<Self, Error> {
        let mut options = Options::default();
        options.snowflake.journal.body_bytes = 256 << 20;
        options.snowflake.commit_delay = std::time::Duration::from_millis(50);
        let cloud = LocalCloud::start(options).await?;
        cloud.kinesis().create_stream("events", shards)?;
        Ok(Self { cloud, stream: "events".to_owned(), table: ["DB", "PUBLIC", "EVENTS"].map(str::to_owned) })
    }

    /// As [`Rig::without_table`], and makes the table with `columns`, for example `(kinesisMetadata OBJECT)`.
    ///
    /// # Errors
    /// Also when the table is refused.
    pub async fn start(shards: u32, columns: &str) -> Result<Self, Error> {
        let rig = Self::without_table(shards).await?;
        let [database, schema, table] = &rig.table;
        let statements = format!(
            "CREATE DATABASE IF NOT EXISTS {database}; CREATE SCHEMA IF NOT EXISTS {database}.{schema}; \
             CREATE TABLE {database}.{schema}.{table} {columns}"
        );
        let snowflake = rig.cloud.snowflake().clone();
        tokio::task::spawn_blocking(move || snowflake.sql(&statements).map_err(|error| error.to_string()))
            .await??;
        Ok(rig)
    }

    /// Properties of a source that reads the stream from its beginning.
    #[must_use]
    pub fn source_properties(&self, application: &str) -> BTreeMap<String, String> {
        let endpoints = self.cloud.endpoints();
        properties([
            ("Stream Name", self.stream.clone()),
            ("Application Name", application.to_owned()),
            ("Region", endpoints.aws_region),
            ("AWS Access Key ID", endpoints.aws_access_key_id),
            ("AWS Secret Access Key", endpoints.aws_secret_access_key),
            ("Consumer Type", "SHARED_THROUGHPUT".to_owned()),
            ("Initial Stream Position", "TRIM_HORIZON".to_owned()),
            ("Output Strategy", "INJECT_METADATA".to_owned()),
            ("Endpoint Override URL", endpoints.aws_endpoint),
            ("Node Id", "node-1".to_owned()),
        ])
    }

    /// Properties of a sink with tokens for each row.
    ///
    /// # Errors
    /// When the private key cannot be read.
    pub fn sink_properties(&self) -> Result<BTreeMap<String, String>, Error> {
        let endpoints = self.cloud.endpoints();
        Ok(properties([
            ("Authentication Strategy", "KEY_PAIR".to_owned()),
            ("Account", endpoints.snowflake_account),
            ("User", endpoints.snowflake_user),
            ("Role", endpoints.snowflake_role),
            ("Private Key", std::fs::read_to_string(endpoints.snowflake_private_key_file)?),
            ("Snowflake Endpoint Override URL", endpoints.snowflake_url),
            ("CA Certificates File", endpoints.snowflake_ca_file),
            ("Destination Type", "TABLE".to_owned()),
            ("Offset Tracking Resolution", "RECORD".to_owned()),
            ("Offset Token Record Pointer", "/kinesisMetadata/shardedSequenceNumber".to_owned()),
        ]))
    }
}

pub(crate) fn properties<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
