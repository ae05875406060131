//! A source alone, for what can be seen before a table comes in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis::{Batch, Source, SourceConfig};
use tokio::runtime::Handle;

use crate::Error;

const WAIT: Duration = Duration::from_millis(100);

/// A running source whose batches are all committed.
pub struct Intake {
    /// Batches so far.
    pub batches: Vec<Arc<Batch>>,
    source: Source,
}

impl Intake {
    /// Starts a source.
    ///
    /// # Errors
    /// When the properties are refused.
    pub fn start(properties: &BTreeMap<String, String>) -> Result<Self, Error> {
        let config = SourceConfig::from_properties(properties)?;
        Ok(Self { batches: Vec::new(), source: Source::start(config, &Handle::current()) })
    }

    /// FlowFiles so far.
    pub fn parts(&self) -> impl Iterator<Item = &kinesis::Part> {
        self.batches.iter().flat_map(|batch| &batch.parts)
    }

    /// Records so far: rows and rejected payloads.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.parts().map(|part| part.records).sum()
    }

    /// Takes batches until `records` records have come.
    ///
    /// # Errors
    /// When the source fails, or `limit` is over; with what the source said meanwhile.
    pub async fn run_until(&mut self, limit: Duration, records: u64) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        while self.records() < records {
            if Instant::now() > deadline {
                let said: Vec<_> = self.source.messages().into_iter().map(|message| message.text).collect();
                let (came, status) = (self.records(), self.source.status());
                return Err(
                    format!("{came} of {records} records in {limit:?}; said {said:?}; {status}").into()
                );
            }
            if let Some(batch) = self.source.next_batch(WAIT).await? {
                self.source.settle(batch.id, true)?;
                self.batches.push(batch);
            }
        }
        Ok(())
    }

    /// Ends the source.
    pub async fn stop(self) {
        self.source.close(Duration::from_secs(5)).await;
    }
}
