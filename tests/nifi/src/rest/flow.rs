//! The canvas: groups, processors, connections, running and stopping.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::client::{RestClient, components, part, text, wait_for};
use super::model::{Connection, Processor};
use crate::{Error, Result};

impl RestClient {
    /// Identifier of the root process group. Answers only when NiFi has loaded its flow.
    pub async fn root_group(&self) -> Result<String> {
        text(&self.get("/flow/process-groups/root").await?, "/processGroupFlow/id")
    }

    /// Version of NiFi.
    pub async fn version(&self) -> Result<String> {
        text(&self.get("/flow/about").await?, "/about/version")
    }

    /// Uploads a flow definition into `parent` as a new process group and returns its identifier.
    pub async fn import_flow(&self, parent: &str, name: &str, file: &Path) -> Result<String> {
        let bytes = std::fs::read(file).map_err(Error::io(format!("reading {}", file.display())))?;
        let name_of_file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = Part::bytes(bytes).file_name(name_of_file);
        let form = Form::new()
            .text("groupName", name.to_owned())
            .text("positionX", "0")
            .text("positionY", "0")
            .text("clientId", "shardflow")
            .text("disconnectedNodeAcknowledged", "false")
            .part("file", content);
        let path = format!("/process-groups/{parent}/process-groups/upload");
        let answer: Value = self.send(Method::POST, &path, |request| request.multipart(form)).await?;
        text(&answer, "/id")
    }

    /// The process group as a flow definition.
    pub async fn download_flow(&self, group: &str) -> Result<Value> {
        self.get(&format!("/process-groups/{group}/download?includeReferencedServices=true")).await
    }

    /// Removes a stopped process group with what is queued in it.
    pub async fn remove_group(&self, group: &str) -> Result<()> {
        self.empty_queues(group).await?;
        let entity: Value = self.get(&format!("/process-groups/{group}")).await?;
        let version = entity.pointer("/revision/version").and_then(Value::as_u64).unwrap_or(0);
        self.delete(&format!("/process-groups/{group}?version={version}&clientId=shardflow")).await?;
        Ok(())
    }

    /// The processors of a group.
    pub async fn processors(&self, group: &str) -> Result<Vec<Processor>> {
        let answer: Value = self.get(&format!("/process-groups/{group}/processors")).await?;
        components(&answer, "/processors")
    }

    /// One processor.
    pub async fn processor(&self, id: &str) -> Result<Processor> {
        part(&self.get(&format!("/processors/{id}")).await?, "/component")
    }

    /// The processor of `group` whose class name ends with `class`.
    pub async fn processor_of_class(&self, group: &str, class: &str) -> Result<Processor> {
        let suffix = format!(".{class}");
        let mut found = self.processors(group).await?.into_iter().filter(|p| p.kind.ends_with(&suffix));
        found.next().ok_or_else(|| Error::Unexpected(format!("the process group has no processor {class}")))
    }

    /// The processors of a group once NiFi has validated all of them.
    pub async fn validated_processors(&self, group: &str) -> Result<Vec<Processor>> {
        wait_for("the validation of the processors", Duration::from_secs(60), || async {
            let processors = self.processors(group).await?;
            let all = processors.iter().all(|p| p.validation_status != "VALIDATING");
            Ok(all.then_some(processors))
        })
        .await
    }

    /// The connections of a group.
    pub async fn connections(&self, group: &str) -> Result<Vec<Connection>> {
        let answer: Value = self.get(&format!("/process-groups/{group}/connections")).await?;
        components(&answer, "/connections")
    }

    /// Adds the one known processor of this class and returns its identifier.
    pub async fn add_processor(&self, group: &str, class: &str) -> Result<String> {
        let kinds = self.processor_types().await?;
        let kind = kinds.iter().find(|kind| kind.kind == class);
        let kind = kind.ok_or_else(|| Error::Unexpected(format!("NiFi knows no processor {class}")))?;
        let crate::rest::Bundle { group: of, artifact, version } = &kind.bundle;
        let component = json!({
            "type": class,
            "bundle": { "group": of, "artifact": artifact, "version": version },
            "position": { "x": 1080, "y": 0 },
        });
        let body = json!({ "revision": { "version": 0 }, "component": component });
        text(&self.post(&format!("/process-groups/{group}/processors"), &body).await?, "/id")
    }

    /// Adds a funnel and returns its identifier.
    pub async fn add_funnel(&self, group: &str) -> Result<String> {
        let body =
            json!({ "revision": { "version": 0 }, "component": { "position": { "x": 1080, "y": 0 } } });
        text(&self.post(&format!("/process-groups/{group}/funnels"), &body).await?, "/id")
    }

