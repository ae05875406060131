//! Kinesis and DynamoDB in memory, with named misbehaviours, for tests in paused time.

mod fanout;
mod migration;
pub(crate) mod parts;
mod quota;
mod rig;
mod stream;
mod table;
mod upstream;

pub(crate) use quota::BYTES as QUOTA;
pub(crate) use rig::{Consumer, Node, Rig, config, numbers, until};
pub(crate) use stream::{FakeStream, sequence};
pub(crate) use table::FakeStore;
pub(crate) use upstream::UpstreamNode;

use crate::shard::lock;
use crate::trouble::{Kind, Service, Trouble};
use rig::numbers_of;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to calls of one client.
#[derive(Default)]
pub(crate) struct Faults {
    /// No call is answered any more.
    cut: bool,
    /// Every call is answered with an error of this kind.
    refused: Option<Kind>,
    /// So from this many more calls on.
    left: Option<usize>,
    /// The next calls of an operation, each with what befalls it.
    next: HashMap<&'static str, Vec<Fault>>,
    /// All calls of an operation.
    always: HashMap<&'static str, Fault>,
    /// Every so many calls of an operation.
    every: HashMap<&'static str, (usize, Fault)>,
    calls: HashMap<&'static str, usize>,
}

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answered with an error, nothing done.
    Fail(Kind),
    /// Done, and then the answer is lost.
    ApplyThenCut,
    /// The client panics.
    Panic,
    /// Never answered.
    Hang,
    /// Done and answered three seconds later.
    Slow,
}

/// Shared by a test and the client it plagues.
#[derive(Clone, Default)]
pub(crate) struct FaultPlan(Arc<Mutex<Faults>>);

impl FaultPlan {
    pub(crate) fn next(&self, operation: &'static str, fault: Fault) {
        lock(&self.0).next.entry(operation).or_default().push(fault);
    }

    pub(crate) fn always(&self, operation: &'static str, fault: Option<Fault>) {
        let mut faults = lock(&self.0);
        match fault {
            Some(fault) => faults.always.insert(operation, fault),
            None => faults.always.remove(operation),
        };
    }

    /// From now on no call is answered, or all are again.
    pub(crate) fn cut(&self, cut: bool) {
        lock(&self.0).cut = cut;
    }

    /// From now on every call fails like this, or works again.
    pub(crate) fn refuse(&self, kind: Option<Kind>) {
        lock(&self.0).refused = kind;
    }

    /// Every `n`-th call of an operation; 0 ends it.
    pub(crate) fn every(&self, operation: &'static str, n: usize, fault: Fault) {
        lock(&self.0).every.insert(operation, (n, fault));
    }

    /// Calls of an operation so far.
    pub(crate) fn calls(&self, operation: &'static str) -> usize {
        lock(&self.0).calls.get(operation).copied().unwrap_or(0)
    }

    /// This many more calls are answered, and then none.
    pub(crate) fn cut_after(&self, calls: usize) {
        lock(&self.0).left = Some(calls);
    }

    /// The client sends nothing that is answered any more.
    pub(crate) fn is_cut(&self) -> bool {
        lock(&self.0).cut
    }

    /// Nothing of an operation comes through.
    pub(crate) fn hangs(&self, operation: &'static str) -> bool {
        lock(&self.0).always.get(operation) == Some(&Fault::Hang)
    }

    fn of(&self, operation: &'static str) -> Option<Fault> {
        let mut faults = lock(&self.0);
        match &mut faults.left {
            Some(0) => faults.cut = true,
            Some(left) => *left -= 1,
            None => {}
        }
        if faults.cut {
            return Some(Fault::Hang);
        }
        let call = faults.calls.entry(operation).or_default();
        *call += 1;
        let call = *call;
        if let Some(kind) = faults.refused {
            return Some(Fault::Fail(kind));
        }
        let every = faults.every.get(operation).copied();
        if let Some((_, fault)) = every.filter(|(n, _)| *n > 0 && call.is_multiple_of(*n)) {
            return Some(fault);
        }
        let next = faults.next.get_mut(operation).filter(|n| !n.is_empty()).map(|n| n.remove(0));
        next.or_else(|| faults.always.get(operation).copied())
    }

    /// Plays the plan around `work`.
    async fn around<T>(
        &self,
        service: Service,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        match self.of(operation) {
            None => work(),
            Some(Fault::Fail(kind)) => Err(Trouble::new(service, operation, kind, "injected")),
            Some(Fault::ApplyThenCut) => {
                let _ = work();
                Err(Trouble::new(service, operation, Kind::Unreachable, "connection cut"))
            }
            Some(Fault::Panic) => panic!("injected into {operation}"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Slow) => {
                tokio::time::sleep(Duration::from_secs(3)).await;
                work()
            }
        }
    }
}
