//! Reads a Kinesis data stream at least once, in the order of each shard, sharing the shards with other nodes
//! through leases in a DynamoDB table.

mod api;
mod batch;
mod budget;
mod config;
mod error;
mod messages;
mod plan;
mod position;
mod source;
mod store;
mod trouble;
mod verify;

pub use batch::{Batch, Part};
pub use config::{
    ConsumerType, InitialPosition, OutputStrategy, ProcessingStrategy, SourceConfig, StaticCredentials,
};
pub use error::{ConfigError, SourceError};
pub use messages::{Level, Message};
pub use record::ArrivalFormat;
pub use source::Source;
pub use verify::{Finding, Verdict};
