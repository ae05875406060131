//! Random troubles over the whole flow, against a numbered writer: nothing may be missing, doubled, mislabelled or out
//! of order at the end. What happens is drawn from a seed; when it happens is up to the machine.

mod keep;
mod oracle;
mod site;
mod told;
mod trouble;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use local_cloud::{AccessKey, Limits, LocalCloud, Options as CloudOptions};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

pub use oracle::Findings;
use site::{Log, Node, Site, ensure_running};
use told::{Shelf, Told};
pub use trouble::{Mix, Trouble};
use writer::{Fate, Ledger, Written};

use crate::{Connector, Endpoints, Error, Nifi, NifiHome, NifiOptions, Result, Settings};

const SAY_EVERY: Duration = Duration::from_secs(5);
/// A flow that moves nothing for this long will not move by itself: longer than the connector's own longest patience.
const STALL: Duration = Duration::from_secs(150);
/// What might come twice comes within this time.
const SETTLE: Duration = Duration::from_secs(3);
const FLOW_STOP: Duration = Duration::from_secs(30);
const STREAM: &str = "soak";

/// What to run.
#[derive(Debug, Clone)]
pub struct SoakOptions {
    /// Folder for instances, logs and evidence; emptied first.
    pub folder: PathBuf,
    /// NiFi.
    pub home: NifiHome,
    /// JDK for it.
    pub java_home: PathBuf,
    /// The NAR.
    pub nar: PathBuf,
    /// The flow definition.
    pub flow: PathBuf,
    /// How long troubles go on.
    pub lasting: Duration,
    /// Where the random numbers begin.
    pub seed: u64,
    /// NiFi instances, which share stream, application name and table.
    pub nodes: usize,
    /// Which troubles.
    pub mix: Mix,
    /// `SHARED_THROUGHPUT` or `ENHANCED_FAN_OUT`.
    pub consumer_type: String,
}

/// How it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Where the random numbers began.
    pub seed: u64,
    /// How long troubles went on.
    pub seconds: f64,
    /// Time from the end of the troubles until the last row was in the table.
    pub recovered_after: f64,
    /// NiFi instances.
    pub nodes: usize,
    /// Troubles.
    pub troubles: u64,
    /// SIGKILLs among them.
    pub kills: u64,
    /// Shards at the end, closed ones included.
    pub shards: usize,
    /// What the oracle found.
    #[serde(flatten)]
    pub findings: Findings,
    /// Folder with logs and evidence.
    pub folder: PathBuf,
}

/// Runs it all; `say` gets progress, a line at a time.
pub async fn run(options: &SoakOptions, say: &(dyn Fn(&str) + Send + Sync)) -> Result<Outcome> {
    let (mut site, ledger, writing) = start(options, say).await?;
    let begun = Instant::now();
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut said = Instant::now();
    let (mut gap, mut next) = options.mix.draw(&mut rng);
    let mut due = Instant::now() + gap;
    while begun.elapsed() < options.lasting {
        if Instant::now() >= due {
            site.apply(next);
            (gap, next) = options.mix.draw(&mut rng);
            due = Instant::now() + gap;
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            say(&progress(&site, &ledger));
        }
        site.failed()?;
        sleep(Duration::from_millis(50)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    say("healing");
    site.heal().await?;
    ledger.stop();
    writing.await.map_err(|error| Error::Unexpected(format!("the writer: {error}")))??;
    let healed = Instant::now();
    let lines = ledger.take();
    wait_for_rows(&site, &lines, say).await?;
    let recovered_after = healed.elapsed().as_secs_f64();
    told::settled(&site.nodes, oracle::expected(&lines, Fate::Unreadable), STALL).await?;
    sleep(SETTLE).await;
    for node in &site.nodes {
        node.connector.stop(FLOW_STOP).await?;
    }
    say("reading what was told");
    let findings = compare(&site, lines, &options.folder).await?;
    let shards = site.cloud.kinesis().shards(STREAM).map(|shards| shards.len()).unwrap_or(0);
    let outcome = Outcome {
        seed: options.seed,
        seconds,
        recovered_after,
        nodes: options.nodes,
        troubles: site.log.troubles.load(Ordering::Relaxed),
        kills: site.log.kills.load(Ordering::Relaxed),
        shards,
        findings,
        folder: options.folder.clone(),
    };
    stop(site).await?;
    Ok(outcome)
}

async fn compare(site: &Site, lines: Vec<Written>, folder: &Path) -> Result<Findings> {
    let told = Told::read(&site.nodes).await?;
    let (cloud, settings) = (Arc::clone(&site.cloud), site.settings.clone());
    let compared = tokio::task::spawn_blocking(move || {
        let findings = oracle::compare(&cloud, &settings, &lines, &told);
        (findings, lines)
    });
    let (findings, lines) = compared.await.map_err(|error| Error::Unexpected(error.to_string()))?;
    let findings = findings?;
    if !findings.is_clean() {
        keep_evidence(site, &lines, &findings, folder)?;
    }
    Ok(findings)
}

/// What one needs to understand a failure, beside the logs: the ledger, the findings, leases and channels.
fn keep_evidence(site: &Site, lines: &[Written], findings: &Findings, folder: &Path) -> Result<()> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))
    };
    let ledger = lines.iter().map(|line| format!("{line:?}\n")).collect();
    write("ledger.txt", ledger)?;
    write("findings.txt", findings.examples.join("\n"))?;
    let leases = site.cloud.dynamodb().items(&site.settings.application);
    write("leases.txt", format!("{leases:#?}"))?;
    let snapshot = site.cloud.snowflake().snapshot();
    write("channels.txt", format!("{:#?}", snapshot.channels))?;
    let requests = site.cloud.snowflake().journal().requests();
    write("snowflake-requests.txt", requests.iter().map(|request| format!("{request:?}\n")).collect())
}

