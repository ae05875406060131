//! Registered consumers of enhanced fan-out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::request::{check_name, check_range, seconds, stream_of_arn};
use super::stream::{State, Stream};
use super::subscription::Subscriptions;
use crate::aws::AwsError;
use crate::sync::{lock, read, write};

/// Consumers a stream may have, and how many of them may be CREATING at once.
const MOST: usize = 20;
const MOST_CREATING: usize = 5;

/// A registered consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) arn: String,
    created_ms: i64,
    phase: Mutex<Phase>,
    pub(crate) subscriptions: Subscriptions,
}

#[derive(Clone, Copy, Debug)]
struct Phase {
    deleting: bool,
    settles_ms: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Register {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    consumer_name: String,
}

/// A consumer by its ARN, or by its stream's ARN and its name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConsumerRef {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListConsumers {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    next_token: Option<String>,
    max_results: Option<i64>,
}

impl Consumer {
    pub(crate) fn status(&self, now_ms: i64) -> &'static str {
        let phase = *lock(&self.phase);
        match phase {
            Phase { deleting: true, .. } => "DELETING",
            Phase { settles_ms, .. } if now_ms < settles_ms => "CREATING",
            _ => "ACTIVE",
        }
    }

    fn gone(&self, now_ms: i64) -> bool {
        let phase = *lock(&self.phase);
        phase.deleting && now_ms >= phase.settles_ms
    }

    fn json(&self, now_ms: i64) -> Value {
        json!({
            "ConsumerName": self.name,
            "ConsumerARN": self.arn,
            "ConsumerStatus": self.status(now_ms),
            "ConsumerCreationTimestamp": seconds(self.created_ms),
        })
    }
}

/// Consumers whose deregistration is over are forgotten.
fn settle(state: &mut State, now_ms: i64) -> &mut BTreeMap<String, Arc<Consumer>> {
    state.consumers.retain(|_, consumer| !consumer.gone(now_ms));
    &mut state.consumers
}

impl Kinesis {
    fn stream_of(&self, arn: &str) -> Result<Arc<Stream>, AwsError> {
        let name =
            stream_of_arn(arn).ok_or_else(|| AwsError::invalid_argument(format!("Invalid ARN: {arn}.")))?;
        self.stream_named(name)
    }

    pub(super) fn register_consumer(&self, request: &Register) -> Result<Value, AwsError> {
        check_name(&request.consumer_name, "consumerName")?;
        let stream = self.stream_of(&request.stream_arn)?;
        let now_ms = self.now_ms();
        let mut state = write(&stream.state);
        let consumers = settle(&mut state, now_ms);
        if consumers.contains_key(&request.consumer_name) {
            return Err(AwsError::in_use(format!(
                "Consumer {} under stream {} already exists.",
                request.consumer_name, stream.arn
            )));
        }
        let creating = consumers.values().filter(|consumer| consumer.status(now_ms) == "CREATING").count();
        if consumers.len() >= MOST || creating >= MOST_CREATING {
            return Err(AwsError::new(
                "LimitExceededException",
                format!(
                    "Stream {} already has {} consumers, {creating} of them being created.",
                    stream.name,
                    consumers.len()
                ),
            ));
        }
        let created_ms = self.inner.created.next(now_ms);
        let consumer = Arc::new(Consumer {
            name: request.consumer_name.clone(),
            arn: format!("{}/consumer/{}:{}", stream.arn, request.consumer_name, created_ms / 1000),
            created_ms,
            phase: Mutex::new(Phase { deleting: false, settles_ms: now_ms + self.transition_ms() }),
            subscriptions: Subscriptions::default(),
        });
        consumers.insert(consumer.name.clone(), Arc::clone(&consumer));
        Ok(json!({ "Consumer": consumer.json(now_ms) }))
    }

    pub(super) fn describe_consumer(&self, request: &ConsumerRef) -> Result<Value, AwsError> {
        let (stream, consumer) = self.consumer(request)?;
        let mut description = consumer.json(self.now_ms());
        description["StreamARN"] = stream.arn.clone().into();
        Ok(json!({ "ConsumerDescription": description }))
    }

    pub(super) fn deregister_consumer(&self, request: &ConsumerRef) -> Result<Value, AwsError> {
        let (_, consumer) = self.consumer(request)?;
        *lock(&consumer.phase) = Phase { deleting: true, settles_ms: self.now_ms() + self.transition_ms() };
        consumer.subscriptions.end_all();
        Ok(Value::Null)
    }

    pub(super) fn list_consumers(&self, request: &ListConsumers) -> Result<Value, AwsError> {
        let max = request.max_results.unwrap_or(100);
        check_range(max, "maxResults", 1, 10_000)?;
        let stream = self.stream_of(&request.stream_arn)?;
        let now_ms = self.now_ms();
        let mut state = write(&stream.state);
        let after = request.next_token.clone().unwrap_or_default();
        let consumers = settle(&mut state, now_ms).values().filter(|consumer| consumer.name > after);
        let mut found: Vec<_> = consumers.map(|consumer| consumer.json(now_ms)).collect();
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let more = found.len() > max;
        found.truncate(max);
        let token = found.last().map(|last| last["ConsumerName"].clone()).filter(|_| more);
        let mut out = json!({ "Consumers": found });
        if let Some(token) = token {
            out["NextToken"] = token;
        }
        Ok(out)
    }

    /// The consumer that a request names, with its stream.
    pub(super) fn consumer(&self, request: &ConsumerRef) -> Result<(Arc<Stream>, Arc<Consumer>), AwsError> {
        let arn = request.consumer_arn.as_ref().or(request.stream_arn.as_ref()).ok_or_else(|| {
            AwsError::invalid_argument("Either ConsumerARN, or StreamARN and ConsumerName, must be present.")
        })?;
        let stream = self.stream_of(arn)?;
        settle(&mut write(&stream.state), self.now_ms());
        let found = {
            let state = read(&stream.state);
            let mut consumers = state.consumers.values();
            match (&request.consumer_arn, &request.consumer_name) {
                (Some(arn), _) => consumers.find(|consumer| consumer.arn == *arn).cloned(),
                (None, Some(name)) => consumers.find(|consumer| consumer.name == *name).cloned(),
                (None, None) => None,
            }
        };
        let wanted = request.consumer_arn.as_ref().or(request.consumer_name.as_ref());
        let missing = || {
            AwsError::not_found(format!(
                "Consumer {} under stream {} not found.",
                wanted.map_or("", String::as_str),
                stream.name
            ))
        };
        let consumer = found.ok_or_else(missing)?;
        Ok((stream, consumer))
    }
}

impl ConsumerRef {
    pub(super) fn by_arn(arn: &str) -> Self {
        Self { stream_arn: None, consumer_name: None, consumer_arn: Some(arn.to_owned()) }
    }
}
