//! The rules of the local Snowflake, through its HTTP face and its SQL.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failing test")]

mod bulk;
mod channels;
mod client;
mod clock;
mod commits;
mod elastic;
mod evolution;
mod exactly_once;
mod faults;
mod files;
mod grants;
mod login;
mod pipes;
mod quirks;
mod restart;
mod sql;
mod statements;
mod types;
mod warehouses;
