//! A local cloud that is set up as the guide says, and a connector with the guide's parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use e2e::{Connector, Published, Rejected};
use local_cloud::{AccessKey, Endpoints, LocalCloud, Options, Policy, Statement, sql};
use serde_json::Value;
use tempfile::TempDir;

use crate::{book, flow};

const LIMIT: Duration = Duration::from_secs(60);
/// What stands for the public key in the guide.
const PUBLIC_KEY: &str = "MIIBIjANBgkqhki...";

/// See the module documentation.
pub struct World {
    pub cloud: LocalCloud,
    /// Folder in which the guide's commands run.
    pub folder: TempDir,
    /// The guide's example values.
    pub values: BTreeMap<String, String>,
}

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Destination {
    pub name: String,
    pub is_pipe: bool,
}

impl Destination {
    pub fn stream(&self) -> String {
        self.name.to_lowercase()
    }

    fn application(&self) -> String {
        format!("{}-to-snowflake", self.stream())
    }
}

/// What came of some messages.
pub struct Outcome {
    pub published: Vec<Published>,
    pub rejected: Vec<Rejected>,
    pub messages: Vec<String>,
}

impl World {
    pub async fn start() -> World {
        let values = flow::examples();
        let mut options = Options::default();
        options.kinesis.account = "123456789012".into();
        options.kinesis.region.clone_from(&values["AWS Kinesis Region"]);
        options.snowflake.account.clone_from(&values["Snowflake Account Identifier"]);
        options.snowflake.commit_delay = Duration::from_millis(50);
        let cloud = LocalCloud::start(options).await.unwrap();
        World { cloud, folder: tempfile::tempdir().unwrap(), values }
    }

