//! The task that brings table, stream and leases together: prepares, then refreshes every few seconds.
//!
//! A refresh never stops because one service fails: what is held stays held (the renewals have their own task), and
//! what is known stays in use until something newer is known.

use crate::api::StreamInfo;
use crate::backoff::Backoff;
use crate::core::{Core, within};
use crate::coverage::Audit;
use crate::decision;
use crate::holding;
use crate::listing;
use crate::migration::{Migration, Scene, Step};
use crate::plan::{Observed, View, plan};
use crate::progress::Progress;
use crate::seat;
use crate::shard::lock;
use crate::store::Rows;
use crate::trouble::{Kind, Service, Trouble};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Pace of refreshes while the table is small.
const REFRESH: Duration = Duration::from_secs(5);
/// Pace of refreshes when a reading of the table costs more.
const REFRESH_LARGE: Duration = Duration::from_secs(10);
/// Pace of refreshes while there is no row for our heartbeat.
const REFRESH_UNSEATED: Duration = Duration::from_secs(2);
/// Rows from which on a table is not small.
const LARGE: usize = 100;
/// Shortest time between two refreshes.
const REFRESH_LEAST: Duration = Duration::from_millis(250);
/// Pace of listings when nothing asks for one.
const LIST_EVERY: Duration = Duration::from_secs(30);
/// Shortest time between two listings.
const LIST_LEAST: Duration = Duration::from_secs(1);
/// Longest time of a call while nothing runs yet, so that the first message comes soon.
const FIRST_LIMIT: Duration = Duration::from_secs(4);
/// Longest time of a call later on.
const LIMIT: Duration = Duration::from_secs(15);
/// Writes of claims under way at once.
const CONCURRENT: usize = 16;

struct Coordinator {
    core: Arc<Core>,
    observed: Observed,
    listed: Option<Instant>,
    /// Something hints that the list of shards is out of date.
    stale: bool,
    table_ready: bool,
    migration: Migration,
    progress: Progress,
    audit: Audit,
    limit: Duration,
}

/// The task.
pub(crate) async fn run(core: Arc<Core>) {
    let mut backoff = Backoff::default();
    let running = lock(&core.known).running;
    let mut me = Coordinator {
        core: core.clone(),
        observed: Observed::default(),
        listed: None,
        stale: true,
        table_ready: false,
        migration: Migration::default(),
        progress: Progress::default(),
        audit: Audit::default(),
        limit: if running { LIMIT } else { FIRST_LIMIT },
    };
    loop {
        let began = Instant::now();
        let wait = match me.refresh().await {
            Ok(wait) => {
                backoff.reset();
                wait
            }
            Err(trouble) => {
                core.tell(&trouble);
                backoff.next()
            }
        };
        let nudged = tokio::time::timeout(wait, core.nudge.notified()).await.is_ok();
        me.stale |= nudged;
        core.budget.tidy();
        tokio::time::sleep_until(began + REFRESH_LEAST).await;
    }
}

impl Coordinator {
    /// One refresh; gives the time until the next.
    async fn refresh(&mut self) -> Result<Duration, Trouble> {
        let core = self.core.clone();
        let stream = self.look_at_stream().await?;
        if let Some(wait) = self.prepare_table(&stream).await? {
            return Ok(wait);
        }
        let mut rows = self.rows().await?;
        let decision = decision::in_force(&core, &rows, &stream, self.limit).await?;
        if decision.created != stream.created {
            return self.look_again();
        }
        if rows.stream != Some(decision) {
            rows = self.rows().await?;
        }
        let now = Instant::now();
        self.observed.note(&rows, &core.me, now, core.clock.wall_ms());
        if self.needs_seat() {
            // Others must count us before we count our share.
            seat::take(&core, &rows, &self.observed.heartbeats, now).await?;
        }
        self.observed.note_unowned(&lock(&core.known).shards.clone(), &rows, now);
        holding::reconcile(&core, &rows);
        let mut plan = self.plan(&rows, &stream, now);
        self.progress.watch(&core, &mut plan).await;
        {
            let mut known = lock(&core.known);
            (known.nodes, known.readable, known.running) = (plan.nodes, plan.readable, true);
        }
        self.limit = LIMIT;
        for shard in &plan.drain {
            holding::drain(&core, shard);
        }
        let shards = lock(&core.known).shards.clone();
        let claims = plan.acquire.iter().filter_map(|id| {
            let info = shards.iter().find(|s| s.id == *id)?;
            Some(holding::claim(&core, info, &rows, decision))
        });
        let mut writes = futures::stream::iter(claims.collect::<Vec<_>>())
            .map(|claim| holding::acquire(&core, claim))
            .buffer_unordered(CONCURRENT);
        let mut result = Ok(());
        while let Some(acquired) = writes.next().await {
            result = result.and(acquired);
        }
        let large = rows.shards.len() + rows.nodes.len() > LARGE;
        let wait = if large { REFRESH_LARGE } else { REFRESH };
        result.map(|()| if self.needs_seat() { REFRESH_UNSEATED } else { wait })
    }

    fn needs_seat(&self) -> bool {
        !seat::is_taken(&self.core) && !self.core.abstains.load(Ordering::Acquire)
    }

