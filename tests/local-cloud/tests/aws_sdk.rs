//! The AWS SDK for Rust against the local cloud: it judges the protocol, the errors and the life cycles.

#[path = "sdk/common.rs"]
mod common;
#[path = "sdk/dynamodb.rs"]
mod dynamodb;
#[path = "sdk/iterators.rs"]
mod iterators;
#[path = "sdk/limits.rs"]
mod limits;
#[path = "sdk/reshard.rs"]
mod reshard;
#[path = "sdk/security.rs"]
mod security;
#[path = "sdk/streams.rs"]
mod streams;
