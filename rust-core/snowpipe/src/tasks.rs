//! Tasks that do not die silently: a panic is told, and the task begins again where that is safe.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use crate::core::Core;
use crate::machine::{Fault, FaultClass};
use bulletin::Level;

/// Pause before a task that panicked begins again; it doubles up to [`LONGEST`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

impl Core {
    /// What `task` gives; nothing when it panicked, which is told. The caller sees to it that the work is done again.
    pub(crate) async fn caught<T>(&self, name: &str, task: impl Future<Output = T>) -> Option<T> {
        match AssertUnwindSafe(task).catch_unwind().await {
            Ok(value) => Some(value),
            Err(payload) => {
                // Its drop may panic in turn.
                std::mem::forget(payload);
                let text = format!(
                    "A defect stopped the task \"{name}\" of the connector; it begins again where it was safe. Please \
                     report this together with the log."
                );
                self.messages.say(Level::Error, &format!("panic/{name}"), text);
                None
            }
        }
    }

    /// A call to the service. A panic in it is as good as no answer: whoever asked tries again as after a cut connection.
    pub(crate) async fn answered<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let defect = || Fault {
            class: FaultClass::Transient,
            detail: format!("a defect of the connector stopped the task \"{name}\""),
            retry_after: None,
        };
        self.caught(name, call).await.unwrap_or_else(|| Err(defect()))
    }

    /// Runs what `make` makes until it ends or the sink does; after a panic runs it again.
    pub(crate) fn supervise<F, Fut>(self: &Arc<Self>, name: String, make: F)
    where
        F: Fn(Arc<Core>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let core = Arc::clone(self);
        self.spawn(async move {
            let mut pause = PAUSE;
            while core.caught(&name, make(Arc::clone(&core))).await.is_none() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        });
    }
}
