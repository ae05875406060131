//! The whole local cloud in one value.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use local_snowflake::{Clock, CutConnection, Snowflake};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::aws::{AccessKey, Faults, Front, Journal, Policy};
use crate::dynamodb::DynamoDb;
use crate::endpoints::Endpoints;
use crate::kinesis::{Kinesis, KinesisOptions};
use crate::net::{Port, TlsError, acceptor, bind, http1_only, user_key};
use crate::network::Network;
use crate::page::{self, Sources};
use crate::setup::{folder, front};

/// Names in the folder.
const CA_FILE: &str = "ca.pem";
const KEY_FILE: &str = "snowflake_key.p8";

/// Why the local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port or a file.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A service.
    #[error("{0}")]
    Service(String),
}

impl StartError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Service(error.to_string())
    }
}

/// How the AWS port is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1, and HTTP/2 with prior knowledge.
    #[default]
    Plain,
    /// TLS; the client chooses HTTP/2 or HTTP/1.1 (ALPN).
    Tls,
    /// TLS with HTTP/1.1 only, as behind an old proxy.
    TlsHttp1,
}

/// How to start. The defaults take free ports and a temporary folder.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port for Kinesis and DynamoDB; 0 takes a free one.
    pub aws_port: u16,
    /// How that port is spoken to.
    pub aws_transport: Transport,
    /// Port for Snowflake; 0 takes a free one.
    pub snowflake_port: u16,
    /// Port for the page; 0 takes a free one.
    pub page_port: u16,
    /// Kinesis.
    pub kinesis: KinesisOptions,
    /// How long a DynamoDB table stays CREATING or DELETING; not at all by default.
    pub table_transition: Duration,
    /// Snowflake. The user's public key is added at the start.
    pub snowflake: local_snowflake::Options,
    /// Time of the AWS services; Snowflake has its own, in its options.
    pub clock: Clock,
    /// Key that may do everything.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Folder for the authority's certificate and the Snowflake user's private key; `None` for a temporary one
    /// that goes with the local cloud.
    pub folder: Option<PathBuf>,
    /// Folder that keeps streams, tables, keys and certificates over a restart; in memory when absent.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            aws_port: 0,
            aws_transport: Transport::default(),
            snowflake_port: 0,
            page_port: 0,
            kinesis: KinesisOptions::default(),
            table_transition: Duration::ZERO,
            snowflake: local_snowflake::Options::default(),
            clock: Clock::system(),
            access_key_id: "AKIALOCALCLOUD000001".into(),
            secret_access_key: "local-cloud/secret/key/that/opens/nothing".into(),
            folder: None,
            state: None,
        }
    }
}

/// Kinesis, DynamoDB and Snowflake on loopback ports.
pub struct LocalCloud {
    options: Options,
    front: Arc<Front>,
    snowflake: Snowflake,
    aws: Port,
    snowflake_port: Port,
    page: Port,
    folder: PathBuf,
    endpoints: Endpoints,
    /// Keeps a temporary folder until the end.
    _temporary: Option<TempDir>,
}

impl std::fmt::Debug for LocalCloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCloud").field("aws", &self.aws.address).finish_non_exhaustive()
    }
}

impl LocalCloud {
    /// Starts the services and listens; ready when this returns.
    ///
    /// # Errors
    /// When a port is taken or a file cannot be written.
    pub async fn start(mut options: Options) -> Result<Self, StartError> {
        let (folder, temporary) = folder(options.folder.clone().or_else(|| options.state.clone()))?;
        if let Some(state) = &options.state {
            std::fs::create_dir_all(state).map_err(StartError::io(state.display().to_string()))?;
            options.snowflake.state.get_or_insert_with(|| state.join("snowflake.db"));
        }
        let kept = options.state.is_some();
        let tls = acceptor(&folder.join(CA_FILE), kept)?;
        let public_key = user_key(&folder.join(KEY_FILE), kept)?;
        options.snowflake.public_keys_pem.push(public_key);
        let snowflake = Snowflake::new(options.snowflake.clone())
            .map_err(|error| StartError::Service(format!("Snowflake: {error}")))?;
        let front = Arc::new(front(&options)?);

        let listener = bind(options.aws_port).await.map_err(StartError::io("AWS port"))?;
        let serving = Arc::clone(&front);
        let aws_tls = match options.aws_transport {
            Transport::Plain => None,
            Transport::Tls => Some(tls.clone()),
            Transport::TlsHttp1 => Some(http1_only(&tls)),
        };
        let aws = Port::serve(listener, aws_tls, move |connection, request| {
            let front = Arc::clone(&serving);
            async move { front.serve(&connection, request).await }
        })
        .map_err(StartError::io("AWS port"))?;
        let listener = bind(options.snowflake_port).await.map_err(StartError::io("Snowflake port"))?;
        let snowflake_port = serve_router(listener, Some(tls), snowflake.router())
            .map_err(StartError::io("Snowflake port"))?;
        let listener = bind(options.page_port).await.map_err(StartError::io("page port"))?;
        let page_url =
            listener.local_addr().map(|at| format!("http://{at}/")).map_err(StartError::io("page port"))?;
        let endpoints = endpoints(&options, &snowflake, [&aws, &snowflake_port], &folder, page_url);
        let sources = Arc::new(Sources::new(Arc::clone(&front), snowflake.clone(), endpoints.clone()));
        let page = serve_router(listener, None, page::router(Arc::clone(&sources)))
            .map_err(StartError::io("page port"))?;
        page.spawn(page::watch(sources));
        Ok(Self {
            options,
            front,
            snowflake,
            aws,
            snowflake_port,
            page,
            folder,
            endpoints,
            _temporary: temporary,
        })
    }

