//! The AWS SDK for Rust against the local cloud: it judges the protocol, the errors and the life cycles.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "sdk/common.rs"]
mod common;
#[path = "sdk/dynamodb.rs"]
mod dynamodb;
#[path = "sdk/fan_out.rs"]
mod fan_out;
#[path = "sdk/faults.rs"]
mod faults;
#[path = "sdk/generated.rs"]
mod generated;
#[path = "sdk/iterators.rs"]
mod iterators;
#[path = "sdk/limits.rs"]
mod limits;
#[path = "sdk/network.rs"]
mod network;
#[path = "sdk/reshard.rs"]
mod reshard;
#[path = "sdk/security.rs"]
mod security;
#[path = "sdk/streams.rs"]
mod streams;
#[path = "sdk/tables.rs"]
mod tables;
