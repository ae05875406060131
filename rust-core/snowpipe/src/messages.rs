//! Bulletins for the user: collected here, drained by the shim, repeated at most every 30 s.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A trouble that lasts is said again after this time, not earlier.
pub const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Messages of one kind (the part of the key before `/`) within that time: a trouble of the service hits many channels at once.
const OF_A_KIND: usize = 5;

/// Undrained messages kept; the oldest go first.
const KEEP: usize = 200;

/// Weight of a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Data was lost, rejected or refused, or nothing can go on without the user.
    Error,
    /// The connector goes on, an operator may want to act.
    Warn,
    /// Worth knowing.
    Info,
}

impl Level {
    /// Lower-case name, as the bridge passes it on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// A text for the user, shown as a bulletin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Weight.
    pub level: Level,
    /// What happened, to what, and the remedy.
    pub text: String,
}

/// Collects messages; the same key is said at most once in [`REPEAT_AFTER`].
#[derive(Debug, Default)]
pub(crate) struct Messages {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pending: Vec<Message>,
    said: HashMap<String, Instant>,
}

impl Messages {
    /// Says `text` unless something with the same `key` was said a short time ago.
    pub(crate) fn say(&self, level: Level, key: &str, text: impl Into<String>) {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.said.get(key).is_some_and(|at| now.duration_since(*at) < REPEAT_AFTER) {
            return;
        }
        inner.said.retain(|_, at| now.duration_since(*at) < REPEAT_AFTER);
        let kind = |key: &str| key.split('/').next().unwrap_or_default().to_owned();
        let wanted = kind(key);
        if inner.said.keys().filter(|said| kind(said) == wanted).count() >= OF_A_KIND {
            return;
        }
        inner.said.insert(key.to_owned(), now);
        let text = text.into();
        match level {
            Level::Error => tracing::error!("{text}"),
            Level::Warn => tracing::warn!("{text}"),
            Level::Info => tracing::info!("{text}"),
        }
        if inner.pending.len() >= KEEP {
            inner.pending.remove(0);
        }
        inner.pending.push(Message { level, text });
    }

    /// Takes what was said since the last call.
    pub(crate) fn drain(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().pending)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_is_said_once_in_thirty_seconds() {
        let messages = Messages::default();
        messages.say(Level::Warn, "a", "first");
        messages.say(Level::Warn, "a", "again");
        messages.say(Level::Warn, "b", "other");
        assert_eq!(messages.drain().len(), 2);
        tokio::time::advance(REPEAT_AFTER).await;
        messages.say(Level::Warn, "a", "still");
        assert_eq!(messages.drain().len(), 1);
        assert!(messages.drain().is_empty());
    }
    #[tokio::test(start_paused = true)]
    async fn a_trouble_of_many_channels_is_said_for_a_few() {
        let messages = Messages::default();
        for channel in 0..1000 {
            messages.say(Level::Warn, &format!("open/{channel}"), "trouble");
        }
        messages.say(Level::Warn, "gap/1", "another");
        assert_eq!(messages.drain().len(), OF_A_KIND + 1);
    }
}
