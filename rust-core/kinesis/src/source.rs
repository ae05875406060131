//! The face of the crate: one source reads one stream for one processor on one node.

use crate::batch::Batch;
use crate::checkpoint;
use crate::clock::Clock;
use crate::closing;
use crate::config::SourceConfig;
use crate::coordinator;
use crate::core::{Core, World};
use crate::error::SourceError;
use crate::flow::Settled;
use crate::handed::Handed;
use crate::identity::Keys;
use crate::renew;
use crate::status;
use crate::tasks::Tasks;
use bulletin::Finding;
use bulletin::{Message, Messages};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads the shards this node holds leases for, and hands out batches.
pub struct Source {
    core: Arc<Core>,
    handed: Handed,
}

impl Source {
    /// Starts all tasks and returns at once; what is slow (table creation, listing, leases) goes on behind.
    #[must_use]
    pub fn start(config: SourceConfig, runtime: &tokio::runtime::Handle) -> Source {
        let clients = Arc::new(crate::aws::Clients::new(config.clone()));
        let handed = clients.handed.clone();
        let table = Arc::new(crate::dynamo::Table::new(clients.clone()));
        let world = World {
            stream: Arc::new(crate::aws::Stream::new(clients)),
            store: table.clone(),
            migration: table,
            clock: Clock::system(),
        };
        Self::begin(config, world, handed, runtime)
    }

    /// As [`Source::start`], in any world.
    #[cfg(test)]
    pub(crate) fn start_in(config: SourceConfig, world: World, runtime: &tokio::runtime::Handle) -> Source {
        let handed = Handed::new(&config.identity, world.clock.clone());
        Self::begin(config, world, handed, runtime)
    }

    fn begin(config: SourceConfig, world: World, handed: Handed, runtime: &tokio::runtime::Handle) -> Source {
        let messages = Arc::new(Messages::default());
        let tasks = Tasks::new(runtime.clone(), messages.clone());
        let core = Arc::new(Core::new(config, world, messages, tasks, CancellationToken::new()));
        let spawn = |name: &str, make: fn(Arc<Core>) -> futures::future::BoxFuture<'static, ()>| {
            let shared = core.clone();
            core.tasks.supervise(name, core.cancel.clone(), move || make(shared.clone()));
        };
        spawn("coordinator", |core| Box::pin(coordinator::run(core)));
        spawn("lease renewal", |core| Box::pin(renew::leases(core)));
        spawn("heartbeat", |core| Box::pin(renew::heartbeat(core)));
        spawn("checkpoints", |core| Box::pin(checkpoint::run(core)));
        Self { core, handed }
    }

    /// The next batch; `None` when none was ready within `wait`.
    ///
    /// # Errors
    /// [`SourceError::Closed`] after [`Source::close`].
    pub async fn next_batch(&self, wait: Duration) -> Result<Option<Arc<Batch>>, SourceError> {
        self.core.exchange.next(wait).await
    }

    /// Whether a commit of the batch may begin now: to be asked right before. `false` when another node may own the shard
    /// by the time the commit ends, or when the batch was voided. It is then settled as not committed.
    ///
    /// # Errors
    /// [`SourceError::UnknownBatch`] when the batch is not outstanding.
    pub fn may_commit(&self, batch: u64) -> Result<bool, SourceError> {
        self.core.exchange.may_commit(batch)
    }

    /// Reports what became of a batch: `true` lets the shard's checkpoint move past it, `false` delivers it again
    /// together with all later batches of the shard. A batch that was voided this way, or whose lease was lost, is
    /// settled without effect.
    ///
    /// # Errors
    /// [`SourceError::UnknownBatch`] when the batch is not outstanding.
    pub fn settle(&self, batch: u64, committed: bool) -> Result<(), SourceError> {
        if let Some((shard, Settled::Advanced)) = self.core.exchange.settle(batch, committed)? {
            self.core.checkpointer.mark(&shard);
        }
        Ok(())
    }

    /// New credentials for an identity of the kind [`crate::Base::Handed`]: all calls from now on are signed with them.
    pub fn set_credentials(&self, keys: Keys) {
        self.handed.put(keys);
    }

    /// The caller could not get new credentials. The last ones serve until they expire; then `reason` is told.
    pub fn credentials_unavailable(&self, reason: &str) {
        self.handed.unavailable(reason);
    }

    /// Bulletins since the last call. A trouble that lasts is repeated at most every 30 seconds.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.core.messages.drain()
    }

    /// What was counted since the last call, by the names of NiFi's counters.
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.core.counters.news()
    }

    /// Shards, leases, positions, lag and budget, for people and tests.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        status::json(&self.core)
    }

    /// Checks a configuration without consuming or changing anything.
    pub async fn verify(config: &SourceConfig) -> Vec<Finding> {
        crate::verify::verify(config).await
    }

    /// Deregisters the fan-out consumer of the application unless another node of it lives; for a processor that is
    /// removed from the canvas and whose source was closed. Bounded to a few seconds. Says what could not be done and
    /// what to do by hand; does nothing for other consumer types.
    pub async fn deregister(config: &SourceConfig) -> Vec<Message> {
        crate::deregister::deregister(config).await
    }

    /// No more fetches and no more batches; what was handed out can still be settled. Unless [`Source::close`] follows
    /// within a minute the source closes itself, so that other nodes can take its shards: what is not settled by then
    /// counts as not committed.
    pub fn stop_fetching(&self) {
        closing::stop(&self.core);
    }

    /// Rolls back what is unsettled, writes the last checkpoints, releases the leases. Returns within `grace`, also
    /// when the services do not answer. Idempotent.
    pub async fn close(&self, grace: Duration) {
        closing::close(&self.core, grace).await;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.core.exchange.close();
        self.core.cancel.cancel();
    }
}
