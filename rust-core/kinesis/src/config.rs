//! The source's settings, typed and validated once.

use crate::cbor::WireFormat;
use crate::error::ConfigError;
use crate::identity::Identity;
use crate::network::Network;
use crate::properties::Properties;
use record::ArrivalFormat;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerType {
    /// GetRecords: 2 MB/s and 5 calls/s a shard, shared by all readers of the stream.
    SharedThroughput,
    /// SubscribeToShard: 2 MB/s a shard for this application alone.
    EnhancedFanOut,
}

/// Where an application that never ran before begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialPosition {
    /// The oldest stored record.
    TrimHorizon,
    /// Now; resolved once and stored.
    Latest,
    /// Epoch milliseconds.
    AtTimestamp(i64),
}

/// How payloads become content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessingStrategy {
    /// NDJSON: one JSON object a line.
    Record,
    /// Each payload is a FlowFile of its own.
    FlowFile,
    /// Many payloads of any bytes, a line feed between two.
    LineDelimited,
    /// Many payloads of any bytes, these bytes between two.
    Demarcator(Arc<[u8]>),
}

/// What a row carries besides the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStrategy {
    /// The payload alone.
    UseValue,
    /// `{"kinesisMetadata":{…},"value":{…}}`
    UseWrapper,
    /// The payload with `kinesisMetadata` appended.
    InjectMetadata,
}

/// Everything a [`crate::Source`] needs to know.
#[derive(Clone)]
pub struct SourceConfig {
    /// Name of the data stream.
    pub stream_name: String,
    /// Name of the checkpoint table and of the fan-out consumer.
    pub application_name: String,
    /// AWS region id.
    pub region: String,
    /// Who calls AWS.
    pub identity: Identity,
    /// Proxy and authorities.
    pub network: Network,
    /// How records are read.
    pub consumer_type: ConsumerType,
    /// Where a new application begins.
    pub initial_position: InitialPosition,
    /// How payloads become content.
    pub processing_strategy: ProcessingStrategy,
    /// What a row carries; counts for [`ProcessingStrategy::Record`] only.
    pub output_strategy: OutputStrategy,
    /// Text form of `approximateArrival`.
    pub arrival_format: ArrivalFormat,
    /// `Limit` of GetRecords, 1 to 10,000.
    pub max_records_per_request: i32,
    /// Longest time a record waits for others.
    pub max_batch_duration: Duration,
    /// Size at which a batch is handed out at once, in bytes of content.
    pub max_batch_size: usize,
    /// Bytes of fetched records held at any time.
    pub memory_budget: usize,
    /// A shard waits until its parents are read to the end.
    pub parents_first: bool,
    /// Encoding of GetRecords' answers and of subscriptions.
    pub wire_format: WireFormat,
    /// One endpoint for Kinesis and DynamoDB.
    pub endpoint: Option<String>,
    /// Stable name of this processor on this NiFi node.
    pub node_id: String,
}

impl std::fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceConfig")
            .field("stream_name", &self.stream_name)
            .field("application_name", &self.application_name)
            .field("region", &self.region)
            .field("identity", &self.identity)
            .field("network", &self.network)
            .field("consumer_type", &self.consumer_type)
            .field("initial_position", &self.initial_position)
            .field("endpoint", &self.endpoint)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

