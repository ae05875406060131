//! The nodes and the cloud that the troubles happen to.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use local_cloud::{Clock, CutPlan, LocalCloud};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::told::Shelf;
use super::trouble::Trouble;
use crate::rest::wait_for;
use crate::{Connector, Error, Nifi, Result, Settings};

const STOP: Duration = Duration::from_secs(30);
/// Requests are refused when the caller's clock and the service's are five minutes apart.
const CLOCK_LIMIT: Duration = Duration::from_secs(240);

/// A NiFi with the flow.
pub struct Node {
    /// For people.
    pub name: String,
    /// Whoever stops or starts it holds it.
    pub nifi: AsyncMutex<Nifi>,
    /// The flow.
    pub connector: Connector,
    /// Where it keeps what it tells of records that are no rows.
    pub shelf: Shelf,
}

/// Cloud and nodes.
pub struct Site {
    /// The services.
    pub cloud: Arc<LocalCloud>,
    /// Stream and table.
    pub settings: Settings,
    /// NiFi instances that share stream, application and table.
    pub nodes: Vec<Arc<Node>>,
    /// What happened.
    pub log: Arc<Log>,
    /// What goes on by itself.
    pub under_way: JoinSet<Result<()>>,
}

/// What happened and when, in a file; the last entry is shown.
pub struct Log {
    begun: Instant,
    file: Mutex<(File, String)>,
    /// Kills so far.
    pub kills: AtomicU64,
    /// Troubles so far.
    pub troubles: AtomicU64,
    clock_ms: AtomicI64,
}