async fn stop(site: Site) -> Result<()> {
    for node in &site.nodes {
        node.nifi.lock().await.stop().await?;
    }
    if let Some(cloud) = Arc::into_inner(site.cloud) {
        cloud.stop().await;
    }
    Ok(())
}

/// Rows in the table and in its error table.
fn arrived(site: &Site) -> (u64, u64) {
    let tables = site.cloud.snowflake().snapshot().tables;
    let table = tables.iter().find(|table| table.name == site.settings.table);
    table.map_or((0, 0), |table| (table.rows, table.error_rows))
}

fn progress(site: &Site, ledger: &Ledger) -> String {
    let (rows, rejected) = arrived(site);
    let shards = site.cloud.kinesis().shards(STREAM).unwrap_or_default();
    let open = shards.iter().filter(|shard| !shard.closed).count();
    let up = site.nodes.iter().filter(|node| node.nifi.try_lock().is_ok()).count();
    let load = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    format!(
        "put {}, rows {rows}, rejected {rejected}; {open} open of {} shards; {up} of {} nodes untroubled; \
         {} troubles, {} kills; last: {}",
        ledger.put(),
        shards.len(),
        site.nodes.len(),
        load(&site.log.troubles),
        load(&site.log.kills),
        site.log.last().chars().take(90).collect::<String>()
    )
}

