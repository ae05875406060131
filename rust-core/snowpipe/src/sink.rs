//! The sink: hands uploads to channels and reports on them.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::config::SinkConfig;
use crate::error::SinkError;
use crate::messages::{Message, Messages};
use crate::progress::Progress;
use crate::request::UploadRequest;
use crate::verify::Finding;

/// Publishes FlowFiles through Snowpipe Streaming channels. Cheap to call from many threads.
#[derive(Debug)]
pub struct Sink {
    messages: Messages,
}

impl Sink {
    /// Starts the sink and returns at once: login, opening and all else are states of its tasks on `runtime`.
    #[must_use]
    pub fn start(_config: SinkConfig, _runtime: &Handle) -> Self {
        Self { messages: Messages::default() }
    }

    /// Announces a FlowFile; its content is asked for when its turn has come.
    ///
    /// # Errors
    /// When the request lacks what the resolution needs, or the sink is closed.
    pub fn begin(&self, _upload: UploadRequest) -> Result<u64, SinkError> {
        Err(SinkError::Closed)
    }

    /// State of an upload; waits up to `wait` while it is `Waiting` or `InFlight`.
    ///
    /// # Errors
    /// When the upload is not known.
    pub async fn advance(&self, upload: u64, _wait: Duration) -> Result<Progress, SinkError> {
        Err(SinkError::UnknownUpload(upload))
    }

    /// Takes a piece of the FlowFile's content, cut anywhere. Runs on the caller's thread; blocks while the channel
    /// holds as much as it may.
    ///
    /// # Errors
    /// When the upload is not in state `WantData`.
    pub fn write(&self, upload: u64, _bytes: &[u8]) -> Result<(), SinkError> {
        Err(SinkError::UnknownUpload(upload))
    }

    /// Ends the content of an upload; also called for an upload of zero bytes.
    ///
    /// # Errors
    /// When the upload is not in state `WantData`.
    pub fn finish_data(&self, upload: u64) -> Result<(), SinkError> {
        Err(SinkError::UnknownUpload(upload))
    }

    /// Forgets an upload: its FlowFile goes back to the queue.
    pub fn abandon(&self, _upload: u64) {}

    /// Bulletins since the last call.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.messages.drain()
    }

    /// Channels, uploads, budget and timers as JSON.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Checks account, login and destination without writing or creating anything.
    pub async fn verify(_config: &SinkConfig) -> Vec<Finding> {
        Vec::new()
    }

    /// Ends all tasks; uploads that are not committed stay so. Takes at most `grace`.
    pub async fn close(&self, _grace: Duration) {}
}
