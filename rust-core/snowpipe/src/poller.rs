//! The commit watcher: one bulk status call a pipe for all channels that wait for something.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actor::lock;
use crate::channel::Channel;
use crate::core::Core;
use crate::machine::{Answer, Event, Fault, FaultClass};
use crate::names::PipePath;
use bulletin::Level;

/// First look after an append.
const FIRST: Duration = Duration::from_millis(75);
/// Looks while rows keep coming.
const STEADY: Duration = Duration::from_millis(500);
/// Looks become rarer up to this while nothing comes and nothing is committed.
const SLOWEST: Duration = Duration::from_secs(1);
/// Calls on average.
const CALLS_A_SECOND: f64 = 2.0;
/// Calls saved up while there was nothing to look at.
const BURST: f64 = 6.0;
/// Channels in one call.
const CHANNELS_A_CALL: usize = 500;
/// "Not found" may be a gateway's for a while; from here on it is looked into.
const NOT_FOUND_PATIENCE: Duration = Duration::from_secs(10);
/// A failing call is a bulletin after this time.
const QUIET: Duration = Duration::from_secs(5);

/// Watches the channels of one pipe.
#[derive(Debug)]
pub(crate) struct Poller {
    pipe: PipePath,
    watched: Mutex<HashMap<String, Arc<Channel>>>,
    wake: Notify,
    hurry: Notify,
}

/// Pace of the calls.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    saved: f64,
    last: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { interval: FIRST, saved: BURST, last: Instant::now() }
    }

    /// Time to wait before the next call.
    fn pause(&mut self) -> Duration {
        let now = Instant::now();
        self.saved = (self.saved + now.duration_since(self.last).as_secs_f64() * CALLS_A_SECOND).min(BURST);
        self.last = now;
        match self.saved >= 1.0 {
            true => self.interval,
            false => self.interval.max(Duration::from_secs_f64((1.0 - self.saved) / CALLS_A_SECOND)),
        }
    }

    /// After a quiet time the next look is soon; in a steady flow the pace stays even.
    fn hurried(&mut self) {
        self.interval = match self.saved >= BURST / 2.0 {
            true => FIRST,
            false => self.interval.min(STEADY),
        };
    }

    fn called(&mut self) {
        self.saved -= 1.0;
        self.interval = self.interval.mul_f64(1.6).min(SLOWEST);
    }
}

impl Poller {
    pub(crate) fn new(pipe: PipePath) -> Self {
        Self { pipe, watched: Mutex::default(), wake: Notify::new(), hurry: Notify::new() }
    }

    /// Starts or stops reporting on a channel.
    pub(crate) fn watch(&self, channel: &Arc<Channel>, on: bool) {
        let mut watched = lock(&self.watched);
        match on {
            true => {
                watched.insert(channel.name.clone(), Arc::clone(channel));
                self.wake.notify_one();
            }
            // The name may be another channel's by now.
            false if watched.get(&channel.name).is_some_and(|known| Arc::ptr_eq(known, channel)) => {
                watched.remove(&channel.name);
            }
            false => {}
        }
    }

    /// Something was appended: after a quiet time, look soon.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Runs until the sink is closed.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        let mut pace = Pace::new();
        let mut failing_since: Option<Instant> = None;
        loop {
            if lock(&self.watched).is_empty() {
                self.wake.notified().await;
                pace.interval = FIRST;
                continue;
            }
            let until = Instant::now() + pace.pause();
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    () = self.hurry.notified() => {
                        pace.hurried();
                        if Instant::now() + pace.pause() < until {
                            break tokio::time::sleep(pace.pause()).await;
                        }
                    }
                }
            }
            pace.called();
            let names: Vec<String> = lock(&self.watched).keys().cloned().collect();
            for chunk in names.chunks(CHANNELS_A_CALL) {
                match self.look(&core, chunk).await {
                    Ok(()) => failing_since = None,
                    Err(fault) => {
                        let since = *failing_since.get_or_insert_with(Instant::now);
                        self.failed(&core, &fault, since);
                        if fault.class == FaultClass::Missing && since.elapsed() >= NOT_FOUND_PATIENCE {
                            self.look_one_by_one(&core, chunk).await;
                            failing_since = None;
                        }
                        tokio::time::sleep(fault.retry_after.unwrap_or(SLOWEST)).await;
                    }
                }
            }
        }
    }

    async fn look(&self, core: &Core, names: &[String]) -> Result<(), Fault> {
        let asked = core.now();
        core.stats.polls.fetch_add(1, Ordering::Relaxed);
        core.trips.pass("poll");
        let mut known = core.api.bulk_status(&self.pipe, names).await?;
        core.trips.pass("polled");
        let watched = lock(&self.watched);
        for name in names {
            if let Some(channel) = watched.get(name) {
                let answer = known.remove(name).map_or(Answer::Missing, Answer::Known);
                channel.tell(Event::Status { asked, answer });
            }
        }
        Ok(())
    }

    /// A call may be answered "not found" because of one channel of many: that one is told so, the others go on.
    async fn look_one_by_one(&self, core: &Core, names: &[String]) {
        for name in names {
            let asked = core.now();
            let gone = match self.look(core, std::slice::from_ref(name)).await {
                Err(fault) => fault.class == FaultClass::Missing,
                Ok(()) => false,
            };
            if let Some(channel) = lock(&self.watched).get(name).filter(|_| gone) {
                channel.tell(Event::Status { asked, answer: Answer::Missing });
            }
        }
    }

    fn failed(&self, core: &Core, fault: &Fault, since: Instant) {
        if since.elapsed() >= QUIET {
            let text = format!(
                "pipe {}.{}.{}: the commit status cannot be read, retrying: {}",
                self.pipe.database, self.pipe.schema, self.pipe.pipe, fault.detail
            );
            core.messages.say(Level::Warn, &format!("status/{}", self.pipe.pipe), text);
        }
    }
}
