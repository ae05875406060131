//! Snowpipe Streaming (high-performance architecture, REST v2): login, channels, appends, commits.
//!
//! A [`Sink`] publishes FlowFiles. Each one is announced with [`Sink::begin`], asked for by
//! [`State::WantData`] when its turn has come, handed over with [`Sink::write`] and [`Sink::finish_data`], and is
//! done when [`Sink::advance`] says [`State::Committed`], which is when the service reports its last offset token as
//! committed. Protocol: <https://docs.snowflake.com/en/user-guide/snowpipe-streaming/snowpipe-streaming-high-performance-rest-api>.

#[cfg(test)]
extern crate self as snowpipe;

mod actor;
mod api;
mod body;
mod budget;
mod catalog;
mod cell;
mod channel;
mod config;
mod core;
mod error;
mod fault;
mod former;
mod inflate;
mod login;
mod machine;
mod names;
mod notice;
mod pieces;
mod poller;
mod progress;
mod properties;
mod rejected;
mod request;
mod sink;
mod tasks;
mod trip;
mod verify;

pub use bulletin::{Finding, Level, Message, Verdict};
pub use config::{
    Authentication, ChannelType, ConnectionStrategy, DestinationType, GapStrategy, HttpProxy, InvalidRows,
    KeyPair, Managed, ProxyChoice, Resolution, SinkConfig,
};
pub use error::{ConfigError, SinkError};
pub use progress::{Piece, Progress, State};
pub use request::{Destination, Object, UploadRequest};
pub use sink::Sink;
