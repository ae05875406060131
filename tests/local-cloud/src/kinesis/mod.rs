//! Kinesis Data Streams.

mod aggregate;
mod answer;
mod consumers;
mod describe;
mod direct;
mod disk;
mod events;
mod generator;
mod iterator;
mod limits;
mod list;
mod log;
mod number;
mod put;
mod read;
mod request;
mod reshard;
mod router;
mod shard;
mod stream;
mod streams;
mod subscription;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::aws::AwsError;
use crate::sync::{read, write};
use local_snowflake::Clock;

pub use aggregate::kpl_aggregate;
pub use direct::{Receipt, Record, ShardInfo};
pub(crate) use events::CONTENT_TYPE as EVENT_STREAM;
pub use generator::{Generator, generated_record};
pub use limits::Limits;
pub use router::Format;
pub(crate) use router::{OPERATIONS, Reply};

use disk::Disk;
use request::StreamRef;
use stream::{Creations, Stream};

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct KinesisOptions {
    /// Account number in ARNs.
    pub account: String,
    /// Region in ARNs.
    pub region: String,
    /// How long a stream stays CREATING, UPDATING or DELETING.
    pub transition: Duration,
    /// Enforced throughput limits.
    pub limits: Limits,
    /// Most bytes kept of one shard; older records are trimmed.
    pub max_shard_bytes: u64,
    /// Largest `PutRecords` request, payloads and partition keys together.
    pub max_request_bytes: usize,
}

impl Default for KinesisOptions {
    fn default() -> Self {
        Self {
            account: "000000000000".into(),
            region: "us-west-2".into(),
            transition: Duration::from_millis(200),
            limits: Limits::default(),
            max_shard_bytes: 4 << 30,
            max_request_bytes: 10 << 20,
        }
    }
}

/// The service. Clones share their streams.
#[derive(Clone, Debug)]
pub struct Kinesis {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: KinesisOptions,
    limits: RwLock<Limits>,
    clock: Clock,
    streams: RwLock<BTreeMap<String, Arc<Stream>>>,
    created: Creations,
    /// Keeps the streams over a restart.
    disk: Option<Disk>,
}

impl Kinesis {
    /// A service without streams.
    #[must_use]
    pub fn new(options: KinesisOptions, clock: Clock) -> Self {
        Self::with(options, clock, Creations::default(), Vec::new(), None)
    }

    /// A service that keeps its streams and their records in `folder`, with those that are there.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(options: KinesisOptions, clock: Clock, folder: &Path) -> io::Result<Self> {
        let disk = Disk::open(folder)?;
        let created = Creations::default();
        let streams = disk.load(&created, clock.now_ms(), options.max_shard_bytes)?;
        Ok(Self::with(options, clock, created, streams, Some(disk)))
    }

    fn with(
        options: KinesisOptions,
        clock: Clock,
        created: Creations,
        streams: Vec<Stream>,
        disk: Option<Disk>,
    ) -> Self {
        let limits = RwLock::new(options.limits);
        let streams = streams.into_iter().map(|stream| (stream.name.clone(), Arc::new(stream)));
        Self {
            inner: Arc::new(Inner {
                options,
                limits,
                clock,
                streams: RwLock::new(streams.collect()),
                created,
                disk,
            }),
        }
    }

    /// Changes which throughput limits are enforced.
    pub fn set_limits(&self, limits: Limits) {
        *write(&self.inner.limits) = limits;
    }

    fn limits(&self) -> Limits {
        *read(&self.inner.limits)
    }

    fn now_ms(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    fn transition_ms(&self) -> i64 {
        i64::try_from(self.inner.options.transition.as_millis()).unwrap_or(i64::MAX)
    }

    /// The stream of this name as it is now.
    fn stream_named(&self, name: &str) -> Result<Arc<Stream>, AwsError> {
        let found = read(&self.inner.streams).get(name).cloned();
        match found {
            Some(stream) if stream.settle(self.now_ms()) => Ok(stream),
            Some(gone) => {
                let mut streams = write(&self.inner.streams);
                if streams.get(name).is_some_and(|current| Arc::ptr_eq(current, &gone)) {
                    streams.remove(name);
                }
                Err(self.no_stream(name))
            }
            None => Err(self.no_stream(name)),
        }
    }

    fn no_stream(&self, name: &str) -> AwsError {
        AwsError::not_found(format!("Stream {name} under account {} not found.", self.inner.options.account))
    }

    fn stream(&self, reference: &StreamRef) -> Result<Arc<Stream>, AwsError> {
        self.stream_named(&reference.name()?)
    }
}

/// A frame that ends a stream of events with an exception.
pub(crate) fn exception_frame(content_type: &str, exception: &str, payload: &[u8]) -> bytes::Bytes {
    events::frame(events::Kind::Exception(exception), content_type, payload)
}
