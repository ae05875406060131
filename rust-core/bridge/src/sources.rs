//! What Java does with an open source, without JNI.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kinesis::{Batch, Source, SourceConfig};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::registry::Open;

/// A source and the batches that Java reads at the moment.
pub(crate) struct OpenSource {
    pub(crate) source: Source,
    outstanding: Mutex<HashMap<u64, Arc<Batch>>>,
}

impl OpenSource {
    pub(crate) fn start(config: SourceConfig, runtime: &Handle) -> Self {
        Self { source: Source::start(config, runtime), outstanding: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Batch>>> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Content of a part from `position` on, at most `length` bytes; empty at its end.
    pub(crate) fn slice(&self, batch: i64, part: i32, position: i64, length: usize) -> Result<Bytes, Error> {
        let missing = || Error::NoSuchPart { batch, part };
        let found =
            u64::try_from(batch).ok().and_then(|id| self.lock().get(&id).cloned()).ok_or_else(missing)?;
        let found =
            usize::try_from(part).ok().and_then(|index| found.parts.get(index)).ok_or_else(missing)?;
        let content = &found.content;
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
        Ok(content.slice(start..content.len().min(start.saturating_add(length))))
    }
}

impl Open<OpenSource> {
    /// The next batch, which stays readable until it is settled.
    pub(crate) fn poll(&self, wait: Duration) -> Result<Option<Arc<Batch>>, Error> {
        let batch = self.runtime.handle().block_on(self.value.source.next_batch(wait))?;
        if let Some(batch) = &batch {
            self.value.lock().insert(batch.id, Arc::clone(batch));
        }
        Ok(batch)
    }

    /// Whether a commit of the batch may begin now.
    pub(crate) fn may_commit(&self, batch: &str) -> Result<bool, Error> {
        let id = batch
            .parse()
            .map_err(|_| Error::Argument("may-commit needs the number of a batch".to_owned()))?;
        Ok(self.value.source.may_commit(id)?)
    }

    /// Ends a batch; its bytes are let go.
    pub(crate) fn settle(&self, batch: i64, committed: bool) -> Result<(), Error> {
        let id = u64::try_from(batch).map_err(|_| Error::Argument(format!("{batch} is no batch")))?;
        let _context = self.runtime.handle().enter();
        self.value.lock().remove(&id);
        Ok(self.value.source.settle(id, committed)?)
    }
}
