//! `SubscribeToShard` with the AWS SDK for Rust.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEventStream,
};

use super::Outcome;
use super::read_sdk::Count;

/// Registers a consumer and waits until it is active.
pub async fn register(client: &Client, stream: &str) -> Outcome<String> {
    let summary = client.describe_stream_summary().stream_name(stream).send().await?;
    let arn = summary.stream_description_summary().map(|s| s.stream_arn().to_owned()).unwrap_or_default();
    let name = format!("floor-{}", std::process::id());
    let registered = client.register_stream_consumer().stream_arn(&arn).consumer_name(&name).send().await?;
    let consumer = registered.consumer().map(|c| c.consumer_arn().to_owned()).ok_or("no consumer")?;
    for _ in 0..100 {
        let described = client.describe_stream_consumer().consumer_arn(&consumer).send().await?;
        if described.consumer_description().is_some_and(|c| *c.consumer_status() == ConsumerStatus::Active) {
            return Ok(consumer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the consumer does not become active".into())
}

/// Reads one subscription to its end, from the shard's beginning.
pub async fn read(client: &Client, consumer: &str, shard: &str, count: &Count) -> Outcome<()> {
    let position = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build()?;
    let request = client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard);
    let mut answer = request.starting_position(position).send().await?;
    while let Some(event) = answer.event_stream.recv().await? {
        if let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event {
            let bytes: usize = event.records.iter().map(|record| record.data.as_ref().len()).sum();
            count.add(u64::try_from(event.records.len())?, u64::try_from(bytes)?);
        }
    }
    Ok(())
}
