//! Kinesis, DynamoDB and Snowflake on loopback: for a demo without accounts, for tests and for benches.

mod aws;
mod cloud;
mod dynamodb;
mod endpoints;
mod kinesis;
mod net;
mod network;
mod page;
mod setup;
pub mod sql;
mod sync;

pub use aws::{
    AccessKey, Action, AwsError, Call, EventTrouble, Faults, Journal, Policy, Rule, RuleId, Statement, When,
};
pub use cloud::{LocalCloud, Options, StartError, Transport};
pub use dynamodb::DynamoDb;
pub use endpoints::Endpoints;
pub use kinesis::{
    Format, Generator, Kinesis, KinesisOptions, Limits, Receipt, Record, ShardInfo, generated_record,
    kpl_aggregate,
};
pub use local_snowflake as snowflake;
pub use local_snowflake::Clock;
pub use net::CutPlan;
pub use network::Network;
