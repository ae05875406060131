//! What the user is told by both halves of the connector: bulletins while it runs, findings when it is verified.
//!
//! Texts name the thing, its value and the remedy. They never hold secrets or record data.

mod finding;
mod messages;

pub use finding::{Finding, Verdict};
pub use messages::{Level, Message, Messages, REPEAT_AFTER};