/// Until all is there, or nothing has moved for long: then the oracle says what is missing.
async fn wait_for_rows(site: &Site, lines: &[Written], say: &(dyn Fn(&str) + Send + Sync)) -> Result<()> {
    let expected = (oracle::expected(lines, Fate::Row), oracle::expected(lines, Fate::Rejected));
    let (mut last, mut moved, mut said) = ((0, 0), Instant::now(), Instant::now());
    loop {
        let now = arrived(site);
        if now.0 >= expected.0 && now.1 >= expected.1 {
            return Ok(());
        }
        if now != last {
            (last, moved) = (now, Instant::now());
        } else if moved.elapsed() > STALL {
            say(&format!("nothing has moved for {} s", STALL.as_secs()));
            return Ok(());
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            say(&format!(
                "rows {} of {}, rejected {} of {}, after the last trouble",
                now.0, expected.0, now.1, expected.1
            ));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

type Started = (Site, Arc<Ledger>, tokio::task::JoinHandle<Result<()>>);

async fn start(options: &SoakOptions, say: &(dyn Fn(&str) + Send + Sync)) -> Result<Started> {
    let folder = &options.folder;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io(format!("emptying {}", folder.display())))?;
    }
    fs::create_dir_all(folder).map_err(Error::io(format!("creating {}", folder.display())))?;
    let log = Arc::new(Log::create(&folder.join("events.log"))?);
    let (cloud, endpoints, settings) = start_cloud(options).await?;
    let keeper = keep::nar(&options.home, &options.java_home, &folder.join("keep-files"))?;
    let mut nodes = Vec::new();
    for number in 1..=options.nodes {
        say(&format!("starting NiFi {number} of {}", options.nodes));
        nodes.push(Arc::new(start_node(options, &endpoints, &settings, &keeper, number).await?));
    }
    let ledger = Arc::new(Ledger::default());
    let writer = writer::write(Arc::clone(&cloud), STREAM.to_owned(), options.seed, Arc::clone(&ledger));
    let site = Site { cloud, settings, nodes, log, under_way: JoinSet::new() };
    Ok((site, ledger, tokio::spawn(writer)))
}

/// A cloud that keeps to the service's limits for reading, and nodes that may do what the documentation asks for and
/// nothing else.
async fn start_cloud(options: &SoakOptions) -> Result<(Arc<LocalCloud>, Endpoints, Settings)> {
    let unexpected = |error: &dyn std::fmt::Display| Error::Unexpected(format!("local cloud: {error}"));
    let mut cloud_options =
        CloudOptions { folder: Some(options.folder.join("cloud")), ..CloudOptions::default() };
    cloud_options.kinesis.limits = Limits { read: true, write: false };
    cloud_options.snowflake.commit_delay = Duration::from_millis(200);
    let cloud = LocalCloud::start(cloud_options).await.map_err(|error| unexpected(&error))?;
    let mut settings = Settings::new(STREAM, "SOAK");
    settings.consumer_type.clone_from(&options.consumer_type);
    let policy = cloud.connector_policy(&settings.stream, &settings.application);
    let (id, secret) = ("AKIASOAKNODES0000001", "soak/secret/key/that/opens/nothing");
    cloud.add_access_key(AccessKey::new(id, secret, "nodes", Some(policy)));
    let mut endpoints = cloud.endpoints();
    (endpoints.aws_access_key_id, endpoints.aws_secret_access_key) = (id.to_owned(), secret.to_owned());
    let endpoints = serde_json::to_value(endpoints).and_then(serde_json::from_value);
    let endpoints = endpoints.map_err(|error| unexpected(&error))?;
    cloud.kinesis().create_stream(STREAM, 4).map_err(|error| unexpected(&error))?;
    cloud.faults().seed(options.seed);
    let table = settings.full_table();
    for statement in [
        "CREATE DATABASE SHARDFLOW".to_owned(),
        "CREATE SCHEMA IF NOT EXISTS SHARDFLOW.PUBLIC".to_owned(),
        format!(
            "CREATE TABLE {table} (kinesisMetadata OBJECT, ID NUMBER, K VARCHAR, N NUMBER, QTY NUMBER) \
             ENABLE_SCHEMA_EVOLUTION = TRUE ERROR_LOGGING = TRUE"
        ),
    ] {
        cloud.snowflake().sql(&statement).map_err(|error| unexpected(&error))?;
    }
    Ok((Arc::new(cloud), endpoints, settings))
}

async fn start_node(
    options: &SoakOptions,
    endpoints: &Endpoints,
    settings: &Settings,
    keeper: &Path,
    number: usize,
) -> Result<Node> {
    let mut nifi = NifiOptions::new(options.folder.join(format!("nifi-{number}")), &options.java_home);
    nifi.nars = vec![options.nar.clone(), keeper.to_owned()];
    nifi.env = vec![("SSL_CERT_FILE".to_owned(), endpoints.snowflake_ca_file.clone())];
    let nifi = Nifi::start(&options.home, nifi).await?;
    let connector = Connector::import(nifi.rest(), &options.flow).await?;
    let shelf = Shelf::put_up(&connector, options.folder.join(format!("told-{number}"))).await?;
    connector.configure_and_start(&settings.parameters(endpoints)?).await?;
    // A kill before the canvas is on disk would leave an empty one.
    crate::rest::wait_for("the flow on disk", Duration::from_secs(30), || async {
        let stored: Value = serde_json::from_str(&nifi.stored_flow().unwrap_or_default()).unwrap_or_default();
        let stored = stored.to_string();
        let kept = stored.contains(r#""selectedRelationships":["parse-failure"]"#)
            && stored.contains(&settings.stream);
        Ok((kept && stored.contains("RUNNING")).then_some(()))
    })
    .await?;
    let node = Node { name: format!("node {number}"), nifi: Mutex::new(nifi), connector, shelf };
    ensure_running(&node).await?;
    Ok(node)
}
