//! The whole local cloud in one value.

use std::sync::Arc;

use crate::aws::{AccessKey, Faults, Front, Journal, Keyring, Policy};
use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::kinesis::{Kinesis, KinesisOptions};
use crate::net::{CutPlan, Port, bind};

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

/// How to start. The defaults take free ports and a temporary folder.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port for Kinesis and DynamoDB; 0 takes a free one.
    pub aws_port: u16,
    /// Kinesis.
    pub kinesis: KinesisOptions,
    /// Time of the AWS services.
    pub clock: Clock,
    /// Key that may do everything.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            aws_port: 0,
            kinesis: KinesisOptions::default(),
            clock: Clock::system(),
            access_key_id: "AKIALOCALCLOUD000001".into(),
            secret_access_key: "local-cloud/secret/key/that/opens/nothing".into(),
        }
    }
}

/// Kinesis, DynamoDB and Snowflake on loopback ports.
#[derive(Debug)]
pub struct LocalCloud {
    options: Options,
    front: Arc<Front>,
    aws: Port,
}

impl LocalCloud {
    /// Starts the services and listens; ready when this returns.
    ///
    /// # Errors
    /// When a port is taken or a file cannot be written.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let kinesis = Kinesis::new(options.kinesis.clone(), options.clock.clone());
        let dynamodb = DynamoDb::new(&options.kinesis.account, &options.kinesis.region)
            .map_err(|error| StartError::Service(error.to_string()))?;
        let keys = Keyring::default();
        keys.add(AccessKey::new(&options.access_key_id, &options.secret_access_key, "local", None));
        let front = Arc::new(Front {
            kinesis,
            dynamodb,
            keys,
            faults: Faults::default(),
            journal: Journal::default(),
            clock: options.clock.clone(),
            verifier: Default::default(),
        });
        let listener = bind(options.aws_port).await.map_err(StartError::io("AWS port"))?;
        let serving = Arc::clone(&front);
        let aws = Port::serve(listener, None, move |connection, request| {
            let front = Arc::clone(&serving);
            async move { front.serve(&connection, request).await }
        })
        .map_err(StartError::io("AWS port"))?;
        Ok(Self { options, front, aws })
    }

    /// `http://127.0.0.1:PORT` of Kinesis and DynamoDB.
    #[must_use]
    pub fn aws_endpoint(&self) -> String {
        format!("http://{}", self.aws.address)
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

    /// A key that may do what the connector's documentation asks for, and nothing else.
    #[must_use]
    pub fn connector_policy(&self, stream: &str, application: &str) -> Policy {
        let KinesisOptions { region, account, .. } = &self.options.kinesis;
        Policy::connector(region, account, stream, application)
    }

    /// Cuts every open connection of the AWS port and says how many there were.
    pub fn cut_aws_connections(&self) -> usize {
        self.aws.connections.cut_all()
    }

    /// Lets connections to the AWS port die by a plan from now on; `None` ends it.
    pub fn plan_aws_cuts(&self, plan: Option<CutPlan>) {
        self.aws.connections.plan(plan);
    }

    /// Connections to the AWS port: open now, accepted since the start.
    #[must_use]
    pub fn aws_connections(&self) -> (usize, u64) {
        self.aws.connections.counts()
    }

    /// Closes all ports and ends all tasks.
    pub async fn stop(self) {
        self.aws.stop().await;
    }
}
