//! A NiFi with processors of the delivered flow in it, and what is read off it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nifi_harness::rest::wait_for;
use nifi_harness::{Endpoints, Nifi, NifiOptions, RestClient};
use serde_json::{Value, json};

use super::machine;
use super::stats::float;
use crate::error::{Error, Result, io};
use crate::nar;
use crate::place::Place;
use crate::progress::Progress;

const CONSUMED: &str = "Records Consumed";
const STOP: Duration = Duration::from_secs(20);
/// Until the first record of a start is in NiFi: tables, leases and subscriptions come first.
const FIRST: Duration = Duration::from_secs(40);

/// A NiFi, and the processor that reads.
pub struct Rig {
    /// NiFi.
    pub nifi: Nifi,
    /// Its API.
    pub rest: RestClient,
    /// Process group.
    pub group: String,
    /// ConsumeKinesis.
    pub consumer: String,
    runs: u32,
}

/// What NiFi had done and used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    records: u64,
    cpu: Duration,
    collecting: Duration,
}

/// What NiFi did and used between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Records that became part of FlowFiles.
    pub records: f64,
    /// Wall-clock time.
    pub seconds: f64,
    /// Time on a processor.
    pub cpu_seconds: f64,
    /// Part of the wall-clock time in which the JVM collected garbage.
    pub collecting: f64,
}

/// What a run reads.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Stream.
    pub stream: &'a str,
    /// `SHARED_THROUGHPUT` or `ENHANCED_FAN_OUT`.
    pub consumer_type: &'a str,
    /// Where to begin.
    pub position: &'a str,
}

impl Rig {
    /// Builds the NAR, starts NiFi in `folder` and imports the flow as `change` makes it.
    pub async fn start(
        place: &Place,
        folder: &Path,
        env: Vec<(String, String)>,
        change: impl FnOnce(&mut Value),
        progress: &Progress,
    ) -> Result<Self> {
        progress.say("building the native library and the NAR");
        let nar = nar::build(place)?;
        let home = place.nifi_home(progress)?;
        progress.say("starting NiFi");
        let mut options = NifiOptions::new(folder.join("nifi"), &place.java_home);
        options.nars = vec![nar];
        options.env = env;
        // Events show their time in the JVM's zone.
        options.jvm_options = vec!["-Duser.timezone=UTC".to_owned()];
        let nifi = Nifi::start(&home, options).await?;
        let rest = nifi.rest().clone();
        let flow = changed_flow(place, folder, change)?;
        let group = rest.import_flow(&rest.root_group().await?, "Bench", &flow).await?;
        let consumer = rest.processor_of_class(&group, "ConsumeKinesis").await?.id;
        Ok(Self { nifi, rest, group, consumer, runs: 0 })
    }

    /// Starts the consumer from the stream's beginning (or its end), as an application of its own.
    pub async fn consume(&mut self, endpoints: &Endpoints, source: Source<'_>) -> Result<()> {
        self.runs += 1;
        let properties = json!({
            "Stream Name": source.stream,
            "Application Name": format!("bench-{}", self.runs),
            "Region": endpoints.aws_region,
            "AWS Access Key ID": endpoints.aws_access_key_id,
            "AWS Secret Access Key": endpoints.aws_secret_access_key,
            "Consumer Type": source.consumer_type,
            "Initial Stream Position": source.position,
            "Endpoint Override URL": endpoints.aws_endpoint,
        });
        self.rest.set_properties(&self.consumer, properties).await?;
        self.start_processor(&self.consumer).await
    }

    /// Starts one processor once NiFi has validated it.
    pub async fn start_processor(&self, id: &str) -> Result<()> {
        let valid = wait_for("the validation of the processor", STOP, || async {
            let processor = self.rest.processor(id).await?;
            Ok((processor.validation_status != "VALIDATING").then_some(processor))
        });
        let processor = valid.await?;
        if processor.validation_status != "VALID" {
            let errors = processor.validation_errors.join("; ");
            return Err(Error::Other(format!("{} is invalid: {errors}", processor.name)));
        }
        Ok(self.rest.schedule_processor(id, "RUNNING").await?)
    }

    /// Stops the only processor that runs.
    pub async fn stop_processor(&self, id: &str) -> Result<()> {
        self.rest.schedule_processor(id, "STOPPED").await?;
        Ok(self.rest.wait_until_idle(&self.group, STOP).await?)
    }

