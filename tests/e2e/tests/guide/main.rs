//! The guide does what it says: its statements, commands, policies and examples are carried out, and its names and
//! messages are looked up where they come from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod book;
mod examples;
mod flow;
mod names;
mod policies;
mod world;