impl Log {
    /// Starts a log in this file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io(format!("creating {}", path.display())))?;
        Ok(Self {
            begun: Instant::now(),
            file: Mutex::new((file, String::new())),
            kills: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
            clock_ms: AtomicI64::new(0),
        })
    }

    /// One more entry.
    pub fn note(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = self.begun.elapsed().as_secs_f64();
        // The log is for people; a full disk shows elsewhere.
        let _ = writeln!(file.0, "{seconds:8.2} {} {text}", jiff::Timestamp::now());
        text.clone_into(&mut file.1);
    }

    /// The last entry.
    pub fn last(&self) -> String {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Site {
    /// Lets a trouble happen. What ends later goes on by itself.
    pub fn apply(&mut self, trouble: Trouble) {
        self.log.troubles.fetch_add(1, Ordering::Relaxed);
        self.log.note(&format!("{trouble:?}"));
        let cloud = Arc::clone(&self.cloud);
        match trouble {
            Trouble::Split(pick) => self.split(pick),
            Trouble::Merge(pick) => self.merge(pick),
            Trouble::Kill { node, down } => self.spawn_on(node, move |node, log| kill(node, log, down)),
            Trouble::Pause { node, lasting } => self.spawn_on(node, move |node, _| pause(node, lasting)),
            Trouble::Dam { node, lasting } => self.spawn_on(node, move |node, _| dam(node, lasting)),
            Trouble::Cut { aws, snowflake } => cut(&cloud, aws, snowflake),
            Trouble::Cuts { seed, bytes, lasting } => {
                let plan = CutPlan { seed, probability: 0.5, bytes: 0..bytes };
                cloud.aws_network().plan_cuts(Some(plan.clone()));
                cloud.snowflake_network().plan_cuts(Some(plan));
                cut(&cloud, true, true);
                self.under_way.spawn(async move {
                    sleep(lasting).await;
                    cloud.aws_network().plan_cuts(None);
                    cloud.snowflake_network().plan_cuts(None);
                    Ok(())
                });
            }
            Trouble::Aws { rule, lasting } => {
                let rule = cloud.faults().add(rule);
                self.under_way.spawn(async move {
                    sleep(lasting).await;
                    cloud.faults().remove(rule);
                    Ok(())
                });
            }
            Trouble::Snowflake(fault) => cloud.snowflake().faults().add(fault),
            Trouble::Invalidate(pick) => invalidate(&cloud, pick),
            Trouble::ExpireTokens => cloud.snowflake().expire_tokens(),
            Trouble::PauseCommits(lasting) => {
                cloud.snowflake().pause_commits();
                self.under_way.spawn(async move {
                    sleep(lasting).await;
                    cloud.snowflake().resume_commits();
                    Ok(())
                });
            }
            Trouble::CommitDelay(delay) => cloud.snowflake().set_commit_delay(delay),
            Trouble::Clock(by) => self.jump(cloud.clock(), by),
        }
    }

    /// Ends all troubles, and waits until every node is up again.
    pub async fn heal(&mut self) -> Result<()> {
        self.log.note("heal");
        self.cloud.aws_network().plan_cuts(None);
        self.cloud.snowflake_network().plan_cuts(None);
        self.cloud.faults().clear();
        self.cloud.snowflake().faults().clear();
        self.cloud.snowflake().resume_commits();
        self.cloud.snowflake().set_commit_delay(Duration::from_millis(200));
        while let Some(ended) = self.under_way.join_next().await {
            ended.map_err(|error| Error::Unexpected(format!("a trouble's task: {error}")))??;
        }
        for node in &self.nodes {
            ensure_running(node).await?;
        }
        self.log.note("healed");
        Ok(())
    }

    /// What failed so far of what goes on by itself.
    pub fn failed(&mut self) -> Result<()> {
        while let Some(ended) = self.under_way.try_join_next() {
            ended.map_err(|error| Error::Unexpected(format!("a trouble's task: {error}")))??;
        }
        Ok(())
    }

    fn spawn_on<F>(&mut self, node: usize, what: impl FnOnce(Arc<Node>, Arc<Log>) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let Some(node) = self.nodes.get(node % self.nodes.len().max(1)) else { return };
        self.under_way.spawn(what(Arc::clone(node), Arc::clone(&self.log)));
    }

    fn open_shards(&self) -> Vec<String> {
        let shards = self.cloud.kinesis().shards(&self.settings.stream).unwrap_or_default();
        shards.into_iter().filter(|shard| !shard.closed).map(|shard| shard.id).collect()
    }

    fn split(&self, pick: usize) {
        let open = self.open_shards();
        if open.len() >= 12 {
            return self.merge(pick);
        }
        let done = self.cloud.kinesis().split(&self.settings.stream, &open[pick % open.len()]);
        self.log.note(&format!("split: {done:?}"));
    }

    /// Tries all pairs, because only neighbours can be merged.
    fn merge(&self, pick: usize) {
        let open = self.open_shards();
        if open.len() <= 2 {
            return self.split(pick);
        }
        let pairs: Vec<_> = open.iter().flat_map(|one| open.iter().map(move |other| (one, other))).collect();
        for step in 0..pairs.len() {
            let (one, other) = pairs[(pick + step) % pairs.len()];
            if open.len() > 1
                && one != other
                && let Ok(child) = self.cloud.kinesis().merge(&self.settings.stream, one, other)
            {
                return self.log.note(&format!("merged {one} and {other} into {child}"));
            }
        }
    }

    fn jump(&self, clock: &Clock, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(0);
        let limit = i64::try_from(CLOCK_LIMIT.as_millis()).unwrap_or(0);
        if self.log.clock_ms.load(Ordering::Relaxed) + by_ms <= limit {
            self.log.clock_ms.fetch_add(by_ms, Ordering::Relaxed);
            clock.advance(by);
        }
    }
}

fn cut(cloud: &LocalCloud, aws: bool, snowflake: bool) {
    if aws {
        cloud.aws_network().cut_all();
    }
    if snowflake {
        cloud.snowflake_network().cut_all();
    }
}

fn invalidate(cloud: &LocalCloud, pick: usize) {
    let channels = cloud.snowflake().snapshot().channels;
    if let Some(channel) = channels.get(pick % channels.len().max(1)) {
        cloud.snowflake().invalidate_channel(&channel.pipe, &channel.name, "ERR_CHANNEL_INVALIDATED");
    }
}

/// A node that somebody else is stopping or starting is left alone.
async fn kill(node: Arc<Node>, log: Arc<Log>, down: Duration) -> Result<()> {
    let Ok(mut nifi) = node.nifi.try_lock() else { return Ok(()) };
    nifi.kill().await?;
    log.kills.fetch_add(1, Ordering::Relaxed);
    log.note(&format!("{} killed", node.name));
    sleep(down).await;
    nifi.restart().await?;
    log.note(&format!("{} up again", node.name));
    Ok(())
}

async fn pause(node: Arc<Node>, lasting: Duration) -> Result<()> {
    let Ok(_nifi) = node.nifi.try_lock() else { return Ok(()) };
    node.connector.stop(STOP).await?;
    sleep(lasting).await;
    ensure_running(&node).await
}

async fn dam(node: Arc<Node>, lasting: Duration) -> Result<()> {
    let Ok(_nifi) = node.nifi.try_lock() else { return Ok(()) };
    node.connector.rest.schedule_processor(&node.connector.publisher, "STOPPED").await?;
    sleep(lasting).await;
    ensure_running(&node).await
}

/// A processor that is still stopping cannot be started, so it is tried until both run.
pub(super) async fn ensure_running(node: &Node) -> Result<()> {
    let Connector { rest, group, .. } = &node.connector;
    wait_for("both processors running", Duration::from_secs(60), || async {
        // Refused while a processor is stopping.
        let _ = rest.start_group(group).await;
        let processors = rest.processors(group).await?;
        Ok(processors.iter().all(|processor| processor.state == "RUNNING").then_some(()))
    })
    .await
}