    /// Stops everything.
    pub async fn stop_all(&self) -> Result<()> {
        self.rest.stop_group(&self.group).await?;
        Ok(self.rest.wait_until_idle(&self.group, STOP).await?)
    }

    /// Records consumed since NiFi started.
    pub async fn consumed(&self) -> Result<u64> {
        let count = self.rest.counter(&self.consumer, CONSUMED).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Waits until records beyond `before` have been consumed.
    pub async fn wait_for_records(&self, before: u64) -> Result<()> {
        let waited = wait_for("the first records", FIRST, || async {
            let count = self.rest.counter(&self.consumer, CONSUMED).await?;
            Ok((u64::try_from(count).unwrap_or(0) > before).then_some(()))
        });
        match waited.await {
            Ok(()) => Ok(()),
            Err(error) => Err(Error::Other(format!("{error}\n{}", self.nifi.log_tail(20)))),
        }
    }

    /// What NiFi has done and used so far.
    pub async fn reading(&self) -> Result<Reading> {
        let collecting = self.rest.garbage_collection().await?;
        let records = self.consumed().await?;
        Ok(Reading { at: Instant::now(), records, cpu: machine::cpu(self.nifi.process_id())?, collecting })
    }

    /// What NiFi did and used since `before`.
    pub async fn used(&self, before: &Reading) -> Result<Used> {
        let after = self.reading().await?;
        let seconds = (after.at - before.at).as_secs_f64();
        Ok(Used {
            records: float(after.records - before.records),
            seconds,
            cpu_seconds: after.cpu.saturating_sub(before.cpu).as_secs_f64(),
            collecting: after.collecting.saturating_sub(before.collecting).as_secs_f64() / seconds,
        })
    }
}

/// The delivered flow, changed, as a file to import.
fn changed_flow(place: &Place, folder: &Path, change: impl FnOnce(&mut Value)) -> Result<PathBuf> {
    let path = place.flow();
    let text = fs::read_to_string(&path).map_err(io(format!("reading {}", path.display())))?;
    let mut flow: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Other(format!("{} is not JSON: {error}", path.display())))?;
    change(&mut flow);
    fs::create_dir_all(folder).map_err(io(format!("creating {}", folder.display())))?;
    let file = folder.join("flow.json");
    fs::write(&file, flow.to_string()).map_err(io(format!("writing {}", file.display())))?;
    Ok(file)
}

/// Leaves only the consumer in the flow; what it emits is dropped at once.
pub fn only_consumer(flow: &mut Value) {
    let Some(contents) = flow.get_mut("flowContents") else { return };
    if let Some(processors) = contents.get_mut("processors").and_then(Value::as_array_mut) {
        processors.retain(|processor| {
            processor
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with(".ConsumeKinesis"))
        });
        for processor in processors {
            processor["autoTerminatedRelationships"] = json!(["success", "parse-failure"]);
        }
    }
    for part in ["connections", "funnels", "labels"] {
        contents[part] = json!([]);
    }
}

/// Lets the queues take all that is to be published.
pub fn long_queue(flow: &mut Value) {
    let connections = flow.pointer_mut("/flowContents/connections").and_then(Value::as_array_mut);
    for connection in connections.into_iter().flatten() {
        connection["backPressureDataSizeThreshold"] = json!("16 GB");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_take_more() {
        let mut flow =
            json!({ "flowContents": { "connections": [{ "backPressureDataSizeThreshold": "2 GB" }] } });
        long_queue(&mut flow);
        assert_eq!(
            flow.pointer("/flowContents/connections/0/backPressureDataSizeThreshold"),
            Some(&json!("16 GB"))
        );
    }

    #[test]
    fn the_consumer_is_left_alone() {
        let mut flow = json!({ "flowContents": { "connections": [1], "funnels": [2], "processors": [
            { "type": "x.ConsumeKinesis" }, { "type": "x.PublishSnowpipeStreaming" },
        ] } });
        only_consumer(&mut flow);
        assert_eq!(
            flow["flowContents"]["processors"],
            json!([{ "type": "x.ConsumeKinesis", "autoTerminatedRelationships": ["success", "parse-failure"] }])
        );
        assert_eq!(
            (&flow["flowContents"]["connections"], &flow["flowContents"]["funnels"]),
            (&json!([]), &json!([]))
        );
    }
}
