//! Settings of a sink: typed and validated once. `Debug` never prints a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::error::ConfigError;
use crate::properties::Properties;
use crate::request::Destination;

/// How the sink proves who it is.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// A user of type SERVICE with an RSA key pair.
    KeyPair(KeyPair),
    /// The service account of the Openflow runtime that this runs in.
    Managed(Managed),
}

/// Identity of [`Authentication::Managed`].
#[derive(Debug, Clone)]
pub struct Managed {
    /// Host of the account.
    pub host: String,
    /// Folder with the files `serviceaccount/token` and `session/token`, which the runtime rotates.
    pub folder: PathBuf,
}

/// Identity of [`Authentication::KeyPair`].
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Account identifier in any spelling Snowflake accepts.
    pub account: String,
    /// Login name.
    pub user: String,
    /// Role of the session; the user's default role when absent.
    pub role: Option<String>,
    /// PKCS#8 PEM text, plain or encrypted.
    pub private_key: SecretString,
    /// Password of an encrypted key.
    pub password: Option<SecretString>,
}

/// Way to the service.
#[derive(Debug, Clone, Default)]
pub enum ProxyChoice {
    /// What the environment variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// None.
    Direct,
    /// An HTTP proxy.
    Http(HttpProxy),
}

/// An HTTP proxy that all calls go through.
#[derive(Debug, Clone)]
pub struct HttpProxy {
    /// `http://host:port`.
    pub url: Url,
    /// User name and password.
    pub login: Option<(String, SecretString)>,
}

/// Which host names of the account are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionStrategy {
    /// `<account>.snowflakecomputing.com`.
    #[default]
    Standard,
    /// `<account>.privatelink.snowflakecomputing.com`.
    PrivateConnectivity,
}

/// Whether uploads name a table (its default pipe is used) or a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DestinationType {
    /// Default pipe `<TABLE>-STREAMING`.
    #[default]
    Table,
    /// The pipe named.
    Pipe,
}

/// How rows travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelType {
    /// Named channels: ordered, with offset tokens, durable when the token is committed.
    #[default]
    Standard,
    /// The elastic channel of the table or pipe: unordered, at least once, durable with the answer. Offset tokens are not
    /// used, so [`SinkConfig::resolution`] is [`Resolution::Disabled`].
    Elastic,
}

/// How far offset tokens protect against duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// Every row has a token: FlowFiles are skipped or trimmed row by row. Exactly once.
    Record,
    /// Only the end of a FlowFile has a token: FlowFiles are skipped whole.
    FlowFile,
    /// Tokens only tell when rows are committed. At least once.
    #[default]
    Disabled,
}

/// What takes the way of rows that the service rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvalidRows {
    /// The whole FlowFile.
    #[default]
    FlowFile,
    /// They alone, when the error table tells them ([`SinkConfig::warehouse`]), otherwise the rows of the appends that hold
    /// them. With [`Resolution::Record`] only.
    Rows,
}

/// What happens to an upload whose predecessor does not come within the gap time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GapStrategy {
    /// Keep waiting.
    #[default]
    Wait,
    /// Publish; the predecessor is refused when it comes later.
    Publish,
    /// The upload fails.
    Fail,
}

/// Settings of a [`crate::Sink`].
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// Identity.
    pub authentication: Authentication,
    /// Host naming, when no override is given.
    pub connection: ConnectionStrategy,
    /// `https://host[:port]` used instead of the account's host; its port is used for the ingest host, too.
    pub endpoint_override: Option<Url>,
    /// Proxy for all calls.
    pub proxy: ProxyChoice,
    /// PEM file with certificate authorities trusted in addition to the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Table or pipe.
    pub destination_type: DestinationType,
    /// Named or elastic channels.
    pub channel_type: ChannelType,
    /// Tracking by offset tokens.
    pub resolution: Resolution,
    /// Name of this node. Without tracking it is a part of the channel's name, so that nodes do not take each other's channel.
    pub node: Option<String>,
    /// JSON Pointer to a row's offset token; always set with [`Resolution::Record`].
    pub record_pointer: String,
    /// Accepted rows must be committed within this time, otherwise the channel is opened anew.
    pub tracking_timeout: Duration,
    /// Time for one append including its retries, otherwise the channel is opened anew. Throttling does not count.
    pub insert_timeout: Duration,
    /// What to do about a gap that does not close.
    pub gap_strategy: GapStrategy,
    /// Rejected rows alone, or the FlowFile that holds them.
    pub invalid_rows: InvalidRows,
    /// Warehouse that reads the error table, to tell rejected rows one by one with [`InvalidRows::Rows`].
    pub warehouse: Option<String>,
    /// How long rejected rows are waited for in the error table.
    pub error_table_patience: Duration,
    /// After which time.
    pub gap_timeout: Duration,
    /// zstd level of request bodies, 1 to 19.
    pub compression_level: i32,
    /// Bytes of FlowFile content held at once.
    pub memory_budget: usize,
    /// Destination checked by `verify`, when the properties name one without an expression.
    pub destination: Option<Destination>,
}

