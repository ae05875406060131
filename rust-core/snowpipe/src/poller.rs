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
/// Between the calls of a search.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);
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
        let mut failing = Failing::default();
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
                let Err(fault) = self.look(&core, chunk).await else {
                    failing.answered(chunk);
                    continue;
                };
                let since = failing.failed(chunk);
                self.failed(&core, &fault, since);
                if fault.class == FaultClass::Missing && since.elapsed() >= NOT_FOUND_PATIENCE {
                    self.search(&core, chunk).await;
                    failing.answered(chunk);
                }
                tokio::time::sleep(fault.retry_after.unwrap_or(SLOWEST)).await;
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
    async fn search(&self, core: &Core, names: &[String]) {
        let mut search = Search(vec![names]);
        while let Some(part) = search.0.pop() {
            let asked = core.now();
            // What else fails, the next look will tell.
            if matches!(self.look(core, part).await, Err(fault) if fault.class == FaultClass::Missing)
                && let Some(name) = search.not_found(part)
                && let Some(channel) = lock(&self.watched).get(name)
            {
                channel.tell(Event::Status { asked, answer: Answer::Missing });
            }
            tokio::time::sleep(SEARCH_PAUSE).await;
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

/// Channels whose status cannot be read, each since when: a call for others that succeeds says nothing about them.
#[derive(Debug, Default)]
struct Failing(HashMap<String, Instant>);

impl Failing {
    /// Since when calls for one of the channels have failed.
    fn failed(&mut self, names: &[String]) -> Instant {
        let now = Instant::now();
        names.iter().map(|name| *self.0.entry(name.clone()).or_insert(now)).min().unwrap_or(now)
    }

    fn answered(&mut self, names: &[String]) {
        for name in names {
            self.0.remove(name);
        }
    }
}

/// The search for channels for which a call is answered "not found": what is still to be asked for.
struct Search<'a>(Vec<&'a [String]>);

impl<'a> Search<'a> {
    /// A call for this part was answered so: it is asked for in halves, unless it is one channel.
    fn not_found(&mut self, part: &'a [String]) -> Option<&'a String> {
        if let [name] = part {
            return Some(name);
        }
        let (head, tail) = part.split_at(part.len() / 2);
        self.0.extend([tail, head]);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|n| format!("c{n}")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn channels_whose_calls_fail_are_not_forgotten_because_others_are_answered() {
        let (good, bad) = (names(0..500), names(500..700));
        let mut failing = Failing::default();
        let since = failing.failed(&bad);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            failing.answered(&good);
            assert_eq!(failing.failed(&bad), since);
        }
        // A channel more does not make it a new trouble, an answer ends it.
        assert_eq!(failing.failed(&names(500..701)), since);
        failing.answered(&bad);
        assert_eq!(failing.failed(&bad), Instant::now());
    }

    #[test]
    fn the_channel_that_is_gone_is_found_with_few_calls() {
        let all = names(0..500);
        let mut search = Search(vec![all.as_slice()]);
        let (mut calls, mut gone) = (0, Vec::new());
        while let Some(part) = search.0.pop() {
            calls += 1;
            if part.iter().any(|name| name == "c17" || name == "c333") {
                gone.extend(search.not_found(part));
            }
        }
        assert_eq!(gone, ["c17", "c333"]);
        assert!(calls <= 40, "{calls} calls");
    }
}
