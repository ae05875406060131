//! Splits and merges while records flow.

use std::time::Duration;

use nifi_harness::producer::Producer;

use crate::error::{Error, Result};
use crate::progress::Progress;

/// Between two changes.
const PAUSE: Duration = Duration::from_millis(1200);
/// How long all of them take, about; records should flow that long.
pub const SECONDS: u64 = 10;
/// Two splits of one another's children, merges across them, and a split again.
const STEPS: [Step; 6] =
    [Step::Split(0), Step::Split(1), Step::Merge(0), Step::Split(2), Step::Merge(1), Step::Split(0)];

#[derive(Clone, Copy)]
enum Step {
    Split(usize),
    Merge(usize),
}

/// Splits and merges the stream, one change after the other, and says each.
pub async fn run(producer: Producer, progress: Progress) -> Result<()> {
    for step in STEPS {
        tokio::time::sleep(PAUSE).await;
        let done = match step {
            Step::Split(pick) => producer.split(pick).await?,
            Step::Merge(pick) => producer.merge(pick).await?,
        };
        let (open, all) = producer.count_shards().await?;
        progress.say(&format!("{done}: {open} open shards, {} closed", all - open));
    }
    Ok(())
}

/// Waits for what [`run`] found.
pub async fn end(task: tokio::task::JoinHandle<Result<()>>) -> Result<()> {
    task.await.map_err(|error| Error::Other(format!("resharding: {error}")))?
}
