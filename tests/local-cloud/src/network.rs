//! Faults of whole connections, by port.

use std::time::Duration;

use crate::net::{CutPlan, Port};

/// The connections of one port, and their faults.
#[derive(Debug)]
pub struct Network<'a>(pub(crate) &'a Port);

impl Network<'_> {
    /// Cuts every open connection and says how many there were.
    pub fn cut_all(&self) -> usize {
        self.0.connections.cut_all()
    }

    /// Refuses new connections and cuts the open ones, until told otherwise.
    pub fn refuse(&self, refuse: bool) {
        self.0.refuse(refuse);
        if refuse {
            self.0.connections.cut_all();
        }
    }

    /// Accepts connections and neither reads nor writes them, until told otherwise. Those that were open fall silent
    /// too, and stay so.
    pub fn silence(&self, silent: bool) {
        self.0.connections.silence(silent);
    }

    /// Asks the peers of all open connections to leave (GOAWAY of HTTP/2) and says how many there were. What is under
    /// way on them is finished.
    pub fn go_away(&self) -> usize {
        self.0.connections.go_away()
    }

    /// Closes connections on which no request was under way for this time, without a word to the peer, as servers and
    /// load balancers do; `None` keeps them. A subscription is a request under way.
    pub fn close_idle(&self, after: Option<Duration>) {
        self.0.connections.close_idle(after);
    }

    /// Lets connections die by a plan from now on; `None` ends it.
    pub fn plan_cuts(&self, plan: Option<CutPlan>) {
        self.0.connections.plan(plan);
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.connections.counts().0
    }

    /// Connections accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.connections.counts().1
    }
}