impl SourceConfig {
    /// Reads the properties of the processor: display names as keys, durations in milliseconds, sizes in bytes.
    /// Absent or empty optional properties take the processor's defaults.
    ///
    /// # Errors
    /// The first property that is missing or outside its domain.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties(properties);
        Ok(Self {
            stream_name: p.required("Stream Name")?,
            application_name: p.required("Application Name")?,
            region: region(p.required("Region")?)?,
            identity: Identity::from_properties(&p)?,
            network: Network::from_properties(&p)?,
            consumer_type: p.choice(
                "Consumer Type",
                &[
                    ("SHARED_THROUGHPUT", ConsumerType::SharedThroughput),
                    ("ENHANCED_FAN_OUT", ConsumerType::EnhancedFanOut),
                ],
            )?,
            initial_position: initial_position(&p)?,
            processing_strategy: processing_strategy(&p)?,
            output_strategy: p.choice(
                "Output Strategy",
                &[
                    ("INJECT_METADATA", OutputStrategy::InjectMetadata),
                    ("USE_VALUE", OutputStrategy::UseValue),
                    ("USE_WRAPPER", OutputStrategy::UseWrapper),
                ],
            )?,
            arrival_format: p.choice(
                "Approximate Arrival Format",
                &[("ISO_8601", ArrivalFormat::Iso), ("EPOCH_MILLIS", ArrivalFormat::EpochMillis)],
            )?,
            max_records_per_request: p.number("Max Records Per Request", 1_000, 1, 10_000)?,
            max_batch_duration: Duration::from_millis(p.number("Max Batch Duration", 250, 1, 3_600_000)?),
            max_batch_size: p.number("Max Batch Size", 10_000_000, 1, 1 << 30)?,
            memory_budget: p.number("Memory Budget", 64_000_000, 1, 1 << 40)?,
            parents_first: p.choice("Shard Order", &[("PARENTS_FIRST", true), ("ANY", false)])?,
            wire_format: p
                .choice("Wire Format", &[("CBOR", WireFormat::Cbor), ("JSON", WireFormat::Json)])?,
            endpoint: p.url("Endpoint Override URL")?,
            node_id: p.get("Node Id").map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned),
        })
    }
}

fn region(text: String) -> Result<String, ConfigError> {
    // `<area>-<direction>-<number>`, as in every partition AWS has; new regions need no release of ours.
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase());
    let good = match parts.split_last() {
        Some((number, words)) => {
            words.len() >= 2
                && words.iter().all(letters)
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        None => false,
    };
    if good {
        return Ok(text);
    }
    Err(ConfigError::Invalid {
        property: "Region",
        reason: format!("\"{text}\" is not the id of an AWS region such as us-west-2"),
    })
}

fn processing_strategy(p: &Properties<'_>) -> Result<ProcessingStrategy, ConfigError> {
    const DEMARCATOR: &str = "Message Demarcator";
    let strategy = p.choice(
        "Processing Strategy",
        &[("RECORD", 0), ("FLOW_FILE", 1), ("LINE_DELIMITED", 2), ("DEMARCATOR", 3)],
    )?;
    Ok(match strategy {
        0 => ProcessingStrategy::Record,
        1 => ProcessingStrategy::FlowFile,
        2 => ProcessingStrategy::LineDelimited,
        // White space, and nothing at all, are demarcators as good as any.
        _ => match p.0.get(DEMARCATOR) {
            Some(text) => ProcessingStrategy::Demarcator(text.as_bytes().into()),
            None => return Err(ConfigError::Missing { property: DEMARCATOR }),
        },
    })
}

fn initial_position(p: &Properties<'_>) -> Result<InitialPosition, ConfigError> {
    const STAMP: &str = "Stream Position Timestamp";
    #[derive(Clone, Copy)]
    enum Kind {
        Oldest,
        Newest,
        Stamp,
    }
    let kind = p.choice(
        "Initial Stream Position",
        &[("TRIM_HORIZON", Kind::Oldest), ("LATEST", Kind::Newest), ("AT_TIMESTAMP", Kind::Stamp)],
    )?;
    Ok(match kind {
        Kind::Oldest => InitialPosition::TrimHorizon,
        Kind::Newest => InitialPosition::Latest,
        Kind::Stamp => InitialPosition::AtTimestamp(timestamp(&p.required(STAMP)?).ok_or_else(|| {
            ConfigError::Invalid {
                property: STAMP,
                reason: "must be an ISO 8601 date and time such as 2025-01-31T12:00:00Z".to_owned(),
            }
        })?),
    })
}