/// Defaults of `PublishSnowpipeStreaming`, where it has the property.
const TRACKING_TIMEOUT: Duration = Duration::from_secs(90);
const INSERT_TIMEOUT: Duration = Duration::from_secs(30);
const GAP_TIMEOUT: Duration = Duration::from_secs(300);
/// Rows are there when they are counted, or soon after; a sleeping warehouse needs some seconds to wake up.
const ERROR_TABLE_PATIENCE: Duration = Duration::from_secs(20);
/// Smaller and faster than level 3 for rows of the flow (`examples/compression.rs`).
const COMPRESSION_LEVEL: i32 = 1;
const MEMORY_BUDGET: usize = 64 << 20;

/// Environment variable and folder of an Openflow runtime, as Snowflake's own components read them
/// (<https://github.com/snowflakedb/snowflake-openflow-components>).
const RUNTIME_HOST: &str = "SNOWFLAKE_HOST";
const RUNTIME_FOLDER: &str = "/snowflake";

impl SinkConfig {
    /// Reads the properties of the processor by their names; an absent and an empty value are the same.
    ///
    /// # Errors
    /// Names the first property whose value is missing or unusable.
    pub fn from_properties(map: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let p = Properties::new(map);
        let channel_type = p.choice(
            "Channel Type",
            &[("STANDARD", ChannelType::Standard), ("ELASTIC", ChannelType::Elastic)],
        )?;
        let resolution = resolution(&p, channel_type)?;
        let destination_type = p.choice(
            "Destination Type",
            &[("TABLE", DestinationType::Table), ("PIPE", DestinationType::Pipe)],
        )?;
        Ok(Self {
            authentication: authentication(&p)?,
            connection: p.choice(
                "Connection Strategy",
                &[
                    ("STANDARD", ConnectionStrategy::Standard),
                    ("PRIVATE_CONNECTIVITY", ConnectionStrategy::PrivateConnectivity),
                ],
            )?,
            endpoint_override: p.https_url("Snowflake Endpoint Override URL")?,
            proxy: proxy(&p)?,
            ca_file: p.text("CA Certificates File").map(PathBuf::from),
            destination_type,
            channel_type,
            resolution,
            node: p.text("Node").map(str::to_owned).or_else(host_name),
            record_pointer: record_pointer(&p, resolution)?,
            tracking_timeout: p.millis("Offset Tracking Timeout", TRACKING_TIMEOUT)?,
            insert_timeout: p.millis("Channel Insert Timeout", INSERT_TIMEOUT)?,
            gap_strategy: p.choice(
                "Gap Strategy",
                &[
                    ("WAIT", GapStrategy::Wait),
                    ("PUBLISH", GapStrategy::Publish),
                    ("FAIL", GapStrategy::Fail),
                ],
            )?,
            invalid_rows: p.choice(
                "Invalid Rows",
                &[("FLOW_FILE", InvalidRows::FlowFile), ("ROWS", InvalidRows::Rows)],
            )?,
            warehouse: p.text("Warehouse").map(str::to_owned),
            error_table_patience: ERROR_TABLE_PATIENCE,
            gap_timeout: p.millis("Gap Timeout", GAP_TIMEOUT)?,
            compression_level: compression_level(&p)?,
            memory_budget: p.number("Memory Budget", MEMORY_BUDGET)?.max(1 << 20),
            destination: Destination::from_properties(map).ok(),
        })
    }
}