    /// Brings the table nearer to a state in which it can be used; `None` when it is.
    async fn prepare_table(&mut self, stream: &StreamInfo) -> Result<Option<Duration>, Trouble> {
        if self.table_ready {
            return Ok(None);
        }
        let shards = lock(&self.core.known).shards.clone();
        let scene = Scene { stream, shards: &shards, limit: self.limit };
        // What leases mean depends on which shards are closed: the next step is to see the list as it is then.
        self.stale = true;
        match self.migration.step(&self.core, &scene).await? {
            Step::Wait(wait) => Ok(Some(wait)),
            Step::Ready => {
                self.table_ready = true;
                Ok(None)
            }
        }
    }

    fn plan(&self, rows: &Rows, stream: &StreamInfo, now: Instant) -> crate::plan::Plan {
        let core = &self.core;
        let shards = lock(&core.known).shards.clone();
        let (mut held, mut draining) = (BTreeSet::new(), BTreeSet::new());
        for shard in core.held() {
            let set = if shard.is_draining() { &mut draining } else { &mut held };
            set.insert(shard.id.clone());
        }
        // Rows of an earlier stream of the same name say nothing about the shards of this one, except who holds them.
        let mut current = rows.shards.clone();
        for row in current.values_mut().filter(|r| r.created.is_some_and(|c| c != stream.created)) {
            row.ended = false;
        }
        let stopped = core.stopped.load(Ordering::Acquire);
        let mut plan = plan(&View {
            shards: &shards,
            rows: &current,
            observed: &self.observed,
            me: &core.me,
            held: &held,
            draining: &draining,
            parents_first: core.config.parents_first,
            now,
        });
        if stopped {
            plan.acquire.clear();
        }
        plan
    }

    /// Describes the stream, and lists its shards when it is time.
    async fn look_at_stream(&mut self) -> Result<StreamInfo, Trouble> {
        let core = self.core.clone();
        let age = self.listed.map(|t| t.elapsed());
        let due = age.is_none_or(|a| a >= LIST_EVERY || (self.stale && a >= LIST_LEAST));
        let known = lock(&core.known).stream.clone();
        if let (Some(known), false) = (&known, due) {
            return Ok(known.clone());
        }
        // Listed before described: a shard that is closed in the list was closed before the time in the description.
        let listed = tokio::time::timeout(self.limit, listing::refresh(&core)).await.unwrap_or_else(|_| {
            Err(Trouble::timed_out(Service::Kinesis, "ListShards", self.limit.as_secs()))
        });
        self.listed = Some(Instant::now());
        self.stale = false;
        let described = within(self.limit, Service::Kinesis, "DescribeStream", core.stream.describe()).await;
        match (listed, described, known) {
            (Ok(shards), Ok(info), known) if info.readable => {
                self.audit.note(&core, &shards);
                self.settle_stream(&info, known.as_ref());
                Ok(info)
            }
            (_, Ok(info), _) if !info.readable => Err(self.not_readable(&info)),
            // The stream itself is gone: what its readers do is moot.
            (_, Err(trouble), _) | (Err(trouble), ..) if trouble.kind == Kind::NotFound => {
                self.listed = None;
                Err(trouble)
            }
            // An outage of the control plane does not stop what runs.
            (_, Err(trouble), Some(known)) | (Err(trouble), _, Some(known)) => {
                core.tell(&trouble);
                Ok(known)
            }
            (_, Err(trouble), None) | (Err(trouble), _, None) => {
                self.listed = None;
                Err(trouble)
            }
            (Ok(_), Ok(info), _) => Ok(info),
        }
    }

    /// Another node has seen a newer stream of this name than the one described to us.
    fn look_again(&mut self) -> Result<Duration, Trouble> {
        let just_listed = self.listed.take().is_some_and(|t| t.elapsed() < LIST_LEAST);
        if !just_listed {
            return Ok(Duration::ZERO);
        }
        let text = "the table knows a newer stream of this name than the one that is described";
        Err(Trouble::new(Service::Kinesis, "DescribeStream", Kind::InUse, text))
    }

    fn not_readable(&mut self, info: &StreamInfo) -> Trouble {
        self.listed = None;
        let text = format!("the stream is {}", info.status);
        Trouble::new(Service::Kinesis, "DescribeStream", Kind::InUse, &text)
    }

    fn settle_stream(&mut self, info: &StreamInfo, known: Option<&StreamInfo>) {
        let core = &self.core;
        core.works(Service::Kinesis);
        if known.is_some_and(|k| k.created != info.created) {
            core.consumer.doubt();
            for shard in core.held() {
                shard.lose();
                core.forget(&shard);
            }
        }
        lock(&core.known).stream = Some(info.clone());
    }

    async fn rows(&mut self) -> Result<Rows, Trouble> {
        let rows = within(self.limit, Service::DynamoDb, "Query", self.core.store.rows()).await;
        match &rows {
            Ok(_) => self.core.works(Service::DynamoDb),
            Err(trouble) => self.table_ready &= trouble.kind != Kind::NotFound,
        }
        rows
    }
}
