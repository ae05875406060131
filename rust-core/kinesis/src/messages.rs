//! What the user is told: short bulletins, each naming the thing, the value and the remedy.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How loud a bulletin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Nothing moves, or data was lost; a person must act.
    Error,
    /// Something a person should know and may act upon.
    Warn,
    /// Lifecycle news.
    Info,
}

impl Level {
    /// Lower-case name, as the bridge passes it on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        }
    }
}

/// One bulletin for the user. Carries neither secrets nor record data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How loud.
    pub level: Level,
    /// One or two sentences.
    pub text: String,
}

/// A trouble that lasts is told again at this pace.
const REPEAT: Duration = Duration::from_secs(30);
/// Bulletins kept for a caller that does not ask; the oldest go first.
const CAPACITY: usize = 200;

#[derive(Default)]
struct Inner {
    waiting: Vec<Message>,
    last_said: HashMap<String, Instant>,
}

/// Collects bulletins from all tasks of a source until the caller drains them.
#[derive(Default)]
pub(crate) struct Messages {
    inner: Mutex<Inner>,
}

impl Messages {
    /// Says `text`, unless a message with the same `key` was said in the last 30 seconds.
    /// The key names the trouble (what failed and why), not its changing details.
    pub(crate) fn say(&self, level: Level, key: &str, text: impl Into<String>) {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.last_said.get(key).is_some_and(|t| now.duration_since(*t) < REPEAT) {
            return;
        }
        inner.last_said.retain(|_, t| now.duration_since(*t) < REPEAT * 4);
        inner.last_said.insert(key.to_owned(), now);
        Self::push(&mut inner, Message { level, text: text.into() });
    }

    /// Says `text` whatever was said before: for events that happen once.
    pub(crate) fn once(&self, level: Level, text: impl Into<String>) {
        Self::push(&mut self.lock(), Message { level, text: text.into() });
    }

    /// Forgets a trouble that is over, so that its return is told at once.
    pub(crate) fn over(&self, key: &str) {
        self.lock().last_said.remove(key);
    }

    /// Takes what was said since the last call.
    pub(crate) fn drain(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().waiting)
    }

    fn push(inner: &mut Inner, message: Message) {
        match message.level {
            Level::Error => tracing::error!("{}", message.text),
            Level::Warn => tracing::warn!("{}", message.text),
            Level::Info => tracing::info!("{}", message.text),
        }
        if inner.waiting.len() >= CAPACITY {
            inner.waiting.remove(0);
        }
        inner.waiting.push(message);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
