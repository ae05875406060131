//! Login: who we are, towards which host, with which token.
//!
//! Protocol: <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating> for the key-pair token,
//! <https://docs.snowflake.com/en/user-guide/snowpipe-streaming/snowpipe-streaming-high-performance-rest-api> for host name
//! and token exchange. Both answers come as bare text in practice and as JSON in the documentation; either is taken.

mod account;
mod answer;
mod client;
mod identity;
mod jwt;
mod key;
mod session;

pub(crate) use client::{build as build_client, describe as describe_transport};
pub(crate) use session::{Login, Session};
