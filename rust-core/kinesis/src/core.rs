//! What the tasks of one source share.

use crate::api::{Answer, ShardId, ShardInfo, StreamApi, StreamInfo};
use crate::budget::Budget;
use crate::checkpoint::Checkpointer;
use crate::clock::Clock;
use crate::config::SourceConfig;
use crate::consumer::Consumer;
use crate::counters::Counters;
use crate::exchange::Exchange;
use crate::explain::{Place, Who};
use crate::identity::Base;
use crate::migration::MigrationStore;
use crate::plan::Me;
use crate::shard::{Shard, lock};
use crate::store::LeaseStore;
use crate::tasks::Tasks;
use crate::trouble::{Kind, Service, Trouble};
use bulletin::{Level, Messages};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// Calls to Kinesis under way at once, over all shards of a source.
const CONCURRENT_CALLS: usize = 32;

/// What is known about the stream.
#[derive(Default, Clone)]
pub(crate) struct Known {
    pub(crate) stream: Option<StreamInfo>,
    pub(crate) shards: Arc<Vec<ShardInfo>>,
    pub(crate) nodes: usize,
    pub(crate) readable: usize,
    /// Begun to work: table and stream were found.
    pub(crate) running: bool,
}

/// See the module.
pub(crate) struct Core {
    pub(crate) config: SourceConfig,
    pub(crate) me: Me,
    /// Key of the row of our heartbeat; `None` until there is one.
    pub(crate) seat: Mutex<Option<String>>,
    pub(crate) place: Place,
    pub(crate) stream: Arc<dyn StreamApi>,
    pub(crate) store: Arc<dyn LeaseStore>,
    pub(crate) migration: Arc<dyn MigrationStore>,
    pub(crate) clock: Clock,
    pub(crate) messages: Arc<Messages>,
    pub(crate) exchange: Exchange,
    pub(crate) budget: Arc<Budget>,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) consumer: Consumer,
    pub(crate) calls: Semaphore,
    pub(crate) tasks: Tasks,
    /// Ends everything.
    pub(crate) cancel: CancellationToken,
    /// The user wants no more records.
    pub(crate) stopped: AtomicBool,
    /// Nothing of Kinesis reaches us: other nodes are to share out what we had.
    pub(crate) abstains: AtomicBool,
    /// Wakes the coordinator before its time.
    pub(crate) nudge: Notify,
    pub(crate) known: Mutex<Known>,
    pub(crate) counters: Counters,
    pub(crate) serials: AtomicU64,
    held: Mutex<BTreeMap<ShardId, Arc<Shard>>>,
}

/// The outside world of a source.
pub(crate) struct World {
    pub(crate) stream: Arc<dyn StreamApi>,
    pub(crate) store: Arc<dyn LeaseStore>,
    pub(crate) migration: Arc<dyn MigrationStore>,
    pub(crate) clock: Clock,
}

impl Core {
    pub(crate) fn new(
        config: SourceConfig,
        world: World,
        messages: Arc<Messages>,
        tasks: Tasks,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            me: Me::new(&config.node_id),
            seat: Mutex::default(),
            place: place(&config),
            exchange: Exchange::new(
                config.stream_name.clone(),
                config.max_batch_size,
                config.max_batch_duration,
            ),
            budget: Budget::new(config.memory_budget),
            config,
            stream: world.stream,
            store: world.store,
            migration: world.migration,
            clock: world.clock,
            messages,
            checkpointer: Checkpointer::default(),
            consumer: Consumer::default(),
            calls: Semaphore::new(CONCURRENT_CALLS),
            tasks,
            cancel,
            stopped: AtomicBool::new(false),
            abstains: AtomicBool::new(false),
            nudge: Notify::new(),
            known: Mutex::default(),
            counters: Counters::default(),
            serials: AtomicU64::new(1),
            held: Mutex::default(),
        }
    }

    /// The shards whose leases we hold, drained ones included.
    pub(crate) fn held(&self) -> Vec<Arc<Shard>> {
        lock(&self.held).values().cloned().collect()
    }

    pub(crate) fn hold(&self, shard: Arc<Shard>) {
        lock(&self.held).insert(shard.id.clone(), shard);
    }

    /// Forgets a holding; another holding of the same shard stays.
    pub(crate) fn forget(&self, shard: &Shard) {
        self.exchange.unschedule(shard);
        let mut held = lock(&self.held);
        if held.get(&shard.id).is_some_and(|s| s.serial == shard.serial) {
            held.remove(&shard.id);
        }
    }

    /// The lease went to another node: stops the reader, voids its batches.
    pub(crate) fn lose(&self, shard: &Shard) {
        if shard.is_gone() {
            return;
        }
        shard.lose();
        self.forget(shard);
        self.counters.leases_lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.messages.say(
            Level::Info,
            &format!("lost/{}", shard.id),
            format!("Another node took over shard {} of stream \"{}\".", shard.id, self.config.stream_name),
        );
        self.nudge.notify_one();
    }

    /// Tells a trouble, loudly when a person has to act.
    pub(crate) fn tell(&self, trouble: &Trouble) {
        if trouble.service == Service::DynamoDb && trouble.kind == Kind::Throttled {
            self.counters.table_throttled.add(1);
        }
        let level = match trouble.kind {
            Kind::Throttled | Kind::Unavailable | Kind::Condition | Kind::ExpiredIterator | Kind::InUse => {
                Level::Warn
            }
            _ => Level::Error,
        };
        self.messages.say(level, &trouble.key(), trouble.explain(&self.place));
    }

    /// The call works: if its trouble returns it is told at once.
    pub(crate) fn works(&self, service: Service) {
        self.messages.over(&format!("{service:?}/{:?}", Kind::Unreachable));
        self.messages.over(&format!("{service:?}/{:?}", Kind::Credentials));
    }
}

/// Bounds a call in time, whatever the client below does.
pub(crate) async fn within<T>(
    limit: Duration,
    service: Service,
    operation: &'static str,
    call: Answer<'_, T>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Trouble::timed_out(service, operation, limit.as_secs())),
    }
}

/// What messages name.
pub(crate) fn place(config: &SourceConfig) -> Place {
    let hint = |id: &str| {
        let tail: Vec<char> = id.chars().rev().take(4).collect();
        format!("…{}", tail.into_iter().rev().collect::<String>())
    };
    Place {
        stream: config.stream_name.clone(),
        table: config.application_name.clone(),
        region: config.region.clone(),
        endpoint: config.endpoint.clone(),
        who: match &config.identity.base {
            Base::Keys(keys) => Who::Keys(hint(&keys.access_key_id)),
            Base::Handed(_) => Who::Service,
            Base::Chain => Who::Chain,
        },
        role: config.identity.role.as_ref().map(|role| role.arn.clone()),
        proxy: config.network.proxy_name.clone(),
    }
}
