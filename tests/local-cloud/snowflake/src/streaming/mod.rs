//! Snowpipe Streaming: channels with their continuation tokens, and the commits behind them.

mod body;
mod channel;
mod committer;
mod defaults;
mod errors;
mod history;
mod ingest;
mod layout;
mod mapping;
mod rate;
mod registry;

pub(crate) use body::{BodyError, decode};
pub(crate) use channel::{Channel, ChannelState, Origin, Pending, Progress, Uncommitted, Verdict};
pub(crate) use committer::Committer;
pub(crate) use history::Ascent;
pub(crate) use registry::{Key, Registry, Removed};
