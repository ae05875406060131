//! Troubles on demand: which route misbehaves, how often and how.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::locks::lock;

/// The calls that a fault can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Every call.
    Any,
    /// `GET /v2/streaming/hostname`.
    Hostname,
    /// `POST /oauth/token`.
    Token,
    /// Open channel.
    Open,
    /// Append rows to a named channel.
    Append,
    /// Append rows to an elastic channel.
    ElasticAppend,
    /// Bulk channel status.
    Status,
    /// Drop channel.
    Drop,
    /// Pipe info.
    PipeInfo,
    /// The SQL API.
    Statements,
}

/// Stands in the extensions of a response that must not be sent: the connection is to be cut instead.
#[derive(Clone, Copy, Debug)]
pub struct CutConnection;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Answers this instead of doing anything.
    Refuse {
        /// HTTP status.
        status: u16,
        /// Body as sent.
        body: String,
    },
    /// Does the work, then answers this: the client cannot know that it was done.
    RefuseAfter {
        /// HTTP status.
        status: u16,
        /// Body as sent.
        body: String,
    },
    /// Does the work after this time.
    Delay(Duration),
    /// Does the work and answers after this time.
    DelayAfter(Duration),
    /// Does nothing and has the connection cut, by whoever serves it: see [`CutConnection`].
    Cut,
    /// Does the work and has the connection cut: the client cannot know that it was done.
    CutAfter,
    /// Never answers and does nothing.
    Hang,
    /// Does the work and never answers.
    HangAfter,
}

/// A trouble with its place and count.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Calls it applies to.
    pub route: Route,
    /// Only calls whose percent-encoded path contains this text; empty for all.
    pub path_contains: String,
    /// Matching calls that pass before the first trouble.
    pub skip: u32,
    /// Calls that are troubled after those; `None` for all.
    pub times: Option<u32>,
    /// What happens.
    pub trouble: Trouble,
}

impl Fault {
    /// The next call of `route` is troubled once.
    pub fn once(route: Route, trouble: Trouble) -> Self {
        Fault { route, path_contains: String::new(), skip: 0, times: Some(1), trouble }
    }

    /// Every call of `route` is troubled until [`Faults::clear`].
    pub fn always(route: Route, trouble: Trouble) -> Self {
        Fault { times: None, ..Fault::once(route, trouble) }
    }

    /// An answer in the service's usual error form.
    pub fn refuse(status: u16, code: &str) -> Trouble {
        Trouble::Refuse {
            status,
            body: serde_json::json!({"code": code, "message": "injected fault"}).to_string(),
        }
    }
}

/// The fault plan of one server.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Vec<(Fault, u32)>>,
}

impl Faults {
    /// Adds a fault. Of several that match a call, the one added first acts.
    pub fn add(&self, fault: Fault) {
        lock(&self.plan).push((fault, 0));
    }

    /// Removes all faults.
    pub fn clear(&self) {
        lock(&self.plan).clear();
    }

    /// The plan, each fault with the calls that it has troubled so far.
    pub fn plan(&self) -> Vec<(Fault, u32)> {
        let plan = lock(&self.plan);
        plan.iter().map(|(fault, seen)| (fault.clone(), seen.saturating_sub(fault.skip))).collect()
    }

    /// Calls troubled so far by the faults still in the plan.
    pub fn fired(&self) -> u32 {
        self.plan().into_iter().map(|(_, fired)| fired).sum()
    }

    pub(crate) fn strike(&self, route: Route, path: &str) -> Option<Trouble> {
        let mut plan = lock(&self.plan);
        for (fault, seen) in plan.iter_mut() {
            let matches = fault.route == Route::Any || fault.route == route;
            let spent = fault.times.is_some_and(|times| *seen >= fault.skip.saturating_add(times));
            if !matches || spent || !path.contains(&fault.path_contains) {
                continue;
            }
            *seen += 1;
            if *seen > fault.skip {
                return Some(fault.trouble.clone());
            }
        }
        None
    }
}
