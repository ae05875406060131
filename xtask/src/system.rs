//! The whole system: local cloud, stream, table, NiFi with the NAR and the flow.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nifi_harness::process::Process;
use nifi_harness::producer::Producer;
use nifi_harness::{Connector, Endpoints, Lifetime, Nifi, NifiOptions, Settings, Shape, SqlClient};

use crate::error::{Error, Result, io};
use crate::nar;
use crate::place::Place;
use crate::progress::{Progress, counted};
use crate::state::{Facts, Running, State};

const CLOUD_START: Duration = Duration::from_secs(30);
const CLOUD_STOP: Duration = Duration::from_secs(5);
const FLOW_STOP: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Debug, Clone)]
pub struct SystemOptions {
    /// Folder for logs and instances; emptied first.
    pub folder: PathBuf,
    /// Shards of the stream.
    pub shards: u32,
    /// Whether it outlives this program.
    pub lifetime: Lifetime,
    /// How the stream is read: `SHARED_THROUGHPUT` or `ENHANCED_FAN_OUT`.
    pub consumer_type: String,
    /// What the rows go to.
    pub shape: Shape,
    /// NAR to load; the one that is built here when absent.
    pub nar: Option<PathBuf>,
}

/// A running system. Dropping it ends its processes, unless they are detached.
pub struct System {
    cloud: Process,
    cloud_marker: String,
    /// NiFi.
    pub nifi: Nifi,
    /// The flow in it.
    pub connector: Connector,
    /// Addresses and keys of the local cloud.
    pub endpoints: Endpoints,
    /// Names of stream and table.
    pub settings: Settings,
    /// Client of the table.
    pub sql: SqlClient,
    /// Client of the stream.
    pub producer: Producer,
    folder: PathBuf,
    /// Keeps others from emptying the folder.
    _lock: File,
}

impl System {
    /// Builds what is needed, starts everything, and returns when the flow runs on an empty stream and table.
    pub async fn start(place: &Place, options: &SystemOptions, progress: &Progress) -> Result<Self> {
        let nar = the_nar(place, options, progress)?;
        let home = place.nifi_home(progress)?;
        let folder = &options.folder;
        let lock = empty(folder)?;

        progress.say("starting the local cloud");
        let endpoints_file = folder.join("endpoints.json");
        let cloud = start_cloud(place, folder, &endpoints_file, options.lifetime)?;
        let cloud_marker = endpoints_file.to_string_lossy().into_owned();
        let remember = |nifi: Option<Running>, facts: Option<Facts>| match options.lifetime {
            Lifetime::WithParent => Ok(()),
            Lifetime::Detached => {
                let cloud = running("local cloud", cloud.id(), &cloud_marker);
                let processes = nifi.into_iter().chain([cloud]).collect();
                State { processes, facts }.save(place)
            }
        };
        remember(None, None)?;
        let endpoints = Endpoints::read(&endpoints_file, CLOUD_START).await?;
        let (settings, producer, sql) = stream_and_table(&endpoints, options).await?;
        progress.say(&format!(
            "stream {} has {}, table {} is there; starting NiFi",
            settings.stream,
            counted(u64::from(options.shards), "shard"),
            settings.table
        ));
        let mut nifi_options = NifiOptions::new(folder.join("nifi"), &place.java_home);
        nifi_options.nars = vec![nar];
        nifi_options.lifetime = options.lifetime;
        nifi_options.env = vec![("SSL_CERT_FILE".to_owned(), endpoints.snowflake_ca_file.clone())];
        let nifi = Nifi::start(&home, nifi_options).await?;
        let nifi_process = running("NiFi", nifi.process_id(), &nifi.marker());
        remember(Some(nifi_process.clone()), None)?;
        progress.say(&format!("NiFi {} answers at {}", nifi.rest().version().await?, nifi.url()));

        let connector = Connector::import(nifi.rest(), &place.flow()).await?;
        if let Some(pipe) = options.shape.pipe() {
            connector.publish_to_pipe(pipe).await?;
        }
        connector.configure_and_start(&settings.parameters(&endpoints)?).await?;
        progress.say("flow definition imported, parameters set, services enabled, started");
        remember(Some(nifi_process), Some(facts(&endpoints, &settings, &nifi, &connector)))?;
        let folder = folder.clone();
        Ok(Self {
            cloud,
            cloud_marker,
            nifi,
            connector,
            endpoints,
            settings,
            sql,
            producer,
            folder,
            _lock: lock,
        })
    }

