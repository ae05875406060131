//! What is left to do when a processor is removed for good.

use crate::api::StreamApi;
use crate::aws::{Clients, Stream};
use crate::config::{ConsumerType, SourceConfig};
use crate::core::{place, within};
use crate::trouble::{Kind, Service, Trouble};
use bulletin::{Level, Message};
use std::sync::Arc;
use std::time::Duration;

/// Longest time of one call; NiFi waits for the removal.
const LIMIT: Duration = Duration::from_secs(3);

/// See [`crate::Source::deregister`].
pub(crate) async fn deregister(config: &SourceConfig) -> Vec<Message> {
    if config.consumer_type != ConsumerType::EnhancedFanOut {
        return Vec::new();
    }
    let api = Stream::new(Arc::new(Clients::new(config.clone())));
    let (consumer, stream) = (&config.application_name, &config.stream_name);
    match remove(&api).await {
        Ok(()) => {
            let text = format!("Deregistered the fan-out consumer \"{consumer}\" of stream \"{stream}\".");
            vec![Message { level: Level::Info, text }]
        }
        // Another node of the cluster was faster, or the stream is gone.
        Err(trouble) if matches!(trouble.kind, Kind::NotFound | Kind::InUse) => Vec::new(),
        Err(trouble) => {
            let text = format!(
                "The fan-out consumer \"{consumer}\" of stream \"{stream}\" is still registered and must be \
                 deregistered by hand. {}",
                trouble.explain(&place(config))
            );
            vec![Message { level: Level::Warn, text }]
        }
    }
}

async fn remove(api: &dyn StreamApi) -> Result<(), Trouble> {
    let stream = within(LIMIT, Service::Kinesis, "DescribeStream", api.describe()).await?;
    let consumer = api.consumer(&stream.arn);
    let consumer = within(LIMIT, Service::Kinesis, "DescribeStreamConsumer", consumer).await?;
    within(LIMIT, Service::Kinesis, "DeregisterStreamConsumer", api.deregister(&consumer.arn)).await
}
