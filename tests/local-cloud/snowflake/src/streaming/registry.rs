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
}

#[derive(Default)]
struct Channels {
    live: HashMap<Key, Arc<Channel>>,
    /// First client sequencer of a channel that takes up the name of a removed one, so that tokens stay stale.
    next_client: HashMap<Key, u64>,
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
        channels.live.insert(channel.key.clone(), Arc::new(channel));
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Channel>> {
        lock(&self.channels).live.get(key).cloned()
    }

    /// Whether a channel of this name was removed, by a drop or with its table.
    pub(crate) fn was_removed(&self, key: &Key) -> bool {
        lock(&self.channels).next_client.contains_key(key)
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
        let first_client = channels.next_client.get(&key).copied().unwrap_or(channels.first_client);
        let id = channels.next_id;
        let channel = Arc::new(Channel::new(id, key.clone(), name.into(), origin, first_client));
        channels.live.insert(key, channel.clone());
        Some(channel)
    }

    /// Removes a channel with everything it holds.
    pub(crate) fn remove(&self, channel: &Channel) {
        let mut channels = lock(&self.channels);
        let mut state = channel.state();
        state.gone = true;
        state.pending.clear();
        channels.next_client.insert(channel.key.clone(), state.client() + 1);
        channels.live.remove(&channel.key);
    }

    /// Channels in order of pipe and name.
    pub(crate) fn all(&self) -> Vec<Arc<Channel>> {
        let mut all: Vec<_> = lock(&self.channels).live.values().cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}
