//! A stand-in for the parts of Snowflake that a streaming connector talks to, as a library without sockets.
//!
//! It answers the Snowpipe Streaming REST API (version 2), the token exchange in front of it and the SQL API, keeps
//! tables in SQLite, and enforces what a client can get wrong: signatures, continuation tokens, limits, grants and
//! types. [`Snowflake::router`] gives the HTTP face to mount behind TLS; [`Snowflake::sql`], [`Snowflake::journal`],
//! [`Snowflake::faults`] and [`Snowflake::snapshot`] give tests and pages the view from inside.
//!
//! Where Snowflake's public documentation and the behaviour seen by its public clients differ, the behaviour wins.

mod account;
mod auth;
mod catalog;
mod clock;
mod faults;
mod http;
mod inspect;
mod journal;
mod locks;
mod names;
mod options;
mod server;
mod snapshot;
mod sql;
mod store;
mod streaming;
mod values;

pub use clock::Clock;
pub use faults::{CutConnection, Fault, Faults, Route, Trouble};
pub use inspect::{StoredRow, StoredRows};
pub use journal::{Append, AppendOutcome, Journal, Request};
pub use options::{JournalOptions, Limits, Options, Quirks};
pub use server::{Snowflake, StartError};
pub use snapshot::{ChannelView, CommittedRange, Snapshot, TableView};
pub use sql::{Column, ResultSet, SqlError};
