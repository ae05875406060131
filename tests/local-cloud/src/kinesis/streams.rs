//! Streams come and go: `CreateStream`, `DeleteStream`, `ListStreams`, retention and record size.

use std::ops::Bound;
use std::sync::{Arc, RwLock};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::request::{StreamRef, check_name, check_range, seconds};
use super::stream::{State, Status, Stream, even_ranges};
use crate::aws::AwsError;
use crate::sync::{read, write};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateStream {
    stream_name: String,
    shard_count: Option<i64>,
    stream_mode_details: Option<ModeDetails>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_kib: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeDetails {
    stream_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeleteStream {
    #[serde(flatten)]
    stream: StreamRef,
    enforce_consumer_deletion: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListStreams {
    limit: Option<i64>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Retention {
    #[serde(flatten)]
    stream: StreamRef,
    retention_period_hours: u32,
}

#[derive(Deserialize)]
pub(crate) struct MaxRecordSize {
    #[serde(flatten)]
    stream: StreamRef,
    #[serde(rename = "MaxRecordSizeInKiB")]
    kib: i64,
}

impl Kinesis {
    pub(super) fn create(&self, request: &CreateStream) -> Result<Value, AwsError> {
        check_name(&request.stream_name, "streamName")?;
        let on_demand =
            request.stream_mode_details.as_ref().is_some_and(|mode| mode.stream_mode == "ON_DEMAND");
        let shards = match request.shard_count {
            Some(count) => count,
            None if on_demand => 4,
            None => {
                return Err(AwsError::invalid_argument(
                    "ShardCount is required for a stream in PROVISIONED mode.",
                ));
            }
        };
        check_range(shards, "shardCount", 1, 10_000)?;
        self.make(&request.stream_name, u32::try_from(shards).unwrap_or(1), on_demand, self.transition_ms())?;
        if let Some(kib) = request.max_record_kib {
            let stream = self.stream_named(&request.stream_name)?;
            let mut state = write(&stream.state);
            state.max_record_kib = kib;
            stream.save(&state)?;
        }
        Ok(Value::Null)
    }

    /// Makes a stream that is CREATING for `transition_ms`.
    pub(super) fn make(
        &self,
        name: &str,
        shards: u32,
        on_demand: bool,
        transition_ms: i64,
    ) -> Result<(), AwsError> {
        let (account, region) = (&self.inner.options.account, &self.inner.options.region);
        if self.stream_named(name).is_ok() {
            return Err(AwsError::in_use(format!("Stream {name} under account {account} already exists.")));
        }
        let now_ms = self.now_ms();
        let status = if transition_ms > 0 { Status::Creating } else { Status::Active };
        let mut state =
            State::new(status, now_ms + transition_ms, self.inner.created.clone(), self.inner.disk.clone());
        let created_ms = self.inner.created.next(now_ms);
        for (start, end) in even_ranges(shards) {
            state.add(now_ms, start, end, &[]);
        }
        state.route();
        let stream = Stream {
            name: name.to_owned(),
            arn: format!("arn:aws:kinesis:{region}:{account}:stream/{name}"),
            account: account.clone(),
            created_ms,
            on_demand,
            state: RwLock::new(state),
        };
        let mut streams = write(&self.inner.streams);
        if streams.contains_key(name) {
            return Err(AwsError::in_use(format!("Stream {name} under account {account} already exists.")));
        }
        stream.save(&read(&stream.state))?;
        streams.insert(name.to_owned(), Arc::new(stream));
        Ok(())
    }

    pub(super) fn delete(&self, request: &DeleteStream) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        {
            let mut state = write(&stream.state);
            if !state.consumers.is_empty() && request.enforce_consumer_deletion != Some(true) {
                return Err(AwsError::in_use(format!(
                    "Stream {} under account {} has registered consumers.",
                    stream.name, stream.account
                )));
            }
            state.status = Status::Deleting;
            state.settles_ms = self.now_ms() + self.transition_ms();
        }
        stream.forget();
        // With no transition the stream is gone at once.
        let _ = self.stream_named(&stream.name);
        Ok(Value::Null)
    }

    pub(super) fn list_streams(&self, request: &ListStreams) -> Result<Value, AwsError> {
        let limit = request.limit.unwrap_or(100);
        check_range(limit, "limit", 1, 10_000)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let after = request.next_token.as_ref().or(request.exclusive_start_stream_name.as_ref());
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_str()));
        let mut found: Vec<Arc<Stream>> = {
            let streams = read(&self.inner.streams);
            streams.range::<str, _>((from, Bound::Unbounded)).map(|(_, stream)| Arc::clone(stream)).collect()
        };
        found.retain(|stream| stream.settle(self.now_ms()));
        let more = found.len() > limit;
        found.truncate(limit);
        let names: Vec<_> = found.iter().map(|stream| stream.name.clone()).collect();
        let mut out = json!({ "HasMoreStreams": more, "StreamSummaries": found.iter().map(|s| s.summary()).collect::<Vec<_>>() });
        if let (true, Some(last)) = (more, names.last()) {
            out["NextToken"] = last.clone().into();
        }
        out["StreamNames"] = names.into();
        Ok(out)
    }

    pub(super) fn set_retention(&self, request: &Retention, increase: bool) -> Result<Value, AwsError> {
        let stream = self.stream(&request.stream)?;
        let hours = request.retention_period_hours;
        let mut state = write(&stream.state);
        let direction =
            if increase { hours >= state.retention_hours } else { hours <= state.retention_hours };
        if !(24..=8760).contains(&hours) || !direction {
            return Err(AwsError::invalid_argument(format!(
                "Requested retention period ({hours} hours) for stream {} does not fit its current one ({} hours) or the range of 24 to 8760 hours.",
                stream.name, state.retention_hours
            )));
        }
        state.retention_hours = hours;
        stream.save(&state)?;
        Ok(Value::Null)
    }

    pub(super) fn set_max_record_size(&self, request: &MaxRecordSize) -> Result<Value, AwsError> {
        check_range(request.kib, "maxRecordSizeInKiB", 1024, 10_240)?;
        let stream = self.stream(&request.stream)?;
        let mut state = write(&stream.state);
        state.max_record_kib = usize::try_from(request.kib).unwrap_or(1024);
        stream.save(&state)?;
        Ok(Value::Null)
    }
}

impl Stream {
    fn summary(&self) -> Value {
        json!({
            "StreamName": self.name,
            "StreamARN": self.arn,
            "StreamStatus": read(&self.state).status.name(),
            "StreamModeDetails": self.mode(),
            "StreamCreationTimestamp": seconds(self.created_ms),
        })
    }
}
