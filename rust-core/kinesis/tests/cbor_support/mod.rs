//! What the tests of the wire format share: a writer of CBOR, a scripted Kinesis endpoint, clients of it.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod frames;
pub mod server;
pub mod value;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Builder, Config, Credentials, Region};
use kinesis::cbor::{KinesisProtocol, WireFormat};
use server::Server;
use std::time::Duration;
use value::{Value, map, text};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const REGION: &str = "eu-west-1";
pub const CBOR: &str = "application/x-amz-cbor-1.1";
pub const JSON: &str = "application/x-amz-json-1.1";

pub fn config(server: &Server, protocol: &KinesisProtocol) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .region(Region::new(REGION))
        .endpoint_url(server.url())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .protocol(protocol.clone())
}

pub fn client(server: &Server, format: WireFormat) -> (Client, KinesisProtocol) {
    let protocol = KinesisProtocol::new(format);
    (Client::from_conf(config(server, &protocol).build()), protocol)
}

/// A record as the service sends it: tag 1 over milliseconds, payload as bytes.
pub fn record(sequence: &str, millis: u64, data: &[u8]) -> Value {
    map([
        ("SequenceNumber", text(sequence)),
        ("ApproximateArrivalTimestamp", Value::Tag(1, Box::new(Value::Uint(millis)))),
        ("Data", Value::Bytes(data.to_vec())),
        ("PartitionKey", text("key")),
    ])
}

pub fn page(records: Vec<Value>) -> Vec<u8> {
    map([
        ("Records", Value::Array(records)),
        ("NextShardIterator", text("next")),
        ("MillisBehindLatest", Value::Uint(1_500)),
    ])
    .encode()
}

pub fn error(kind: &str, message: &str) -> Vec<u8> {
    map([("__type", text(kind)), ("message", text(message))]).encode()
}
