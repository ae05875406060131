//! The delivered flow on a canvas, set up as its user would: import, parameters, services, start.

use std::path::Path;
use std::time::Duration;

use crate::rest::{Parameter, Processor, RestClient};
use crate::{Endpoints, Error, Result, Shape};
use serde_json::json;

/// What a user fills in besides addresses and keys.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Kinesis stream.
    pub stream: String,
    /// DynamoDB table that keeps progress.
    pub application: String,
    /// `SHARED_THROUGHPUT` or `ENHANCED_FAN_OUT`.
    pub consumer_type: String,
    /// `TRIM_HORIZON` or `LATEST`.
    pub initial_position: String,
    /// Database, in its exact case.
    pub database: String,
    /// Schema, in its exact case.
    pub schema: String,
    /// Table, in its exact case.
    pub table: String,
    /// What kind of table it is.
    pub shape: Shape,
}

impl Settings {
    /// From the beginning of `stream` into `table`, with names that go with the stream's.
    pub fn new(stream: &str, table: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            application: format!("{stream}-to-snowflake"),
            consumer_type: "SHARED_THROUGHPUT".to_owned(),
            initial_position: "TRIM_HORIZON".to_owned(),
            database: "SHARDFLOW".to_owned(),
            schema: "PUBLIC".to_owned(),
            table: table.to_owned(),
            shape: Shape::default(),
        }
    }

    /// The table's quoted full name, for SQL.
    pub fn full_table(&self) -> String {
        format!("\"{}\".\"{}\".\"{}\"", self.database, self.schema, self.table)
    }

    /// The statements that its owner runs before the connector starts.
    pub fn table_statements(&self) -> Vec<String> {
        let Self { database, schema, .. } = self;
        let mut statements = vec![
            format!("CREATE DATABASE IF NOT EXISTS \"{database}\""),
            format!("CREATE SCHEMA IF NOT EXISTS \"{database}\".\"{schema}\""),
        ];
        let pipe = format!("\"{database}\".\"{schema}\".\"{}\"", self.shape.pipe().unwrap_or_default());
        statements.extend(self.shape.statements(&self.full_table(), &pipe));
        statements
    }

    /// The parameters of the flow's parameter context.
    pub fn parameters(&self, endpoints: &Endpoints) -> Result<Vec<Parameter>> {
        Ok(vec![
            Parameter::sensitive("AWS Access Key ID", &endpoints.aws_access_key_id),
            Parameter::sensitive("AWS Secret Access Key", &endpoints.aws_secret_access_key),
            Parameter::plain("AWS Kinesis Region", &endpoints.aws_region),
            Parameter::plain("AWS Kinesis Application Name", &self.application),
            Parameter::plain("AWS Kinesis Consumer Type", &self.consumer_type),
            Parameter::plain("AWS Kinesis Initial Stream Position", &self.initial_position),
            Parameter::plain("AWS Kinesis Stream Name", &self.stream),
            Parameter::plain("AWS Endpoint Override URL", &endpoints.aws_endpoint),
            Parameter::plain("Snowflake Destination Database", &self.database),
            Parameter::plain("Snowflake Destination Schema", &self.schema),
            Parameter::plain("Snowflake Destination Table", &self.table),
            Parameter::plain("Snowflake Authentication Strategy", "KEY_PAIR"),
            Parameter::plain("Snowflake Account Identifier", &endpoints.snowflake_account),
            Parameter::plain("Snowflake Username", &endpoints.snowflake_user),
            Parameter::plain("Snowflake Role", &endpoints.snowflake_role),
            Parameter::sensitive("Snowflake Private Key", endpoints.private_key()?),
            Parameter::plain("Snowflake Endpoint Override URL", &endpoints.snowflake_url),
        ])
    }
}

/// The flow on the canvas of one NiFi.
#[derive(Debug, Clone)]
pub struct Connector {
    /// API of the NiFi.
    pub rest: RestClient,
    /// Process group.
    pub group: String,
    /// Parameter context of the group.
    pub context: String,
    /// Identifier of the processor that reads the stream.
    pub consumer: String,
    /// Identifier of the processor that writes the table.
    pub publisher: String,
}

impl Connector {
    /// Uploads the flow definition. Its parameters have the definition's values.
    pub async fn import(rest: &RestClient, flow: &Path) -> Result<Self> {
        let root = rest.root_group().await?;
        let group = rest.import_flow(&root, "Kinesis to Snowflake", flow).await?;
        let consumer = rest.processor_of_class(&group, "ConsumeKinesis").await?;
        let publisher = rest.processor_of_class(&group, "PublishSnowpipeStreaming").await?;
        loaded(&consumer)?;
        loaded(&publisher)?;
        Ok(Self {
            rest: rest.clone(),
            context: rest.parameter_context(&group).await?,
            consumer: consumer.id,
            publisher: publisher.id,
            group,
        })
    }

    /// Switches the publisher to a pipe of this name, as a user does who has a pipe of her own.
    pub async fn publish_to_pipe(&self, pipe: &str) -> Result<()> {
        let properties = json!({ "Destination Type": "PIPE", "Pipe": pipe });
        self.rest.set_properties(&self.publisher, properties).await.map(drop)
    }

    /// Sets parameters, checks that this made every processor valid, and starts the group.
    pub async fn configure_and_start(&self, parameters: &[Parameter]) -> Result<()> {
        self.rest.set_parameters(&self.context, parameters).await?;
        self.rest.enable_services(&self.group).await?;
        for processor in self.rest.validated_processors(&self.group).await? {
            check(&processor)?;
        }
        self.rest.start_group(&self.group).await
    }

    /// Stops the group and waits until nothing runs any more.
    pub async fn stop(&self, limit: Duration) -> Result<()> {
        self.rest.stop_group(&self.group).await?;
        self.rest.wait_until_idle(&self.group, limit).await
    }

    /// Records that the consumer routed to `parse-failure` since NiFi started.
    pub async fn parse_failures(&self) -> Result<u64> {
        let count = self.rest.counter(&self.consumer, PARSE_FAILURES).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The texts of the bulletins at hand, newest last, each once.
    pub async fn bulletin_texts(&self) -> Result<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        for bulletin in self.rest.bulletins(&self.group).await? {
            let text = format!("{} {}: {}", bulletin.level, bulletin.source_name, bulletin.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// Removes the flow and its parameter context from the canvas.
    pub async fn remove(&self) -> Result<()> {
        self.rest.disable_services(&self.group).await?;
        self.rest.remove_group(&self.group).await?;
        self.rest.remove_parameter_context(&self.context).await
    }
}

/// Counter that the consumer adjusts, by upstream's name.
const PARSE_FAILURES: &str = "Records Parse Failure";

fn loaded(processor: &Processor) -> Result<()> {
    if processor.extension_missing {
        let name = &processor.name;
        return Err(Error::Unexpected(format!(
            "NiFi does not know the processor {name}: its NAR is not loaded; nifi-app.log says why"
        )));
    }
    Ok(())
}

fn check(processor: &Processor) -> Result<()> {
    let Processor { name, validation_errors, .. } = processor;
    if processor.validation_status == "INVALID" {
        return Err(Error::Unexpected(format!("{name} is invalid: {}", validation_errors.join("; "))));
    }
    Ok(())
}
