//! Stores frontiers: one conditional write a shard at a time, shards side by side, writes of a busy shard coalesced.

use crate::backoff::Backoff;
use crate::core::{Core, within};
use crate::shard::{Shard, lock};
use crate::trouble::{Kind, Service, Trouble};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Writes under way at once.
const CONCURRENT: usize = 32;
/// All rows of a stream share one partition of the table, which takes about 1,000 writes a second. With this much time
/// per active shard between two writes of a shard a node stays below 200.
const GAP_PER_SHARD: Duration = Duration::from_millis(5);
/// Shortest time between two writes of a shard that goes on. Each write is paid for, and after a crash the publisher skips what
/// is read again. A stop, a hand-over and the end of a shard do not wait for it.
const GAP_LEAST: Duration = Duration::from_millis(1_000);
/// Longest time of one write, retries of the client included.
const LIMIT: Duration = Duration::from_secs(10);

struct Dirty {
    shard: Arc<Shard>,
    not_before: Instant,
    writing: bool,
    backoff: Backoff,
}

/// Which shards have something to store.
#[derive(Default)]
pub(crate) struct Checkpointer {
    dirty: Mutex<HashMap<u64, Dirty>>,
    wake: Notify,
}

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Saved {
    /// Nothing is left to store.
    All,
    /// The frontier moved on meanwhile.
    More,
    /// The lease is not ours any more.
    Lost,
    /// The write may be repeated.
    Failed(Trouble),
}

impl Checkpointer {
    /// The shard may have something to store.
    pub(crate) fn mark(&self, shard: &Arc<Shard>) {
        let ends = ends(shard);
        let mut dirty = lock(&self.dirty);
        let entry = dirty.entry(shard.serial).or_insert_with(|| Dirty {
            shard: shard.clone(),
            not_before: Instant::now(),
            writing: false,
            backoff: Backoff::default(),
        });
        if ends {
            entry.not_before = Instant::now();
        }
        drop(dirty);
        self.wake.notify_one();
    }

    /// Notes a shard whose frontier moved without a settlement: records that gave no content.
    pub(crate) fn mark_if_unsaved(&self, shard: &Arc<Shard>) {
        if shard.flow().unsaved().is_some() {
            self.mark(shard);
        }
    }

    /// Shards that may be written now, and when the next one may be. What may be written and has no room waits for the
    /// end of a write, not for a time.
    fn due(&self, room: usize) -> (Vec<Arc<Shard>>, Option<Instant>) {
        let now = Instant::now();
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for entry in lock(&self.dirty).values_mut().filter(|e| !e.writing) {
            if entry.not_before > now {
                next = Some(next.map_or(entry.not_before, |n| n.min(entry.not_before)));
            } else if due.len() < room {
                entry.writing = true;
                due.push(entry.shard.clone());
            }
        }
        (due, next)
    }

    fn written(&self, core: &Core, shard: &Shard, saved: &Saved) {
        let mut dirty = lock(&self.dirty);
        let Some(entry) = dirty.get_mut(&shard.serial) else { return };
        entry.writing = false;
        match saved {
            Saved::Lost => {
                dirty.remove(&shard.serial);
            }
            Saved::Failed(_) => entry.not_before = Instant::now() + entry.backoff.next(),
            Saved::All | Saved::More => {
                entry.backoff.reset();
                let active = u32::try_from(core.exchange.active()).unwrap_or(u32::MAX);
                let gap = GAP_LEAST.max(GAP_PER_SHARD.saturating_mul(active));
                let gap = if ends(shard) { Duration::ZERO } else { gap };
                entry.not_before = Instant::now() + gap;
            }
        }
    }

    /// Forgets shards with nothing to store whose pause is over.
    fn sweep(&self) {
        let now = Instant::now();
        lock(&self.dirty)
            .retain(|_, e| e.writing || e.not_before > now || e.shard.flow().unsaved().is_some());
    }
}

