//! The end of a source: last checkpoints, leases given back, no more heartbeat.
//!
//! Usually a stop is followed by a close. NiFi waits for the threads of a processor between the two, and a thread that
//! hangs, or a node that loses its processor, would let the source keep its leases: they are renewed by a timer whatever
//! reads under them. So a source that was stopped and is not closed in time closes itself.

use crate::checkpoint::{self, Saved};
use crate::core::Core;
use crate::seat;
use crate::shard::Shard;
use bulletin::Level;
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Releases under way at once.
const CONCURRENT: usize = 64;
/// How long after a stop the close is waited for: two leases. A commit of NiFi's repositories may take that long and
/// still be stored; what is not settled by then is read again by the next owner.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(60);
/// Time for the last writes of a source that closes itself.
const GRACE: Duration = Duration::from_secs(10);

/// No more fetches and no more batches. The first call also sees to it that the leases do not outlive the stop by more
/// than [`CLOSE_WITHIN`].
pub(crate) fn stop(core: &Arc<Core>) {
    if halt(core) {
        let owner = core.clone();
        core.tasks.spawn_apart(async move { close_in_time(&owner).await });
    }
}

/// Gives whether this is the first call.
fn halt(core: &Core) -> bool {
    let first = !core.stopped.swap(true, Ordering::AcqRel);
    core.exchange.stop();
    for shard in core.held() {
        shard.drain();
    }
    first
}

async fn close_in_time(core: &Core) {
    tokio::select! {
        () = core.cancel.cancelled() => return,
        () = tokio::time::sleep(CLOSE_WITHIN) => {}
    }
    let text = format!(
        "The reader of stream \"{}\" was stopped and not closed for {} seconds. Its shards are given back, so that other \
         nodes can read them.",
        core.config.stream_name,
        CLOSE_WITHIN.as_secs()
    );
    tracing::warn!("{text}");
    core.messages.once(Level::Warn, text);
    close(core, GRACE).await;
}

/// See [`crate::Source::close`].
pub(crate) async fn close(core: &Core, grace: Duration) {
    halt(core);
    core.exchange.close();
    if core.cancel.is_cancelled() {
        return;
    }
    core.cancel.cancel();
    let give_back = async {
        core.tasks.ended().await;
        let shards = futures::stream::iter(core.held());
        shards.for_each_concurrent(CONCURRENT, |shard| async move { give_back(core, &shard).await }).await;
        let _ = seat::retire(core, grace).await;
    };
    if tokio::time::timeout(grace, give_back).await.is_err() {
        tracing::warn!("closed before all leases were given back; they end by themselves");
    }
    for shard in core.held() {
        shard.lose();
        core.forget(&shard);
    }
}

/// Last checkpoint and release of one shard. Errors are left to time: the lease ends by itself.
async fn give_back(core: &Core, shard: &Shard) {
    while let Saved::More = checkpoint::save(core, shard).await {}
    let _ = core.store.release(&shard.lease.holder).await;
}
