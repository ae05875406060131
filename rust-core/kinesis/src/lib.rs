//! Reads a Kinesis data stream at least once, in the order of each shard, sharing the shards with other nodes
//! through leases in a DynamoDB table.

mod batch;
mod config;
mod error;
mod messages;
mod source;
mod verify;

pub use batch::{Batch, Part};
pub use config::{
    ArrivalFormat, ConsumerType, InitialPosition, OutputStrategy, ProcessingStrategy, SourceConfig,
    StaticCredentials,
};
pub use error::{ConfigError, SourceError};
pub use messages::{Level, Message};
pub use source::Source;
pub use verify::{Finding, Verdict};
