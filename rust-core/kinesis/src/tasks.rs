//! Background tasks that do not die silently: a panic is told and the task begins again.

use bulletin::{Level, Messages};
use futures::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause before a task that panicked begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// Spawns and keeps count of the tasks of one source.
#[derive(Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
    messages: Arc<Messages>,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle, messages: Arc<Messages>) -> Self {
        Self { runtime, tracker: TaskTracker::new(), messages }
    }

    /// Runs what `make` makes until it ends or `cancel` is cancelled; after a panic runs it again.
    pub(crate) fn supervise<F, Fut>(&self, name: impl Into<String>, cancel: CancellationToken, make: F)
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (name, messages) = (name.into(), self.messages.clone());
        let supervised = async move {
            while AssertUnwindSafe(make()).catch_unwind().await.is_err() {
                messages.say(
                    Level::Error,
                    &format!("panic/{name}"),
                    format!(
                        "A defect stopped the task \"{name}\" of the connector; it begins again where it was safe. \
                         Please report this together with the log."
                    ),
                );
                tokio::time::sleep(PAUSE).await;
            }
        };
        let task = async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = supervised => {}
            }
        };
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Runs a future that nothing waits for: it may be the one that ends all tasks.
    pub(crate) fn spawn_apart(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// Waits until all tasks ended. They must have been cancelled.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