/// What is to be stored is the end of the shard, which its children wait for.
fn ends(shard: &Shard) -> bool {
    shard.flow().unsaved().is_some_and(|checkpoint| checkpoint.ended)
}

/// The task that writes.
pub(crate) async fn run(core: Arc<Core>) {
    let checkpointer = &core.checkpointer;
    // After a panic nothing is being written any more.
    for entry in lock(&checkpointer.dirty).values_mut() {
        entry.writing = false;
    }
    let mut writes = FuturesUnordered::new();
    loop {
        let (due, next) = checkpointer.due(CONCURRENT.saturating_sub(writes.len()));
        for shard in due {
            let core = &core;
            writes.push(async move {
                let saved = save(core, &shard).await;
                (shard, saved)
            });
        }
        let later = Instant::now() + Duration::from_secs(3_600);
        tokio::select! {
            Some((shard, saved)) = writes.next() => {
                finish(&core, &shard, &saved);
                checkpointer.written(&core, &shard, &saved);
            }
            () = checkpointer.wake.notified() => {}
            () = tokio::time::sleep_until(next.unwrap_or(later)) => checkpointer.sweep(),
        }
    }
}

fn finish(core: &Core, shard: &Shard, saved: &Saved) {
    match saved {
        Saved::Lost => core.lose(shard),
        Saved::Failed(trouble) => core.tell(trouble),
        Saved::All | Saved::More => {
            if shard.flow().is_finished() {
                core.nudge.notify_one();
            }
        }
    }
}

/// Stores the shard's frontier if it is ahead of what is stored.
pub(crate) async fn save(core: &Core, shard: &Shard) -> Saved {
    if shard.is_gone() {
        return Saved::Lost;
    }
    let Some(checkpoint) = shard.flow().unsaved() else { return Saved::All };
    let sent = Instant::now();
    let write = core.store.checkpoint(&shard.lease.holder, &checkpoint, core.clock.wall_ms());
    match within(LIMIT, Service::DynamoDb, "UpdateItem", write).await {
        Ok(true) => shard.lease.renewed(sent),
        Ok(false) => match still_ours(core, shard).await {
            // Stored by an earlier attempt whose answer was lost.
            Ok(true) => {}
            Ok(false) => return Saved::Lost,
            Err(trouble) => return Saved::Failed(trouble),
        },
        Err(trouble) if trouble.kind == Kind::Condition => return Saved::Lost,
        Err(trouble) => return Saved::Failed(trouble),
    }
    let mut flow = shard.flow();
    flow.saved(&checkpoint);
    if flow.unsaved().is_some() { Saved::More } else { Saved::All }
}

/// After a refused write: the table says who is right.
pub(crate) async fn still_ours(core: &Core, shard: &Shard) -> Result<bool, Trouble> {
    let holder = &shard.lease.holder;
    let row = within(LIMIT, Service::DynamoDb, "GetItem", core.store.row(&holder.shard)).await?;
    Ok(row.is_some_and(|r| {
        r.owner.as_deref() == Some(holder.owner.as_str()) && r.counter == Some(holder.epoch)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::parts;
    use record::{Position, SequenceNumber};

    #[tokio::test(start_paused = true)]
    async fn what_is_due_and_has_no_room_sets_no_timer() {
        let checkpointer = Checkpointer::default();
        for serial in 0..3 {
            let shard = parts::shard(serial, &format!("s{serial}"));
            parts::delivered(&shard, Position::new(SequenceNumber::new("7").unwrap(), 0));
            checkpointer.mark(&shard);
        }
        let (due, next) = checkpointer.due(1);
        assert_eq!((due.len(), next), (1, None), "the others wait for the end of that write");
        assert_eq!(checkpointer.due(0).1, None);
        let later = Instant::now() + Duration::from_secs(1);
        if let Some(entry) = lock(&checkpointer.dirty).values_mut().find(|e| !e.writing) {
            entry.not_before = later;
        }
        assert_eq!(checkpointer.due(0).1, Some(later), "whose time is to come is looked at then");
    }
}