/// ISO 8601 with an offset or `Z`, to epoch milliseconds; a time without zone is UTC.
fn timestamp(text: &str) -> Option<i64> {
    use aws_smithy_types::date_time::{DateTime, Format};
    let with_zone = |t: &str| DateTime::from_str(t, Format::DateTimeWithOffset).ok();
    let parsed = with_zone(text).or_else(|| with_zone(&format!("{text}Z")))?;
    parsed.to_millis().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<SourceConfig, ConfigError> {
        let base = [("Stream Name", "orders"), ("Application Name", "app"), ("Region", "us-west-2")];
        let all = base.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        SourceConfig::from_properties(&all.collect())
    }

    #[test]
    fn defaults() {
        let config = read(&[("Endpoint Override URL", " ")]).unwrap();
        assert_eq!(config.consumer_type, ConsumerType::SharedThroughput);
        assert_eq!(config.initial_position, InitialPosition::TrimHorizon);
        assert_eq!(config.output_strategy, OutputStrategy::InjectMetadata);
        assert_eq!((config.max_records_per_request, config.max_batch_size), (1_000, 10_000_000));
        assert!(
            matches!(config.identity.base, crate::identity::Base::Chain)
                && config.endpoint.is_none()
                && !config.node_id.is_empty()
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("Stream Name", " ")], "Stream Name is required"),
            (&[("Region", "Oregon")], "Region: \"Oregon\""),
            (&[("AWS Access Key ID", "AKIA")], "AWS Secret Access Key is required"),
            (&[("AWS Secret Access Key", "hidden")], "AWS Access Key ID is required"),
            (&[("Consumer Type", "POLLING")], "SHARED_THROUGHPUT, ENHANCED_FAN_OUT"),
            (&[("Max Records Per Request", "10001")], "between 1 and 10000"),
            (&[("Endpoint Override URL", "localhost:4566")], "Endpoint Override URL"),
            (&[("Initial Stream Position", "AT_TIMESTAMP")], "Stream Position Timestamp is required"),
            (
                &[("Initial Stream Position", "AT_TIMESTAMP"), ("Stream Position Timestamp", "noon")],
                "ISO 8601",
            ),
        ];
        for (more, words) in cases {
            let text = read(more).unwrap_err().to_string();
            assert!(text.contains(words) && !text.contains("hidden"), "{text}");
        }
        let keys = [("AWS Access Key ID", "AKIAEXAMPLE"), ("AWS Secret Access Key", "hidden")];
        let text = format!("{:?}", read(&keys).unwrap());
        assert!(!text.contains("hidden") && !text.contains("AKIAEXAMPLE"), "{text}");
    }

    #[test]
    fn strategies_and_demarcators() {
        let strategy = |more: &[(&str, &str)]| read(more).map(|c| c.processing_strategy);
        assert_eq!(strategy(&[]).unwrap(), ProcessingStrategy::Record);
        assert_eq!(strategy(&[("Processing Strategy", "FLOW_FILE")]).unwrap(), ProcessingStrategy::FlowFile);
        for text in ["", " ", "\r\n", "\u{1F600}"] {
            let more = [("Processing Strategy", "DEMARCATOR"), ("Message Demarcator", text)];
            assert_eq!(strategy(&more).unwrap(), ProcessingStrategy::Demarcator(text.as_bytes().into()));
        }
        let text = strategy(&[("Processing Strategy", "DEMARCATOR")]).unwrap_err().to_string();
        assert!(text.contains("Message Demarcator is required"), "{text}");
        assert_eq!(read(&[("Wire Format", "JSON")]).unwrap().wire_format, WireFormat::Json);
    }

    #[test]
    fn regions_and_timestamps() {
        for region in ["eu-central-2", "us-gov-west-1", "cn-north-1", "us-isob-east-1"] {
            assert_eq!(read(&[("Region", region)]).unwrap().region, region);
        }
        for text in ["2025-01-31T12:00:00Z", "2025-01-31T13:00:00+01:00", "2025-01-31T12:00:00"] {
            let more = [("Initial Stream Position", "AT_TIMESTAMP"), ("Stream Position Timestamp", text)];
            let position = read(&more).unwrap().initial_position;
            assert_eq!(position, InitialPosition::AtTimestamp(1_738_324_800_000), "{text}");
        }
    }
}
