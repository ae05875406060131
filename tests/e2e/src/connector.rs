//! Source and sink joined by a queue, as the delivered flow joins them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinesis::{Batch, Source, SourceConfig};
use snowpipe::{Progress, Sink, SinkConfig, State, UploadRequest};
use tokio::runtime::Handle;

use crate::Error;
use crate::rig::{Rig, properties};

const WAIT: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(5);
/// As NiFi's stream gives it: pieces that know nothing of rows.
const PIECE: usize = 64 * 1024 + 7;

/// A FlowFile of rows that left the sink.
#[derive(Debug)]
pub struct Published {
    /// How it ended.
    pub progress: Progress,
    /// Its attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// A FlowFile with one payload that is no row.
#[derive(Debug)]
pub struct Rejected {
    /// The payload.
    pub content: Vec<u8>,
    /// Its attributes.
    pub attributes: Vec<(&'static str, String)>,
}

/// A running connector. What it did so far is in its fields.
pub struct Connector {
    /// FlowFiles of rows, in the order of their end.
    pub published: Vec<Published>,
    /// FlowFiles of payloads that are no rows, in the order of the source.
    pub rejected: Vec<Rejected>,
    source: Source,
    sink: Sink,
    destination: Vec<(&'static str, String)>,
    queue: VecDeque<(Arc<Batch>, usize)>,
}

impl Connector {
    /// Starts a source and a sink for the rig's stream and table.
    ///
    /// # Errors
    /// When the properties are refused.
    pub fn start(rig: &Rig, application: &str) -> Result<Self, Error> {
        let [database, schema, table] = rig.table.clone();
        let destination = vec![("Database", database), ("Schema", schema), ("Table", table)];
        Self::with(&rig.source_properties(application), &rig.sink_properties()?, destination)
    }

    /// Starts a source and a sink with properties, for a destination: `Database`, `Schema` and `Table` or `Pipe`.
    ///
    /// # Errors
    /// When the properties are refused.
    pub fn with(
        source: &BTreeMap<String, String>,
        sink: &BTreeMap<String, String>,
        destination: Vec<(&'static str, String)>,
    ) -> Result<Self, Error> {
        let source = SourceConfig::from_properties(source)?;
        let sink = SinkConfig::from_properties(sink)?;
        let runtime = Handle::current();
        Ok(Self {
            published: Vec::new(),
            rejected: Vec::new(),
            source: Source::start(source, &runtime),
            sink: Sink::start(sink, &runtime),
            destination,
            queue: VecDeque::new(),
        })
    }

    /// What source and sink have to say since the last call.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let source = self.source.messages().into_iter().map(|message| message.text);
        source.chain(self.sink.messages().into_iter().map(|message| message.text)).collect()
    }

    /// Rows published so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.published.iter().map(|file| file.progress.rows_sent).sum()
    }

    /// Moves FlowFiles until `done`.
    ///
    /// # Errors
    /// When the connector fails, or `limit` is over; with what the connector said meanwhile.
    pub async fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        while !done(self) {
            if Instant::now() > deadline {
                return Err(self.late(limit).into());
            }
            self.fetch().await?;
            while let Some((batch, part)) = self.queue.pop_front() {
                self.publish(&batch, part, deadline).await?;
            }
        }
        Ok(())
    }

    /// Ends both.
    pub async fn stop(self) {
        self.source.stop_fetching();
        self.source.close(GRACE).await;
        self.sink.close(GRACE).await;
    }

    fn late(&self, limit: Duration) -> String {
        let source: Vec<_> = self.source.messages().into_iter().map(|message| message.text).collect();
        let sink: Vec<_> = self.sink.messages().into_iter().map(|message| message.text).collect();
        format!(
            "not done in {limit:?}: {} rows published, {} payloads rejected; source says {source:?}, sink says {sink:?}; \
             source {}, sink {}",
            self.rows(),
            self.rejected.len(),
            self.source.status(),
            self.sink.status(),
        )
    }

    /// One batch into the queue, which makes it NiFi's: the source may forget it.
    async fn fetch(&mut self) -> Result<(), Error> {
        let Some(batch) = self.source.next_batch(WAIT).await? else { return Ok(()) };
        for (index, part) in batch.parts.iter().enumerate() {
            if part.failed {
                self.rejected
                    .push(Rejected { content: part.content.to_vec(), attributes: part.attributes.clone() });
            } else {
                self.queue.push_back((Arc::clone(&batch), index));
            }
        }
        Ok(self.source.settle(batch.id, true)?)
    }

    async fn publish(&mut self, batch: &Batch, index: usize, deadline: Instant) -> Result<(), Error> {
        let part = &batch.parts[index];
        let value = |name: &str| part.attribute(name).unwrap_or_default().to_owned();
        let stream = value("aws.kinesis.stream.name");
        let group = format!("{stream}.{}.{}", value("aws.kinesis.lineage.id"), value("aws.kinesis.shard.id"));
        let mut named = properties([
            ("Channel Group", group),
            ("Offset Token Start", value("aws.kinesis.first.sharded.sequence.number")),
            ("Offset Token End", value("aws.kinesis.last.sharded.sequence.number")),
            ("Offset Token Previous", value("aws.kinesis.previous.sharded.sequence.number")),
            ("Size", part.content.len().to_string()),
            ("Records", part.records.to_string()),
        ]);
        named.extend(self.destination.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let request = UploadRequest::from_properties(&named)?;
        loop {
            let progress = self.attempt(request.clone(), &part.content, deadline).await?;
            if progress.state != State::Retry {
                self.published.push(Published { progress, attributes: part.attributes.clone() });
                return Ok(());
            }
        }
    }

    /// One upload to its end. The sink's calls may block their thread, as in NiFi.
    async fn attempt(
        &self,
        request: UploadRequest,
        content: &[u8],
        deadline: Instant,
    ) -> Result<Progress, Error> {
        let upload = self.sink.begin(request)?;
        loop {
            let progress = self.sink.advance(upload, WAIT).await?;
            match progress.state {
                State::WantData => tokio::task::block_in_place(|| {
                    content.chunks(PIECE).try_for_each(|piece| self.sink.write(upload, piece))?;
                    self.sink.finish_data(upload)
                })?,
                state if state.is_final() => return Ok(progress),
                _ if Instant::now() > deadline => return Err(self.late(WAIT).into()),
                _ => {}
            }
        }
    }
}