    /// Stops the flow, NiFi and the local cloud, in this order.
    pub async fn stop(self) -> Result<()> {
        self.connector.stop(FLOW_STOP).await?;
        self.nifi.stop().await?;
        Ok(self.cloud.stop(CLOUD_STOP).await?)
    }

    /// What a user needs to know.
    pub fn facts(&self) -> Facts {
        facts(&self.endpoints, &self.settings, &self.nifi, &self.connector)
    }

    /// Where the logs are, in words.
    pub fn logs(&self) -> String {
        format!("{} and {}", self.nifi.log().display(), self.folder.join("local-cloud.log").display())
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System").field("folder", &self.folder).field("cloud", &self.cloud_marker).finish()
    }
}

/// The NAR that NiFi is to load.
fn the_nar(place: &Place, options: &SystemOptions, progress: &Progress) -> Result<PathBuf> {
    let Some(nar) = &options.nar else {
        progress.say("building the native library and the NAR");
        return nar::build(place);
    };
    if !nar.is_file() {
        return Err(Error::Other(format!("{} is not a file; ./dev nar --release builds one", nar.display())));
    }
    progress.say(&format!("with {}", nar.display()));
    Ok(nar.clone())
}

/// What the connector's user has before it: a stream, and an empty table with its pipe.
async fn stream_and_table(
    endpoints: &Endpoints,
    options: &SystemOptions,
) -> Result<(Settings, Producer, SqlClient)> {
    let mut settings = Settings::new("orders", options.shape.table());
    settings.shape = options.shape;
    settings.consumer_type.clone_from(&options.consumer_type);
    let producer = Producer::create_stream(endpoints, &settings.stream, options.shards).await?;
    let sql = SqlClient::new(endpoints)?;
    for statement in settings.table_statements() {
        sql.query(&statement).await?;
    }
    Ok((settings, producer.with_shape(options.shape), sql))
}

/// Empties the folder for one user of it at a time.
pub fn empty(folder: &Path) -> Result<File> {
    let lock_file = folder.with_extension("lock");
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(io(format!("creating {}", parent.display())))?;
    let lock = File::create(&lock_file).map_err(io(format!("creating {}", lock_file.display())))?;
    if lock.try_lock().is_err() {
        return Err(Error::Other(format!("{} is in use by another run", folder.display())));
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io(format!("emptying {}", folder.display())))?;
    }
    fs::create_dir_all(folder).map_err(io(format!("creating {}", folder.display())))?;
    Ok(lock)
}

fn start_cloud(place: &Place, folder: &Path, endpoints: &Path, lifetime: Lifetime) -> Result<Process> {
    let mut command = Command::new(place.program("local-cloud")?);
    command.current_dir(folder).arg("serve").arg("--endpoints").arg(endpoints);
    // Certificate and key go away with the folder, however the process ends.
    command.arg("--folder").arg(folder.join("cloud"));
    Ok(Process::start(&command, &folder.join("local-cloud.log"), lifetime)?)
}

fn running(name: &str, id: u32, marker: &str) -> Running {
    Running { name: name.to_owned(), id, marker: marker.to_owned() }
}

fn facts(endpoints: &Endpoints, settings: &Settings, nifi: &Nifi, connector: &Connector) -> Facts {
    let (e, s) = (endpoints.clone(), settings.clone());
    Facts {
        aws_endpoint: e.aws_endpoint,
        aws_region: e.aws_region,
        aws_access_key_id: e.aws_access_key_id,
        aws_secret_access_key: e.aws_secret_access_key,
        stream: s.stream,
        application: s.application,
        snowflake_url: e.snowflake_url,
        snowflake_ca_file: e.snowflake_ca_file,
        snowflake_account: e.snowflake_account,
        snowflake_user: e.snowflake_user,
        snowflake_role: e.snowflake_role,
        snowflake_private_key_file: e.snowflake_private_key_file,
        database: s.database,
        schema: s.schema,
        table: s.table,
        nifi_url: nifi.url(),
        page_url: e.page_url,
        process_group_id: connector.group.clone(),
    }
}
