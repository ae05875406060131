//! The registered fan-out consumer of the application: found, or registered, once for all shards of a source.

use crate::core::{Core, within};
use crate::shard::lock;
use crate::trouble::{Kind, NOT_ACTIVE, Service, Trouble};
use bulletin::Level;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Longest time of one call.
const LIMIT: Duration = Duration::from_secs(12);
/// Between two looks at a consumer that is not active yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one look waits for a consumer to become active. The shards tell when that is not enough, and look again; one
/// that is still unknown then is registered once more.
const PATIENCE: Duration = Duration::from_secs(25);
/// Between two attempts after a failure, and between two looks at a consumer that is in doubt.
const AGAIN: Duration = Duration::from_secs(5);

const DESCRIBE: &str = "DescribeStreamConsumer";

#[derive(Default)]
struct State {
    arn: Option<String>,
    /// The last look, and what it came to when it failed.
    looked: Option<Instant>,
    failed: Option<Trouble>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Consumer {
    state: Mutex<State>,
    doubted: AtomicBool,
    /// It was told that subscriptions do without HTTP/2.
    told: AtomicBool,
}

impl Consumer {
    /// The service says that it does not know the consumer: look again before the next subscription.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// Subscriptions work without HTTP/2 and cost more: told once.
    pub(crate) fn tell_http_1(&self, core: &Core) {
        if !self.told.swap(true, Ordering::AcqRel) {
            core.messages.once(Level::Warn, core.place.without_http_2());
        }
    }

    /// Name of the active consumer. All shards wait for one look.
    pub(crate) async fn arn(&self, core: &Core) -> Result<String, Trouble> {
        let mut state = self.state.lock().await;
        let fresh = state.looked.is_some_and(|t| t.elapsed() < AGAIN);
        if let (Some(trouble), true) = (&state.failed, fresh) {
            return Err(trouble.clone());
        }
        let doubted = self.doubted.load(Ordering::Acquire);
        if let (Some(arn), true) = (&state.arn, fresh || !doubted) {
            return Ok(arn.clone());
        }
        self.doubted.store(false, Ordering::Release);
        let found = find(core).await;
        state.looked = Some(Instant::now());
        state.failed = found.as_ref().err().cloned();
        state.arn = found.as_ref().ok().cloned();
        found
    }
}

/// Waits until the consumer is active, but not for long; registers it when there is none.
async fn find(core: &Core) -> Result<String, Trouble> {
    let began = Instant::now();
    let stream = lock(&core.known).stream.clone();
    let arn = stream.map(|s| s.arn).unwrap_or_default();
    let mut registered = false;
    loop {
        let call = core.stream.consumer(&arn);
        match within(LIMIT, Service::Kinesis, DESCRIBE, call).await {
            Ok(consumer) if consumer.active => return Ok(consumer.arn),
            Ok(_) => {}
            Err(trouble) if trouble.kind == Kind::NotFound && !registered => {
                register(core, &arn).await?;
                registered = true;
                continue;
            }
            // Registered a moment ago: not everywhere known yet.
            Err(trouble) if trouble.kind == Kind::NotFound => {}
            Err(trouble) => return Err(trouble),
        }
        if began.elapsed() >= PATIENCE {
            return Err(not_active(core));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn not_active(core: &Core) -> Trouble {
    let name = &core.config.application_name;
    let text = format!("the fan-out consumer \"{name}\" is not ACTIVE");
    Trouble { code: NOT_ACTIVE.to_owned(), ..Trouble::new(Service::Kinesis, DESCRIBE, Kind::InUse, &text) }
}

async fn register(core: &Core, stream_arn: &str) -> Result<(), Trouble> {
    let call = core.stream.register(stream_arn);
    match within(LIMIT, Service::Kinesis, "RegisterStreamConsumer", call).await {
        Ok(_) => {
            core.messages.once(
                Level::Info,
                format!(
                    "Registered the fan-out consumer \"{}\" on stream \"{}\".",
                    core.config.application_name, core.config.stream_name
                ),
            );
            Ok(())
        }
        // Another node was faster.
        Err(trouble) if trouble.kind == Kind::InUse => Ok(()),
        Err(trouble) => Err(trouble),
    }
}
