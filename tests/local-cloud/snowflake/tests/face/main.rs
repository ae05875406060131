//! The rules of the local Snowflake, through its HTTP face and its SQL.

mod bulk;
mod channels;
mod client;
mod commits;
mod evolution;
mod faults;
mod grants;
mod login;
mod pipes;
mod sql;
mod statements;
mod types;