    /// `http://127.0.0.1:PORT` of Kinesis and DynamoDB, or `https://` as the options say.
    #[must_use]
    pub fn aws_endpoint(&self) -> String {
        self.endpoints.aws_endpoint.clone()
    }

    /// `https://127.0.0.1:PORT` of Snowflake; its certificate is signed by [`LocalCloud::ca_file`].
    #[must_use]
    pub fn snowflake_url(&self) -> String {
        format!("https://{}", self.snowflake_port.address)
    }

    /// Certificate of the authority behind the ports with TLS, PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join(CA_FILE)
    }

    /// Private key of the Snowflake user, PKCS#8 in PEM.
    #[must_use]
    pub fn private_key_file(&self) -> PathBuf {
        self.folder.join(KEY_FILE)
    }

    /// Everything a client needs to know.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    /// Page that shows what happens.
    #[must_use]
    pub fn page_url(&self) -> &str {
        &self.endpoints.page_url
    }

    /// Region of the services; requests of any region are served.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.options.kinesis.region
    }

    /// Access key id that may do everything.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.options.access_key_id
    }

    /// Secret of [`LocalCloud::access_key_id`].
    #[must_use]
    pub fn secret_access_key(&self) -> &str {
        &self.options.secret_access_key
    }

    /// Kinesis without requests.
    #[must_use]
    pub fn kinesis(&self) -> &Kinesis {
        &self.front.kinesis
    }

    /// DynamoDB without requests.
    #[must_use]
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.front.dynamodb
    }

    /// Snowflake from inside; its fault plan and journal are there.
    #[must_use]
    pub fn snowflake(&self) -> &Snowflake {
        &self.snowflake
    }

    /// Fault rules of the AWS port.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }

    /// Calls to the AWS port.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.front.journal
    }

    /// Time of the AWS services.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.options.clock
    }

    /// Adds an access key, or replaces the one with its id.
    pub fn add_access_key(&self, key: AccessKey) {
        self.front.keys.add(key);
    }

    /// Revokes an access key.
    pub fn remove_access_key(&self, id: &str) {
        self.front.keys.remove(id);
    }

    /// What the connector's documentation asks to be allowed, and nothing else.
    #[must_use]
    pub fn connector_policy(&self, stream: &str, application: &str) -> Policy {
        let KinesisOptions { region, account, .. } = &self.options.kinesis;
        Policy::connector(region, account, stream, application)
    }

    /// Connections to Kinesis and DynamoDB.
    #[must_use]
    pub fn aws_network(&self) -> Network<'_> {
        Network(&self.aws)
    }

    /// Connections to Snowflake.
    #[must_use]
    pub fn snowflake_network(&self) -> Network<'_> {
        Network(&self.snowflake_port)
    }

    /// Closes all ports and ends all tasks.
    pub async fn stop(self) {
        self.aws.stop().await;
        self.snowflake_port.stop().await;
        self.page.stop().await;
    }
}

fn serve_router(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) -> std::io::Result<Port> {
    let service = TowerToHyperService::new(router);
    Port::serve(listener, tls, move |connection, request| {
        let answer = service.call(request);
        async move {
            // A router answers every request; its error type has no values.
            let answer = answer.await.unwrap_or_else(|never| match never {});
            if answer.extensions().get::<CutConnection>().is_some() {
                connection.cut();
                connection.over().await;
            }
            answer
        }
    })
}

fn endpoints(
    options: &Options,
    snowflake: &Snowflake,
    ports: [&Port; 2],
    folder: &Path,
    page_url: String,
) -> Endpoints {
    let [aws, snowflake_port] = ports;
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let resolved = snowflake.options();
    let scheme = if options.aws_transport == Transport::Plain { "http" } else { "https" };
    Endpoints {
        aws_endpoint: format!("{scheme}://{}", aws.address),
        aws_region: options.kinesis.region.clone(),
        aws_access_key_id: options.access_key_id.clone(),
        aws_secret_access_key: options.secret_access_key.clone(),
        snowflake_url: format!("https://{}", snowflake_port.address),
        snowflake_ca_file: file(CA_FILE),
        snowflake_account: resolved.account.clone(),
        snowflake_user: resolved.user.clone(),
        snowflake_role: resolved.role.clone(),
        snowflake_private_key_file: file(KEY_FILE),
        page_url,
    }
}
