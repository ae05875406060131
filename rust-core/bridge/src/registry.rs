//! Sources and sinks by the ids that Java holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::runtime::{Lease, RuntimeSlot};
use crate::sinks::OpenSink;
use crate::sources::OpenSource;

/// Something open and the runtime it needs. A call that is under way keeps both, also while another thread closes it.
pub(crate) struct Open<T> {
    // Dropped in this order: the runtime outlives what runs on it.
    pub(crate) value: T,
    pub(crate) runtime: Lease,
}

#[derive(Clone)]
pub(crate) enum Entry {
    Source(Arc<Open<OpenSource>>),
    Sink(Arc<Open<OpenSink>>),
}

/// Ids are never used twice, so a stale one finds nothing.
pub(crate) struct Registry {
    entries: Mutex<HashMap<i64, Entry>>,
    last_id: AtomicI64,
    runtime: Arc<RuntimeSlot>,
}

/// The registry of this loaded copy of the library.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::default);
    &REGISTRY
}

impl Default for Registry {
    fn default() -> Self {
        Self { entries: Mutex::default(), last_id: AtomicI64::new(0), runtime: Arc::default() }
    }
}

impl Registry {
    /// Where the runtime comes from.
    pub(crate) fn runtime(&self) -> &Arc<RuntimeSlot> {
        &self.runtime
    }

    /// Opens a source with a configuration that was already checked.
    pub(crate) fn open_source(&self, config: kinesis::SourceConfig) -> Result<i64, Error> {
        let runtime = self.runtime.lease()?;
        let value = OpenSource::start(config, runtime.handle());
        Ok(self.insert(Entry::Source(Arc::new(Open { value, runtime }))))
    }

    /// Opens a sink with a configuration that was already checked.
    pub(crate) fn open_sink(&self, config: snowpipe::SinkConfig) -> Result<i64, Error> {
        let runtime = self.runtime.lease()?;
        let value = OpenSink::start(config, runtime.handle());
        Ok(self.insert(Entry::Sink(Arc::new(Open { value, runtime }))))
    }

    pub(crate) fn source(&self, id: i64) -> Result<Arc<Open<OpenSource>>, Error> {
        match self.lock().get(&id) {
            Some(Entry::Source(source)) => Ok(Arc::clone(source)),
            _ => Err(Error::NotOpen { kind: "source", id }),
        }
    }

    pub(crate) fn sink(&self, id: i64) -> Result<Arc<Open<OpenSink>>, Error> {
        match self.lock().get(&id) {
            Some(Entry::Sink(sink)) => Ok(Arc::clone(sink)),
            _ => Err(Error::NotOpen { kind: "sink", id }),
        }
    }

    pub(crate) fn either(&self, id: i64) -> Result<Entry, Error> {
        self.lock().get(&id).cloned().ok_or(Error::NotOpen { kind: "source or sink", id })
    }

    /// Takes an entry out, so that no later call finds it. `None` when it was closed before.
    pub(crate) fn remove(&self, id: i64) -> Option<Entry> {
        self.lock().remove(&id)
    }

    fn insert(&self, entry: Entry) -> i64 {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        self.lock().insert(id, entry);
        id
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