impl SinkConfig {
    /// Whether rejected rows are to be told from their neighbours.
    pub(crate) fn tells_rows(&self) -> bool {
        self.invalid_rows == InvalidRows::Rows && self.resolution == Resolution::Record
    }
}

fn authentication(p: &Properties) -> Result<Authentication, ConfigError> {
    const NAME: &str = "Authentication Strategy";
    match p.text(NAME).unwrap_or("KEY_PAIR") {
        "KEY_PAIR" => Ok(Authentication::KeyPair(KeyPair {
            account: p.required("Account")?.to_owned(),
            user: p.required("User")?.to_owned(),
            role: p.text("Role").map(str::to_owned),
            private_key: SecretString::from(p.required("Private Key")?.to_owned()),
            password: p.raw("Private Key Password").map(|text| SecretString::from(text.to_owned())),
        })),
        "SNOWFLAKE_MANAGED" => {
            let host = std::env::var(RUNTIME_HOST).unwrap_or_default();
            if host.is_empty() && p.text("Snowflake Endpoint Override URL").is_none() {
                let reason = format!(
                    "SNOWFLAKE_MANAGED works inside an Openflow runtime only, which sets {RUNTIME_HOST}; use KEY_PAIR"
                );
                return Err(ConfigError::new(NAME, reason));
            }
            Ok(Authentication::Managed(Managed { host, folder: PathBuf::from(RUNTIME_FOLDER) }))
        }
        other => {
            let reason = format!("\"{other}\" is not one of KEY_PAIR, SNOWFLAKE_MANAGED");
            Err(ConfigError::new(NAME, reason))
        }
    }
}

fn proxy(p: &Properties) -> Result<ProxyChoice, ConfigError> {
    const HOST: &str = "Proxy Server Host";
    match p.text("Proxy Type") {
        None => return Ok(ProxyChoice::Environment),
        Some("DIRECT") => return Ok(ProxyChoice::Direct),
        Some("HTTP") => {}
        Some(other) => {
            return Err(ConfigError::new("Proxy Type", format!("\"{other}\" is not one of DIRECT, HTTP")));
        }
    }
    let host = p.required(HOST)?;
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let port = p.number::<u16>("Proxy Server Port", 8080)?;
    let url = Url::parse(&format!("http://{host}:{port}"))
        .map_err(|_| ConfigError::new(HOST, format!("\"{host}\" is no host name")))?;
    let password = p.raw("Proxy User Password").unwrap_or_default();
    let login =
        p.text("Proxy User Name").map(|user| (user.to_owned(), SecretString::from(password.to_owned())));
    Ok(ProxyChoice::Http(HttpProxy { url, login }))
}

fn resolution(p: &Properties, channel_type: ChannelType) -> Result<Resolution, ConfigError> {
    let chosen = p.choice(
        "Offset Tracking Resolution",
        &[
            ("RECORD", Resolution::Record),
            ("FLOW_FILE", Resolution::FlowFile),
            ("DISABLED", Resolution::Disabled),
        ],
    )?;
    Ok(match channel_type {
        ChannelType::Standard => chosen,
        ChannelType::Elastic => Resolution::Disabled,
    })
}

/// The host's name as NiFi's expression `${hostname(false)}` has it, where the system tells it.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn record_pointer(p: &Properties, resolution: Resolution) -> Result<String, ConfigError> {
    const NAME: &str = "Offset Token Record Pointer";
    let pointer = p.text(NAME).unwrap_or_default();
    if resolution == Resolution::Record && !pointer.starts_with('/') {
        return Err(ConfigError::new(
            NAME,
            "with Offset Tracking Resolution RECORD this must be a JSON Pointer to the offset token inside each row, \
             for example /kinesisMetadata/shardedSequenceNumber",
        ));
    }
    Ok(pointer.to_owned())
}

fn compression_level(p: &Properties) -> Result<i32, ConfigError> {
    const NAME: &str = "Compression Level";
    let level = p.number(NAME, COMPRESSION_LEVEL)?;
    match level {
        1..=19 => Ok(level),
        _ => Err(ConfigError::new(NAME, format!("{level} is not a zstd level from 1 to 19"))),
    }
}
