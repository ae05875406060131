//! Kinesis, DynamoDB and Snowflake on loopback: for a demo without accounts, for tests and for benches.

mod aws;
mod clock;
mod cloud;
mod dynamodb;
mod kinesis;
mod net;
mod sync;

pub use aws::{AccessKey, Action, AwsError, Call, Faults, Journal, Policy, Rule, RuleId, Statement, When};
pub use clock::Clock;
pub use cloud::{LocalCloud, Options, StartError};
pub use dynamodb::DynamoDb;
pub use kinesis::{Kinesis, KinesisOptions, Limits, Receipt, Record, ShardInfo};
pub use net::CutPlan;
