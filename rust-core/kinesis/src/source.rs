//! The face of the crate: one source reads one stream for one processor on one node.

use crate::batch::Batch;
use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::messages::{Message, Messages};
use crate::verify::Finding;
use std::sync::Arc;
use std::time::Duration;

/// Reads the shards this node holds leases for, and hands out batches.
pub struct Source {
    messages: Arc<Messages>,
}

impl Source {
    /// Starts all tasks and returns at once; what is slow (table creation, listing, leases) goes on behind.
    #[must_use]
    pub fn start(config: SourceConfig, runtime: &tokio::runtime::Handle) -> Source {
        let _ = (config, runtime);
        Source { messages: Arc::new(Messages::default()) }
    }

    /// The next batch; `None` when none was ready within `wait`.
    ///
    /// # Errors
    /// [`SourceError::Closed`] after [`Source::close`].
    pub async fn next_batch(&self, wait: Duration) -> Result<Option<Arc<Batch>>, SourceError> {
        tokio::time::sleep(wait).await;
        Ok(None)
    }

    /// Reports what became of a batch: `true` lets the shard's checkpoint move past it, `false` delivers it again.
    ///
    /// # Errors
    /// [`SourceError::UnknownBatch`] when the batch is not outstanding.
    pub fn settle(&self, batch: u64, committed: bool) -> Result<(), SourceError> {
        let _ = committed;
        Err(SourceError::UnknownBatch(batch))
    }

    /// Bulletins since the last call. A trouble that lasts is repeated at most every 30 seconds.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.messages.drain()
    }

    /// Shards, leases, positions, lag and budget, for people and tests.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    /// Checks a configuration without consuming or changing anything.
    pub async fn verify(config: &SourceConfig) -> Vec<Finding> {
        crate::verify::verify(config).await
    }

    /// No more fetches and no more batches; what was handed out can still be settled.
    pub fn stop_fetching(&self) {}

    /// Rolls back what is unsettled, writes the last checkpoints, releases the leases. Returns within `grace`, also
    /// when the services do not answer. Idempotent.
    pub async fn close(&self, grace: Duration) {
        let _ = grace;
    }
}
