//! What a running flow shows: bulletins, queues, counters, provenance.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{RestClient, part, text};
use super::model::{Bulletin, Counter, FlowFileSummary, ProvenanceEvent, Queue};
use crate::Result;

impl RestClient {
    /// The bulletins of a group that NiFi still keeps: five of a component, for five minutes.
    pub async fn bulletins(&self, group: &str) -> Result<Vec<Bulletin>> {
        let path = format!("/flow/bulletin-board?groupId={group}&limit=200");
        let answer: Value = self.get(&path).await?;
        let entities: Vec<Value> = part(&answer, "/bulletinBoard/bulletins")?;
        entities.iter().filter(|e| e.get("bulletin").is_some()).map(|e| part(e, "/bulletin")).collect()
    }

    /// What waits in one connection.
    pub async fn queue(&self, connection: &str) -> Result<Queue> {
        let answer: Value = self.get(&format!("/flow/connections/{connection}/status")).await?;
        part(&answer, "/connectionStatus/aggregateSnapshot")
    }

    /// What waits in all connections of a group together.
    pub async fn queued(&self, group: &str) -> Result<Queue> {
        let answer: Value = self.get(&format!("/flow/process-groups/{group}/status?recursive=true")).await?;
        part(&answer, "/processGroupStatus/aggregateSnapshot")
    }

    /// Every counter of this NiFi.
    pub async fn counters(&self) -> Result<Vec<Counter>> {
        part(&self.get("/counters").await?, "/counters/aggregateSnapshot/counters")
    }

    /// The value of one processor's counter since NiFi started; 0 when it was never adjusted.
    pub async fn counter(&self, processor: &str, name: &str) -> Result<i64> {
        let counters = self.counters().await?;
        let own = counters.iter().filter(|c| c.name == name && c.context.contains(processor));
        Ok(own.map(|c| c.value_count).sum())
    }

    /// The FlowFiles at the head of a connection's queue, at most a hundred.
    pub async fn flow_files(&self, connection: &str) -> Result<Vec<FlowFileSummary>> {
        let listings = format!("/flowfile-queues/{connection}/listing-requests");
        let request: Value = self.post(&listings, &Value::Null).await?;
        let request = format!("{listings}/{}", text(&request, "/listingRequest/id")?);
        let list = self
            .poll(&request, "the listing of a queue", |answer| {
                let finished = answer.pointer("/listingRequest/finished") == Some(&Value::Bool(true));
                finished.then(|| {
                    answer.pointer("/listingRequest/flowFileSummaries").cloned().unwrap_or(json!([]))
                })
            })
            .await?;
        self.delete(&request).await?;
        part(&list, "")
    }

    /// The attributes of a queued FlowFile.
    pub async fn attributes(&self, connection: &str, flow_file: &str) -> Result<BTreeMap<String, String>> {
        let answer: Value = self.get(&format!("/flowfile-queues/{connection}/flowfiles/{flow_file}")).await?;
        part(&answer, "/flowFile/attributes")
    }

    /// The content of a queued FlowFile.
    pub async fn content(&self, connection: &str, flow_file: &str) -> Result<Vec<u8>> {
        let path = format!("/flowfile-queues/{connection}/flowfiles/{flow_file}/content?clientId=shardflow");
        self.fetch(Method::GET, &path, |request| request).await
    }

    /// Drops what is queued anywhere in a group.
    pub async fn empty_queues(&self, group: &str) -> Result<()> {
        let requests = format!("/process-groups/{group}/empty-all-connections-requests");
        let request: Value = self.post(&requests, &Value::Null).await?;
        let request = format!("{requests}/{}", text(&request, "/dropRequest/id")?);
        self.poll(&request, "the emptying of the queues", |answer| {
            (answer.pointer("/dropRequest/finished") == Some(&Value::Bool(true))).then_some(())
        })
        .await?;
        self.delete(&request).await.map(drop)
    }

    /// The newest events that a processor reported, at most `count`.
    pub async fn provenance(&self, processor: &str, count: u32) -> Result<Vec<ProvenanceEvent>> {
        let terms = json!({ "ProcessorID": { "value": processor, "inverse": false } });
        let request = json!({
            "maxResults": count, "summarize": false, "incrementalResults": false, "searchTerms": terms,
        });
        let query: Value = self.post("/provenance", &json!({ "provenance": { "request": request } })).await?;
        let query = format!("/provenance/{}", text(&query, "/provenance/id")?);
        let events = self
            .poll(&query, "the provenance query", |answer| {
                let finished = answer.pointer("/provenance/finished") == Some(&Value::Bool(true));
                finished.then(|| {
                    answer.pointer("/provenance/results/provenanceEvents").cloned().unwrap_or(json!([]))
                })
            })
            .await?;
        self.delete(&query).await?;
        part(&events, "")
    }
}
