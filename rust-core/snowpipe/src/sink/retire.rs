//! Channels that nothing came for in a while are let go here; the service keeps them, and their tokens, for 30 days.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Known, Sink};
use crate::actor::lock;
use crate::machine::{Now, Token};

/// A channel without uploads is let go after this time,
const IDLE: Duration = Duration::from_secs(600);
/// or after this when there are more than [`MANY`].
const IDLE_OF_MANY: Duration = Duration::from_secs(60);
/// As many as a pipe can have.
const MANY: usize = 2_000;
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Tokens of channels let go that are remembered.
const REMEMBERED: usize = 20_000;

impl Known {
    fn idle_for(&self, now: Now) -> Duration {
        now.saturating_sub(Duration::from_millis(self.used.load(Ordering::Relaxed)))
    }

    /// Whether nothing is lost with the channel's state; if so nobody can begin an upload on it any more.
    fn retire(&self) -> bool {
        if self.retired.swap(true, Ordering::SeqCst) {
            // Its task was stopped by a defect: the next upload takes over what it knew.
            return false;
        }
        self.trips.pass("retire");
        let free = lock(&self.entries).is_empty() && lock(&self.machine).is_idle();
        if !free {
            self.retired.store(false, Ordering::SeqCst);
        }
        free
    }
}

impl Sink {
    /// Lets idle channels go, once a minute.
    pub(super) fn sweep(&self) {
        let now = self.core.now();
        let millis = super::millis(now);
        let due = super::millis(SWEEP_EVERY);
        let swept = self.swept.load(Ordering::Relaxed);
        if millis.saturating_sub(swept) >= due
            && self.swept.compare_exchange(swept, millis, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.retire_idle(now);
        }
    }

    pub(super) fn retire_idle(&self, now: Now) {
        let mut channels = lock(&self.channels);
        let limit = if channels.len() > MANY { IDLE_OF_MANY } else { IDLE };
        channels.retain(|key, known| {
            if known.idle_for(now) < limit || !known.retire() {
                return true;
            }
            known.end.cancel();
            let mut proven = lock(&self.proven);
            if proven.len() < REMEMBERED
                && let Some(token) = lock(&known.machine).proven()
            {
                proven.insert(key.clone(), token.clone());
            }
            false
        });
    }

    /// What the channel was seen to have when it was let go.
    pub(super) fn proven(&self, key: &super::Key) -> Option<Token> {
        lock(&self.proven).remove(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{SinkConfig, UploadRequest};

    fn sink() -> Sink {
        let properties = [
            ("Account", "org-account"),
            ("User", "U"),
            ("Private Key", "no key, so that no call is made"),
            ("Offset Tracking Resolution", "FLOW_FILE"),
        ];
        let map = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        Sink::start(SinkConfig::from_properties(&map).unwrap(), &tokio::runtime::Handle::current())
    }

    fn request(group: usize) -> UploadRequest {
        let map: BTreeMap<String, String> = [
            ("Database", "DB".to_owned()),
            ("Schema", "SC".to_owned()),
            ("Table", "T".to_owned()),
            ("Channel Group", format!("g{group}")),
            ("Offset Token End", "5".to_owned()),
            ("Offset Token Previous", "4".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        UploadRequest::from_properties(&map).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_channels_are_let_go_and_come_back_when_they_are_needed() {
        let sink = sink();
        let uploads: Vec<u64> = (0..10).map(|group| sink.begin(request(group)).unwrap()).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for upload in &uploads[1..] {
            sink.abandon(*upload);
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        sink.retire_idle(sink.core.now());
        assert_eq!(lock(&sink.channels).len(), 10, "not idle for long enough");
        tokio::time::sleep(IDLE).await;
        sink.begin(request(0)).unwrap();
        assert_eq!(lock(&sink.channels).len(), 1, "one has an upload");
        let tasks = sink.core.tasks.len();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(sink.core.tasks.len() <= tasks);
        sink.begin(request(3)).unwrap();
        assert_eq!(lock(&sink.channels).len(), 2);
        sink.close(Duration::from_secs(1)).await;
    }
}
