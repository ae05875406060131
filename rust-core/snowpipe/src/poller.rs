//! The commit watcher: one bulk status call a pipe for all channels that wait for something.

mod pace;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actor::lock;
use crate::channel::Channel;
use crate::core::Core;
use crate::machine::{Answer, Event, Fault, FaultClass, Now};
use crate::messages::Level;
use crate::names::PipePath;
use pace::{Pace, SLOWEST};

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
    pace: Mutex<Pace>,
    wake: Notify,
    hurry: Notify,
}

impl Poller {
    pub(crate) fn new(pipe: PipePath, now: Now) -> Self {
        let pace = Mutex::new(Pace::new(now));
        Self { pipe, watched: Mutex::default(), pace, wake: Notify::new(), hurry: Notify::new() }
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
                lock(&self.pace).forget(&channel.name);
            }
            false => {}
        }
    }

    /// The channel's rows up to `token` were acknowledged: their commit is to be expected.
    pub(crate) fn appended(&self, channel: &str, token: String, now: Now) {
        lock(&self.pace).appended(channel, token, now);
        self.hurry.notify_one();
    }

    /// Runs until the sink is closed.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        let mut failing_since: Option<Instant> = None;
        loop {
            if lock(&self.watched).is_empty() {
                self.wake.notified().await;
                lock(&self.pace).woke(core.now());
                continue;
            }
            let next = lock(&self.pace).next();
            tokio::select! {
                () = core.sleep_until(Some(next)) => {}
                () = self.hurry.notified() => continue,
            }
            // What was waited for may have ended meanwhile.
            if lock(&self.watched).is_empty() {
                continue;
            }
            let before = lock(&self.pace).called(core.now());
            let names: Vec<String> = lock(&self.watched).keys().cloned().collect();
            for chunk in names.chunks(CHANNELS_A_CALL) {
                match self.look(&core, chunk, before).await {
                    Ok(()) => failing_since = None,
                    Err(fault) => {
                        let since = *failing_since.get_or_insert_with(Instant::now);
                        self.failed(&core, &fault, since);
                        if fault.class == FaultClass::Missing && since.elapsed() >= NOT_FOUND_PATIENCE {
                            self.look_one_by_one(&core, chunk, before).await;
                            failing_since = None;
                        }
                        tokio::time::sleep(fault.retry_after.unwrap_or(SLOWEST)).await;
                    }
                }
            }
        }
    }

    /// Asks about channels; the look before was at `before`.
    async fn look(&self, core: &Core, names: &[String], before: Now) -> Result<(), Fault> {
        let asked = core.now();
        core.stats.polls.fetch_add(1, Ordering::Relaxed);
        core.trips.pass("poll");
        let mut known = core.api.bulk_status(&self.pipe, names).await?;
        core.trips.pass("polled");
        let watched = lock(&self.watched);
        for name in names {
            if let Some(channel) = watched.get(name) {
                let committed = known.get(name).and_then(|status| status.committed.as_deref());
                if let Some(committed) = committed {
                    lock(&self.pace).found(name, committed, asked, before);
                }
                let answer = known.remove(name).map_or(Answer::Missing, Answer::Known);
                channel.tell(Event::Status { asked, answer });
            }
        }
        Ok(())
    }

    /// A call may be answered "not found" because of one channel of many: that one is told so, the others go on.
    async fn look_one_by_one(&self, core: &Core, names: &[String], before: Now) {
        for name in names {
            let asked = core.now();
            let gone = match self.look(core, std::slice::from_ref(name), before).await {
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
