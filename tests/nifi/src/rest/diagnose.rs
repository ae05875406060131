//! What a measurement asks NiFi for: events with their times and attributes, and the time spent collecting garbage.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{RestClient, part, text};
use crate::{Error, Result};

/// An event of provenance with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedEvent {
    /// Milliseconds since 1970. NiFi shows times in its own time zone, which has to be UTC.
    pub at_ms: i64,
    /// Attributes of the FlowFile after the event.
    pub attributes: BTreeMap<String, String>,
}

impl RestClient {
    /// Events of one type that a processor reported since `since_ms` (milliseconds since 1970), once NiFi has indexed them.
    /// Of more than `count` of them NiFi leaves some out, not always the oldest.
    pub async fn timed_events(
        &self,
        processor: &str,
        kind: &str,
        since_ms: i64,
        count: u32,
    ) -> Result<Vec<TimedEvent>> {
        let since = query_time(since_ms)
            .ok_or_else(|| Error::Unexpected(format!("{since_ms} is no time since 1970 in milliseconds")))?;
        let terms = json!({
            "ProcessorID": { "value": processor, "inverse": false }, "EventType": { "value": kind, "inverse": false },
        });
        let request = json!({
            "maxResults": count, "summarize": false, "incrementalResults": false, "searchTerms": terms,
            "startDate": since,
        });
        let query: Value = self.post("/provenance", &json!({ "provenance": { "request": request } })).await?;
        let query = format!("/provenance/{}", text(&query, "/provenance/id")?);
        let events: Vec<Value> = self
            .poll(&query, "the provenance query", |answer| {
                let finished = answer.pointer("/provenance/finished") == Some(&Value::Bool(true));
                let events = answer.pointer("/provenance/results/provenanceEvents");
                finished.then(|| events.and_then(Value::as_array).cloned().unwrap_or_default())
            })
            .await?;
        self.delete(&query).await?;
        events.iter().map(timed).collect()
    }

    /// Time that the JVM has spent collecting garbage since it started, all collectors together.
    pub async fn garbage_collection(&self) -> Result<Duration> {
        let answer: Value = self.get("/system-diagnostics").await?;
        let collectors: Vec<Value> = part(&answer, "/systemDiagnostics/aggregateSnapshot/garbageCollection")?;
        let millis = collectors.iter().filter_map(|collector| collector.get("collectionMillis")?.as_u64());
        Ok(Duration::from_millis(millis.sum()))
    }
}

fn timed(event: &Value) -> Result<TimedEvent> {
    let at = text(event, "/eventTime")?;
    let at_ms =
        event_time(&at).ok_or_else(|| Error::Unexpected(format!("\"{at}\" is no time of an event")))?;
    let attributes: Vec<Value> = part(event, "/attributes")?;
    let pairs = attributes.iter().filter_map(|pair| {
        Some((pair.get("name")?.as_str()?.to_owned(), pair.get("value")?.as_str()?.to_owned()))
    });
    Ok(TimedEvent { at_ms, attributes: pairs.collect() })
}

/// `11/23/2026 16:12:09.123 UTC` in milliseconds since 1970.
fn event_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT"))?;
    let time = jiff::civil::DateTime::strptime("%m/%d/%Y %H:%M:%S%.f", text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// `11/23/2026 16:12:09 UTC`, as NiFi takes a time in a query.
fn query_time(ms: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(time.strftime("%m/%d/%Y %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::{event_time, query_time};

    #[test]
    fn times_of_queries_are_those_of_events_to_the_second() {
        assert_eq!(query_time(1_795_450_329_123).as_deref(), Some("11/23/2026 16:12:09 UTC"));
        assert_eq!(query_time(i64::MAX), None);
    }

    #[test]
    fn times_of_events_are_read_to_the_millisecond() {
        assert_eq!(event_time("11/23/2026 16:12:09.123 UTC"), Some(1_795_450_329_123));
        assert_eq!(event_time("11/23/2026 16:12:09.123 CET"), None);
    }
}
