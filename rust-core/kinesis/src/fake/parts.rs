//! Single parts of a source, for tests of what a whole one does not show.

use super::{Rig, config};
use crate::clock::Clock;
use crate::core::{Core, World};
use crate::flow::{Flow, Mark};
use crate::position::Anchor;
use crate::shape::Shaper;
use crate::shard::{Lease, Shard};
use crate::store::Holder;
use crate::tasks::Tasks;
use bulletin::Messages;
use record::{Position, ShardedNumber};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Rig {
    /// What the tasks of a node share, without the tasks.
    pub(crate) fn core(&self, more: &[(&str, &str)]) -> Core {
        let (stream, table) = (self.stream.for_node(), Arc::new(self.table.for_node()));
        let messages = Arc::new(Messages::default());
        let tasks = Tasks::new(tokio::runtime::Handle::current(), messages.clone());
        let clock = Clock::new(|| 0);
        let world = World { stream: Arc::new(stream), store: table.clone(), migration: table, clock };
        Core::new(config("a", more), world, messages, tasks, CancellationToken::new())
    }
}

/// A shard of which nothing was read yet.
pub(crate) fn shard(serial: u64, id: &str) -> Arc<Shard> {
    let settings = config("a", &[]);
    let holder = Holder { shard: id.into(), owner: "a/1".to_owned(), epoch: 1 };
    let shaper = Shaper {
        stream: settings.stream_name,
        shard: id.to_owned(),
        strategy: settings.processing_strategy,
        output: settings.output_strategy,
        format: settings.arrival_format,
        full: settings.max_batch_size,
        keys: None,
    };
    let flow = Flow::new(Mark { done: None, last_row: ShardedNumber::zero() });
    Arc::new(Shard::new(
        serial,
        Lease::new(holder, Instant::now()),
        "0".to_owned(),
        Anchor::TrimHorizon,
        shaper,
        flow,
        CancellationToken::new(),
    ))
}

/// Everything up to this record of the shard was delivered, and is not stored yet.
pub(crate) fn delivered(shard: &Shard, position: Position) {
    let generation = shard.flow().generation();
    assert!(shard.flow().push(generation, Vec::new(), Some(position)));
}
