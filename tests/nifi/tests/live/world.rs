//! What the scenarios share: one local cloud, one NiFi with the NAR in it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use local_cloud::{LocalCloud, Options};
use nifi_harness::jdk::Jdk;
use nifi_harness::producer::Producer;
use nifi_harness::rest::wait_for;
use nifi_harness::{
    AssembleOptions, Connector, Endpoints, Nifi, NifiHome, NifiOptions, Settings, SqlClient, jdk,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::RwLock;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// One local cloud and one NiFi.
pub struct World {
    pub cloud: LocalCloud,
    pub endpoints: Endpoints,
    pub sql: SqlClient,
    pub jdk: Jdk,
    /// Scenarios that kill it take it for themselves.
    pub nifi: RwLock<Nifi>,
    scratch: TempDir,
    names: AtomicU32,
}

/// The NAR as `./dev nar` builds it.
pub fn nar() -> Result<PathBuf> {
    let name = format!("nar-packaging/target/shardflow-nar-{}.nar", env!("CARGO_PKG_VERSION"));
    let nar = root().join(name);
    if nar.is_file() { Ok(nar) } else { Err(format!("{} is missing: run ./dev nar", nar.display()).into()) }
}

/// The delivered flow definition.
pub fn flow() -> PathBuf {
    root().join("flow-definitions/kinesis-to-snowflake.json")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl World {
    pub async fn start() -> Result<Self> {
        let nar = nar()?;
        let jdk = jdk::suitable()?;
        let home = NifiHome::assemble(&AssembleOptions::new(&jdk.home), &|line| println!("{line}"))?;
        let scratch = tempfile::Builder::new().prefix("shardflow-live-").tempdir()?;
        let cloud = LocalCloud::start(Options::default()).await?;
        let endpoints: Endpoints = serde_json::from_value(serde_json::to_value(cloud.endpoints())?)?;
        let sql = SqlClient::new(&endpoints)?;
        let mut options = NifiOptions::new(scratch.path().join("nifi"), &jdk.home);
        options.nars = vec![nar];
        options.env = environment(&endpoints);
        let nifi = Nifi::start(&home, options).await?;
        Ok(Self { cloud, endpoints, sql, jdk, nifi: RwLock::new(nifi), scratch, names: AtomicU32::new(0) })
    }

    /// Ends everything; the folder with NiFi's logs stays when `keep_logs` says so.
    pub async fn stop(self, keep_logs: bool) {
        // A NiFi that does not stop is killed when it is dropped.
        let _ = self.nifi.into_inner().stop().await;
        self.cloud.stop().await;
        if keep_logs {
            println!("logs: {}", self.scratch.keep().join("nifi/logs").display());
        }
    }

    /// A folder of its own for a further NiFi.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A stream and a table of their own.
    pub async fn prepare(&self, name: &str, shards: u32) -> Result<(Settings, Producer)> {
        let settings = self.settings(name);
        for statement in settings.table_statements() {
            self.sql.query(&statement).await?;
        }
        let producer = Producer::create_stream(&self.endpoints, &settings.stream, shards).await?;
        Ok((settings, producer))
    }

    /// Names that no other scenario uses.
    pub fn settings(&self, name: &str) -> Settings {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        Settings::new(&format!("{name}-{number}"), &format!("{}_{number}", name.to_ascii_uppercase()))
    }

    /// The delivered flow on the canvas with a parameter context of its own: NiFi shares contexts by name.
    pub async fn import(&self, settings: &Settings) -> Result<Connector> {
        let nifi = self.nifi.read().await;
        let file = self.own_flow(&settings.stream)?;
        Ok(Connector::import(nifi.rest(), &file).await?)
    }

    /// Imports, configures and starts the flow.
    pub async fn run_flow(&self, settings: &Settings) -> Result<Connector> {
        let connector = self.import(settings).await?;
        connector.configure_and_start(&settings.parameters(&self.endpoints)?).await?;
        Ok(connector)
    }

    fn own_flow(&self, name: &str) -> Result<PathBuf> {
        let text = std::fs::read_to_string(flow())?;
        let definition: Value = serde_json::from_str(&text)?;
        let context = definition["flowContents"]["parameterContextName"].as_str().unwrap_or_default();
        let file = self.scratch.path().join(format!("{name}.json"));
        std::fs::write(&file, text.replace(context, &format!("{context} of {name}")))?;
        Ok(file)
    }

    /// Rows in the table.
    pub async fn rows(&self, settings: &Settings) -> Result<u64> {
        Ok(self.sql.query(&format!("SELECT COUNT(*) FROM {}", settings.full_table())).await?.number())
    }

    /// Waits until the table has at least `rows` rows.
    pub async fn wait_for_rows(&self, settings: &Settings, rows: u64, limit: Duration) -> Result<()> {
        let count = format!("SELECT COUNT(*) FROM {}", settings.full_table());
        let what = format!("{rows} rows in {}", settings.table);
        let waited = wait_for(&what, limit, || async {
            Ok((self.sql.query(&count).await?.number() >= rows).then_some(()))
        });
        match waited.await {
            Ok(()) => Ok(()),
            Err(error) => {
                let there = self.rows(settings).await?;
                let said = match self.nifi.try_read() {
                    Ok(nifi) => nifi.log_tail(30),
                    Err(_) => "NiFi is being restarted".to_owned(),
                };
                Err(format!("{error}; there are {there}\n{said}").into())
            }
        }
    }
}

/// What NiFi's environment needs to trust the local Snowflake.
pub fn environment(endpoints: &Endpoints) -> Vec<(String, String)> {
    vec![("SSL_CERT_FILE".to_owned(), endpoints.snowflake_ca_file.clone())]
}
