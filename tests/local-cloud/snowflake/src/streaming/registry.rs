//! All channels, by pipe and name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::channel::{Channel, Origin};
use crate::catalog::Path;
use crate::locks::lock;

/// Identity of a channel: names differ in more than case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) pipe: Path,
    channel: String,
}

impl Key {
    pub(crate) fn new(pipe: Path, channel: &str) -> Self {
        Key { pipe, channel: channel.to_uppercase() }
    }

    /// Whether it is the channel that every pipe has for rows without order.
    pub(crate) fn is_elastic(&self) -> bool {
        self.channel == "ELASTIC"
    }
}

/// Why a channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// Dropped by a client, or its table or pipe is another one now.
    Replaced,
    /// Unused for too long.
    Expired,
}

#[derive(Default)]
struct Channels {
    live: HashMap<Key, Arc<Channel>>,
    /// Names of removed channels: why, and the first client sequencer of one that takes the name up, so that tokens
    /// stay stale.
    removed: HashMap<Key, (Removed, u64)>,
    /// What was wrong with channels that are gone.
    violations: Vec<String>,
    /// Pipe and name of every channel that there was, by number.
    names: HashMap<i64, (String, String)>,
    next_id: i64,
    /// Client sequencer of channels never seen before.
    first_client: u64,
}

/// The channels of one account.
#[derive(Default)]
pub(crate) struct Registry {
    channels: Mutex<Channels>,
}

impl Registry {
    /// Takes in a channel of an earlier run. Sequencers of this run begin at `first_client`, above all of the earlier
    /// one's, so that tokens of then are stale.
    pub(crate) fn restore(&self, channel: Channel, first_client: u64) {
        let mut channels = lock(&self.channels);
        channels.first_client = first_client;
        channels.next_id = channels.next_id.max(channel.id);
        channels.names.insert(channel.id, (channel.key.pipe.to_string(), channel.name.clone()));
        channels.live.insert(channel.key.clone(), Arc::new(channel));
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Channel>> {
        lock(&self.channels).live.get(key).cloned()
    }

    /// Why there is no channel of this name any more, when there was one.
    pub(crate) fn removed(&self, key: &Key) -> Option<Removed> {
        lock(&self.channels).removed.get(key).map(|(why, _)| *why)
    }

    /// The channel of this name, created when there is none; `None` when the pipe has `most` channels already.
    pub(crate) fn get_or_create(
        &self,
        key: Key,
        name: &str,
        origin: Origin,
        most: usize,
    ) -> Option<Arc<Channel>> {
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.live.get(&key) {
            return Some(channel.clone());
        }
        if channels.live.keys().filter(|other| other.pipe == key.pipe).count() >= most {
            return None;
        }
        channels.next_id += 1;
        let first_client = channels.removed.get(&key).map_or(channels.first_client, |(_, client)| *client);
        let id = channels.next_id;
        channels.names.insert(id, (key.pipe.to_string(), name.to_owned()));
        let channel = Arc::new(Channel::new(id, key.clone(), name.into(), origin, first_client));
        channels.live.insert(key, channel.clone());
        Some(channel)
    }

    /// Removes a channel with everything it holds.
    pub(crate) fn remove(&self, channel: &Channel, why: Removed) {
        let mut channels = lock(&self.channels);
        let mut state = channel.state();
        state.gone = true;
        state.pending.clear();
        channels.removed.insert(channel.key.clone(), (why, state.client() + 1));
        let violations = state.history.violations().iter();
        let violations = violations.map(|text| format!("{} {}: {text}", channel.key.pipe, channel.name));
        channels.violations.extend(violations);
        channels.live.remove(&channel.key);
    }

    /// What was wrong with the order of commits in channels that are gone.
    pub(crate) fn past_violations(&self) -> Vec<String> {
        lock(&self.channels).violations.clone()
    }

    /// Pipe and name of every channel since the start, by its number.
    pub(crate) fn names(&self) -> HashMap<i64, (String, String)> {
        lock(&self.channels).names.clone()
    }

    /// Channels in order of pipe and name.
    pub(crate) fn all(&self) -> Vec<Arc<Channel>> {
        let mut all: Vec<_> = lock(&self.channels).live.values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}
