//! Reads a Kinesis data stream at least once, in the order of each shard, sharing the shards with other nodes
//! through leases in a DynamoDB table.

mod access;
mod api;
mod aws;
mod aws_fanout;
mod backoff;
mod batch;
mod budget;
pub mod cbor;
mod checkpoint;
mod clock;
mod closing;
mod config;
mod consumer;
mod coordinator;
mod core;
mod counters;
mod coverage;
mod dead_connection;
mod decision;
mod deregister;
mod draft;
mod dynamo;
mod emit;
mod error;
mod exchange;
mod explain;
#[cfg(test)]
mod fake;
mod fanout;
mod flow;
mod handed;
mod heartbeats;
mod holding;
mod identity;
mod item;
mod listing;
mod migration;
mod network;
mod pace;
mod plan;
mod poll;
mod position;
mod prepare;
mod progress;
mod properties;
mod reading;
mod renew;
mod seat;
mod shape;
mod shard;
mod source;
mod status;
mod store;
#[cfg(test)]
mod store_conformance;
mod tasks;
mod trouble;
mod update;
mod verify;
mod whole_body;

#[cfg(test)]
mod scenarios;

pub use batch::{Batch, Part};
pub use bulletin::{Finding, Level, Message, Verdict};
pub use config::{ConsumerType, InitialPosition, OutputStrategy, ProcessingStrategy, SourceConfig};
pub use error::{ConfigError, SourceError};
pub use identity::{Base, Identity, Keys, Role};
pub use network::Network;
pub use record::ArrivalFormat;
pub use source::Source;
