//! What is read from NiFi's answers. Names and meanings are those of NiFi's data transfer objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// Absent and null both mean empty in NiFi's answers.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Coordinates of a NAR.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields' names say all that NiFi says of them")]
pub struct Bundle {
    pub group: String,
    pub artifact: String,
    pub version: String,
}

/// A processor on the canvas.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Processor {
    /// Identifier on this canvas.
    pub id: String,
    /// Name on the canvas.
    pub name: String,
    /// Class name.
    #[serde(rename = "type")]
    pub kind: String,
    /// NAR that it comes from.
    pub bundle: Bundle,
    /// `RUNNING`, `STOPPED` or `DISABLED`: what it was asked to be.
    pub state: String,
    /// `VALID`, `INVALID` or `VALIDATING`.
    #[serde(default, deserialize_with = "or_empty")]
    pub validation_status: String,
    /// Why it is invalid.
    #[serde(default, deserialize_with = "or_empty")]
    pub validation_errors: Vec<String>,
    /// Whether its NAR is absent and a placeholder stands for it.
    #[serde(default, deserialize_with = "or_empty")]
    pub extension_missing: bool,
    /// Its relationships.
    #[serde(default, deserialize_with = "or_empty")]
    pub relationships: Vec<Relationship>,
    /// Its configuration.
    pub config: ProcessorConfig,
}

/// A relationship of a processor.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relationship {
    /// Name.
    pub name: String,
    /// Whether FlowFiles routed there are dropped.
    #[serde(default, deserialize_with = "or_empty")]
    pub auto_terminate: bool,
}

/// The configuration of a processor.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessorConfig {
    /// Values by property name; sensitive ones are masked.
    #[serde(default, deserialize_with = "or_empty")]
    pub properties: BTreeMap<String, Option<String>>,
    /// What the processor says of its properties, by name.
    #[serde(default, deserialize_with = "or_empty")]
    pub descriptors: BTreeMap<String, Descriptor>,
    /// Threads that may run it at once.
    #[serde(default)]
    pub concurrently_schedulable_task_count: u32,
}

/// What a component says of one of its properties.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Name, by which values are set.
    pub name: String,
    /// Name shown to people.
    pub display_name: String,
    /// Explanation shown to people.
    #[serde(default, deserialize_with = "or_empty")]
    pub description: String,
    /// Value when none is set.
    pub default_value: Option<String>,
    /// The values it is restricted to; empty when it is not.
    #[serde(default, deserialize_with = "or_empty")]
    pub allowable_values: Vec<AllowableValueEntity>,
    /// Whether it must have a value.
    #[serde(default, deserialize_with = "or_empty")]
    pub required: bool,
    /// Whether its value is encrypted and never shown.
    #[serde(default, deserialize_with = "or_empty")]
    pub sensitive: bool,
    /// Whether a user invented it.
    #[serde(default, deserialize_with = "or_empty")]
    pub dynamic: bool,
    /// Class of the controller service it names, if it names one.
    pub identifies_controller_service: Option<String>,
}

/// Wrapper that NiFi puts around an allowable value.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowableValueEntity {
    /// The value.
    pub allowable_value: AllowableValue,
}

/// One of the values that a property is restricted to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowableValue {
    /// Text that is stored.
    pub value: String,
    /// Text that is shown.
    #[serde(default, deserialize_with = "or_empty")]
    pub display_name: String,
}

/// A controller service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Identifier on this canvas.
    pub id: String,
    /// Name.
    pub name: String,
    /// `ENABLED`, `ENABLING`, `DISABLED`, `DISABLING`.
    pub state: String,
    /// Why it is invalid.
    #[serde(default, deserialize_with = "or_empty")]
    pub validation_errors: Vec<String>,
    /// Whether its NAR is absent.
    #[serde(default, deserialize_with = "or_empty")]
    pub extension_missing: bool,
}

/// A connection between two processors.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Identifier on this canvas.
    pub id: String,
    /// Where it starts.
    pub source: Connectable,
    /// Where it ends.
    pub destination: Connectable,
    /// Relationships that it carries.
    #[serde(default, deserialize_with = "or_empty")]
    pub selected_relationships: Vec<String>,
    /// Number of queued FlowFiles that stops the source.
    #[serde(default, deserialize_with = "or_empty")]
    pub back_pressure_object_threshold: u64,
    /// Prioritizer classes, in order.
    #[serde(default, deserialize_with = "or_empty")]
    pub prioritizers: Vec<String>,
}

/// An end of a connection.
#[derive(Debug, Clone, Deserialize)]
pub struct Connectable {
    /// Identifier on this canvas.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
}

/// What waits in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// FlowFiles.
    pub flow_files_queued: u64,
    /// Their bytes.
    pub bytes_queued: u64,
}

/// A message that NiFi shows to its users.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bulletin {
    /// Number that grows with every bulletin.
    pub id: u64,
    /// `INFO`, `WARNING`, `ERROR`.
    #[serde(default)]
    pub level: String,
    /// Component that says it.
    #[serde(default)]
    pub source_name: String,
    /// Text.
    #[serde(default)]
    pub message: String,
}

/// A counter that a processor adjusts.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counter {
    /// Component, `Name (id)`, or `All …` for the sum over a type.
    pub context: String,
    /// Name.
    pub name: String,
    /// Value since NiFi started.
    pub value_count: i64,
}

/// A kind of processor that NiFi offers.
#[derive(Debug, Clone, Deserialize)]
pub struct ProcessorType {
    /// Class name.
    #[serde(rename = "type")]
    pub kind: String,
    /// NAR that it comes from.
    pub bundle: Bundle,
}

/// A NAR that was uploaded.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nar {
    /// Identifier of the upload.
    pub identifier: String,
    /// Its coordinates.
    pub coordinate: Bundle,
    /// `Installed`, `Installing`, `Failed`, …
    pub state: String,
    /// Why it could not be installed.
    #[serde(default, deserialize_with = "or_empty")]
    pub failure_message: String,
}

/// One event of a FlowFile's history.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvenanceEvent {
    /// `RECEIVE`, `SEND`, `DROP`, …
    pub event_type: String,
    /// Component that reported it.
    #[serde(default)]
    pub component_name: String,
    /// Where data came from or went to.
    #[serde(default, deserialize_with = "or_empty")]
    pub transit_uri: String,
}

/// A FlowFile in a queue.
#[derive(Debug, Clone, Deserialize)]
pub struct FlowFileSummary {
    /// Identifier.
    pub uuid: String,
    /// Bytes of content.
    pub size: u64,
}

/// One step of a processor's own check of its configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Name of the step.
    #[serde(rename = "verificationStepName")]
    pub step: String,
    /// `SUCCESSFUL`, `FAILED` or `SKIPPED`.
    pub outcome: String,
    /// What was found.
    #[serde(default, deserialize_with = "or_empty")]
    pub explanation: String,
}

/// A value for a parameter of a parameter context.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Value; never shown again by NiFi when `sensitive`.
    pub value: String,
    /// Whether it is encrypted.
    pub sensitive: bool,
}

impl Parameter {
    /// A parameter that anyone may read.
    pub fn plain(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), sensitive: false }
    }

    /// A parameter that is encrypted.
    pub fn sensitive(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), sensitive: true }
    }
}