    /// Runs a shell command in the folder; what it printed.
    pub fn shell(&self, text: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", text]).current_dir(self.folder.path());
        let output = command.output().expect("bash, which the guide's commands need, is installed");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}: {error} (openssl must be installed)");
        String::from_utf8(output.stdout).unwrap()
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("rsa_key.p8")
    }

    /// Runs statements as ACCOUNTADMIN; the last one's result as text.
    pub async fn admin(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if text.contains(PUBLIC_KEY) {
            let pem = std::fs::read_to_string(self.folder.path().join("rsa_key.pub")).unwrap();
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            text = text.replace(PUBLIC_KEY, &body);
        }
        let snowflake = self.cloud.snowflake().clone();
        let run = move || match snowflake.sql_as("ACCOUNTADMIN", &text) {
            Ok(result) => format!("{result:?}"),
            Err(error) => panic!("{text}: {} {}", error.code, error.message),
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// Runs statements as the connector's user and role, over the SQL API.
    pub async fn connector_sql(&self, text: &str) -> Result<String, String> {
        let endpoints = Endpoints {
            snowflake_account: self.values["Snowflake Account Identifier"].clone(),
            snowflake_user: self.values["Snowflake Username"].clone(),
            snowflake_role: self.values["Snowflake Role"].clone(),
            snowflake_private_key_file: self.key_file().to_string_lossy().into_owned(),
            ..self.cloud.endpoints()
        };
        let table = sql::query(&endpoints, text).await.map_err(|error| error.to_string())?;
        Ok(table.render().trim_end().to_owned())
    }

    /// Gives the example access key the guide's policy, for this stream and application.
    pub fn allow(&self, policy: &str, destination: &Destination) -> Policy {
        let text = policy
            .replace("table/orders-to-snowflake", &format!("table/{}", destination.application()))
            .replace("stream/orders", &format!("stream/{}", destination.stream()));
        let policy = parse_policy(&text);
        self.set_policy(policy.clone());
        policy
    }

    /// Gives the example access key a policy.
    pub fn set_policy(&self, policy: Policy) {
        let value = |name: &str| self.values[name].clone();
        let (id, secret) = (value("AWS Access Key ID"), value("AWS Secret Access Key"));
        self.cloud.add_access_key(AccessKey::new(id, secret, "connector", Some(policy)));
    }

    /// Properties of ConsumeKinesis as the flow gives them.
    pub fn source(&self, destination: &Destination, consumer: &str) -> BTreeMap<String, String> {
        let mut values = self.values.clone();
        values.insert("AWS Kinesis Stream Name".into(), destination.stream());
        values.insert("AWS Kinesis Application Name".into(), destination.application());
        values.insert("AWS Kinesis Consumer Type".into(), consumer.into());
        values.insert("AWS Endpoint Override URL".into(), self.cloud.aws_endpoint());
        let mut properties = flow::properties("ConsumeKinesis", &values);
        properties.insert("Node Id".into(), "node-1".into());
        properties
    }

    fn sink(&self, destination: &Destination) -> BTreeMap<String, String> {
        let mut values = self.values.clone();
        values.insert("Snowflake Private Key".into(), std::fs::read_to_string(self.key_file()).unwrap());
        values.insert("Snowflake Endpoint Override URL".into(), self.cloud.snowflake_url());
        let mut properties = flow::properties("PublishSnowpipeStreaming", &values);
        properties.insert("CA Certificates File".into(), self.cloud.ca_file().to_string_lossy().into_owned());
        if destination.is_pipe {
            properties.insert("Destination Type".into(), "PIPE".into());
        }
        properties
    }

    fn connector(&self, destination: &Destination, consumer: &str) -> Connector {
        let place = vec![
            ("Database", self.values["Snowflake Destination Database"].clone()),
            ("Schema", self.values["Snowflake Destination Schema"].clone()),
            (if destination.is_pipe { "Pipe" } else { "Table" }, destination.name.clone()),
        ];
        Connector::with(&self.source(destination, consumer), &self.sink(destination), place).unwrap()
    }

    /// Makes the destination's stream, unless it is there.
    pub fn stream(&self, destination: &Destination) {
        if self.cloud.kinesis().shards(&destination.stream()).is_err() {
            self.cloud.kinesis().create_stream(&destination.stream(), 1).unwrap();
        }
    }

    /// Puts messages into the stream and lets a connector carry them to the destination.
    pub async fn carry(&self, destination: &Destination, messages: &[&str], consumer: &str) -> Outcome {
        self.stream(destination);
        for message in messages {
            self.cloud.kinesis().put(&destination.stream(), "key-1234", (*message).to_owned()).unwrap();
        }
        let wanted = messages.len() as u64;
        let mut connector = self.connector(destination, consumer);
        let done = |connector: &Connector| connector.rows() + connector.rejected.len() as u64 >= wanted;
        connector.run_until(LIMIT, done).await.unwrap();
        let messages = connector.messages();
        let published = std::mem::take(&mut connector.published);
        let rejected = std::mem::take(&mut connector.rejected);
        connector.stop().await;
        Outcome { published, rejected, messages }
    }

    /// Lets a connector run until it says something that contains `words`.
    pub async fn says(&self, destination: &Destination, consumer: &str, words: &str) -> String {
        let mut connector = self.connector(destination, consumer);
        let deadline = tokio::time::Instant::now() + LIMIT;
        let mut said: Vec<String> = Vec::new();
        let found = loop {
            // A run that ends without result tells what was said meanwhile.
            let ended = connector.run_until(Duration::ZERO, |_| false).await;
            said.extend(ended.err().map(|error| error.to_string()));
            if let Some(found) = said.iter().find(|text| text.contains(words)) {
                break found.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "{words} in {said:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        connector.stop().await;
        found
    }
}

/// The guide's policies by their names.
pub fn policies() -> BTreeMap<String, String> {
    let blocks = book::blocks(&book::text());
    let policies = blocks.iter().filter(|block| block.is(&["json", "policy"]));
    policies.map(|block| (block.word(2).to_owned(), block.text.clone())).collect()
}

/// An IAM policy document of `Allow` statements.
pub fn parse_policy(text: &str) -> Policy {
    let document: Value = serde_json::from_str(text).unwrap();
    assert_eq!(document["Version"], "2012-10-17");
    let list = |value: &Value| match value {
        Value::String(one) => vec![one.clone()],
        many => many.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
    };
    let statements = document["Statement"].as_array().unwrap().iter().map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        Statement { actions: list(&statement["Action"]), resources: list(&statement["Resource"]) }
    });
    Policy { statements: statements.collect() }
}