    /// Connects two components, each with its type (`PROCESSOR`, `FUNNEL`), and returns the connection. `hold` FlowFiles
    /// stop the source; 0 for no limit.
    pub async fn connect(
        &self,
        group: &str,
        from: (&str, &str),
        relationships: &[&str],
        to: (&str, &str),
        hold: u64,
    ) -> Result<Connection> {
        let end = |(id, kind): (&str, &str)| json!({ "id": id, "groupId": group, "type": kind });
        let component = json!({
            "source": end(from),
            "destination": end(to),
            "selectedRelationships": relationships,
            "backPressureObjectThreshold": hold,
            "backPressureDataSizeThreshold": "0 B",
        });
        let body = json!({ "revision": { "version": 0 }, "component": component });
        part(&self.post(&format!("/process-groups/{group}/connections"), &body).await?, "/component")
    }

    /// Removes an empty connection whose source is stopped.
    pub async fn disconnect(&self, connection: &str) -> Result<()> {
        let path = format!("/connections/{connection}");
        let entity: Value = self.get(&path).await?;
        let version = entity.pointer("/revision/version").and_then(Value::as_u64).unwrap_or(0);
        self.delete(&format!("{path}?version={version}&clientId=shardflow")).await.map(drop)
    }

    /// Ends the auto-termination of all of a stopped processor's relationships but these.
    pub async fn terminate_only(&self, processor: &str, relationships: &[&str]) -> Result<()> {
        let change = json!({ "config": { "autoTerminatedRelationships": relationships } });
        self.update_processor(processor, change).await.map(drop)
    }

    /// Lets the connections that leave a stopped processor hold this many FlowFiles before it is not triggered any more.
    pub async fn limit_queue(&self, group: &str, source: &str, flow_files: u64) -> Result<()> {
        for connection in self.connections(group).await?.into_iter().filter(|c| c.source.id == source) {
            let path = format!("/connections/{}", connection.id);
            let entity: Value = self.get(&path).await?;
            let component = json!({ "id": connection.id, "backPressureObjectThreshold": flow_files });
            let body = json!({ "revision": entity["revision"], "component": component });
            self.put::<Value>(&path, &body).await?;
        }
        Ok(())
    }

    /// Changes a stopped processor; `change` is merged into its `component`.
    pub async fn update_processor(&self, id: &str, change: Value) -> Result<Processor> {
        let entity: Value = self.get(&format!("/processors/{id}")).await?;
        let mut component = json!({ "id": id });
        if let (Some(into), Value::Object(change)) = (component.as_object_mut(), change) {
            into.extend(change);
        }
        let body = json!({ "revision": entity["revision"], "component": component });
        part(&self.put(&format!("/processors/{id}"), &body).await?, "/component")
    }

    /// Sets properties of a stopped processor; null removes a value.
    pub async fn set_properties(&self, id: &str, properties: Value) -> Result<Processor> {
        self.update_processor(id, json!({ "config": { "properties": properties } })).await
    }

    /// Starts everything in a group. Returns when NiFi has accepted it, not when it runs.
    pub async fn start_group(&self, group: &str) -> Result<()> {
        self.schedule_group(group, "RUNNING").await
    }

    /// Stops everything in a group. Returns when NiFi has accepted it; see [`wait_until_idle`](Self::wait_until_idle).
    pub async fn stop_group(&self, group: &str) -> Result<()> {
        self.schedule_group(group, "STOPPED").await
    }

    async fn schedule_group(&self, group: &str, state: &str) -> Result<()> {
        let body = json!({ "id": group, "state": state });
        self.put::<Value>(&format!("/flow/process-groups/{group}"), &body).await.map(drop)
    }

    /// Starts or stops one processor: `RUNNING`, `STOPPED`, `RUN_ONCE`, `DISABLED`.
    pub async fn schedule_processor(&self, id: &str, state: &str) -> Result<()> {
        let entity: Value = self.get(&format!("/processors/{id}")).await?;
        let body = json!({ "revision": entity["revision"], "state": state });
        self.put::<Value>(&format!("/processors/{id}/run-status"), &body).await.map(drop)
    }

    /// Stops a processor and gives up its threads, as a user does to whom a stop takes too long. Whether it had any by then
    /// is in NiFi's log alone.
    pub async fn terminate_processor(&self, id: &str) -> Result<()> {
        self.schedule_processor(id, "STOPPED").await?;
        self.delete(&format!("/processors/{id}/threads")).await.map(drop)
    }

    /// Waits until no processor of a stopped group has a thread or is still stopping.
    pub async fn wait_until_idle(&self, group: &str, limit: Duration) -> Result<()> {
        wait_for("the stop of the process group", limit, || async {
            let answer: Value = self.get(&format!("/process-groups/{group}/processors")).await?;
            let entities: Vec<Value> = part(&answer, "/processors")?;
            let idle = entities.iter().all(|entity| {
                let threads = entity.pointer("/status/aggregateSnapshot/activeThreadCount");
                let physical = entity.get("physicalState").or(entity.pointer("/component/physicalState"));
                threads.and_then(Value::as_u64) == Some(0)
                    && entity.pointer("/component/state").and_then(Value::as_str) != Some("RUNNING")
                    && !matches!(physical.and_then(Value::as_str), Some("STOPPING" | "RUNNING"))
            });
            Ok(idle.then_some(()))
        })
        .await
    }
}
