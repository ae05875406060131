//! Bulletins: collected from all tasks, drained by the caller, repeated at most every 30 seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A trouble that lasts is said again after this time, not earlier.
pub const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Messages of one kind (the part of the key before `/`) within that time: a trouble of a service hits many shards or channels
/// at once.
const OF_A_KIND: usize = 5;

/// Messages kept for a caller that does not ask; the oldest go first.
const CAPACITY: usize = 200;

/// How loud a bulletin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Data was lost, rejected or refused, or nothing can go on without the user.
    Error,
    /// The connector goes on; an operator may want to act.
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

/// One bulletin: a sentence or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How loud.
    pub level: Level,
    /// What happened, to what, and the remedy.
    pub text: String,
}

/// Collects bulletins from all tasks of a source or a sink until the caller drains them.
#[derive(Debug, Default)]
pub struct Messages {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Message>,
    said: HashMap<String, Instant>,
}

impl Messages {
    /// Says `text`, unless a message with the same `key`, or several of its kind, were said in the last [`REPEAT_AFTER`].
    /// The key names the trouble (what failed and why), not its changing details.
    pub fn say(&self, level: Level, key: &str, text: impl Into<String>) {
        self.lock().say(level, key, text.into(), OF_A_KIND);
    }

    /// Says `text`, unless the same was said in the last [`REPEAT_AFTER`], whatever else was: for what nothing but this
    /// message tells.
    pub fn say_each(&self, level: Level, kind: &str, text: impl Into<String>) {
        let text = text.into();
        self.lock().say(level, &format!("{kind}/{text}"), text, usize::MAX);
    }

    /// Says `text` whatever was said before: for events that happen once.
    pub fn once(&self, level: Level, text: impl Into<String>) {
        self.lock().push(Message { level, text: text.into() });
    }

    /// Forgets a trouble that is over, so that its return is told at once.
    pub fn over(&self, key: &str) {
        self.lock().said.remove(key);
    }

    /// Takes what was said since the last call.
    pub fn drain(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn say(&mut self, level: Level, key: &str, text: String, of_a_kind: usize) {
        let now = Instant::now();
        self.said.retain(|_, at| now.duration_since(*at) < REPEAT_AFTER);
        let of_this_kind = self.said.keys().filter(|said| kind(said) == kind(key)).count();
        if self.said.contains_key(key) || of_this_kind >= of_a_kind {
            return;
        }
        self.said.insert(key.to_owned(), now);
        self.push(Message { level, text });
    }

    fn push(&mut self, message: Message) {
        match message.level {
            Level::Error => tracing::error!("{}", message.text),
            Level::Warn => tracing::warn!("{}", message.text),
            Level::Info => tracing::info!("{}", message.text),
        }
        if self.waiting.len() >= CAPACITY {
            self.waiting.remove(0);
        }
        self.waiting.push(message);
    }
}

fn kind(key: &str) -> &str {
    key.split_once('/').map_or(key, |(kind, _)| kind)
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
    async fn a_trouble_that_is_over_is_told_at_once_when_it_returns() {
        let messages = Messages::default();
        messages.say(Level::Warn, "a", "first");
        messages.over("a");
        messages.say(Level::Warn, "a", "back");
        assert_eq!(messages.drain().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_of_many_channels_is_said_for_a_few() {
        let messages = Messages::default();
        for channel in 0..1_000 {
            messages.say(Level::Warn, &format!("open/{channel}"), "trouble");
        }
        messages.say(Level::Warn, "gap/1", "another");
        assert_eq!(messages.drain().len(), OF_A_KIND + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nothing_else_tells_is_said_of_each() {
        let messages = Messages::default();
        for round in 0..2 {
            for channel in 0..50 {
                messages.say_each(Level::Warn, "earlier", format!("rows of channel {channel}"));
            }
            assert_eq!(messages.drain().len(), if round == 0 { 50 } else { 0 });
        }
        tokio::time::advance(REPEAT_AFTER).await;
        messages.say_each(Level::Warn, "earlier", "rows of channel 1");
        assert_eq!(messages.drain().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_does_not_ask_keeps_the_newest() {
        let messages = Messages::default();
        for event in 0..CAPACITY + 3 {
            messages.once(Level::Info, event.to_string());
        }
        let kept = messages.drain();
        assert_eq!((kept.len(), kept[0].text.as_str()), (CAPACITY, "3"));
    }
}
