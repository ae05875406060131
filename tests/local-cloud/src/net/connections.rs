//! The open connections of a port, and how they die.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::sync::lock;

/// Random deaths of connections.
#[derive(Clone, Debug)]
pub struct CutPlan {
    /// Start of the random numbers.
    pub seed: u64,
    /// Part of the new connections that will die, 0 to 1.
    pub probability: f64,
    /// Bytes, both directions together, after which such a connection dies: some die in the middle of a request,
    /// some when the request was carried out and its answer is on the way.
    pub bytes: Range<u64>,
}

impl CutPlan {
    /// Bytes after which a new connection dies, if it does.
    fn draw(&self, random: &mut StdRng) -> Option<u64> {
        let dies = random.random_bool(self.probability.clamp(0.0, 1.0));
        dies.then(|| {
            if self.bytes.is_empty() { self.bytes.start } else { random.random_range(self.bytes.clone()) }
        })
    }
}

/// One accepted connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    token: CancellationToken,
    silent: CancellationToken,
    leaving: CancellationToken,
    ended: CancellationToken,
    left: Arc<AtomicU64>,
    /// Requests whose answer is not yet sent.
    under_way: Arc<watch::Sender<usize>>,
    idle: Arc<watch::Sender<Option<Duration>>>,
}

/// A request under way on a connection, until dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<watch::Sender<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests = requests.saturating_sub(1));
    }
}

impl Connection {
    /// Cuts the connection: the socket is reset, whatever is on the way.
    pub(crate) fn cut(&self) {
        self.token.cancel();
    }

    /// Lets the peer know that no further request is taken; those under way are finished.
    pub(crate) fn go_away(&self) {
        self.leaving.cancel();
    }

    pub(crate) async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    /// Waits until the connection is neither read nor written any more.
    pub(crate) async fn silenced(&self) {
        self.silent.cancelled().await;
    }

    /// Waits until the connection is over, for whatever reason.
    pub(crate) async fn over(&self) {
        self.ended.cancelled().await;
    }

    /// A request begins.
    pub(crate) fn begin(&self) -> UnderWay {
        self.under_way.send_modify(|requests| *requests += 1);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Waits until no request was under way for as long as idle connections are kept.
    pub(crate) async fn idled(&self) {
        let (mut under_way, mut idle) = (self.under_way.subscribe(), self.idle.subscribe());
        loop {
            let free = *under_way.borrow_and_update() == 0;
            let kept = idle.borrow_and_update().filter(|_| free);
            let over = async {
                match kept {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                _ = under_way.changed() => {}
                _ = idle.changed() => {}
            }
        }
    }

    pub(crate) async fn cut_happened(&self) {
        self.token.cancelled().await;
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.token.is_cancelled()
    }

    /// How many of `wanted` bytes may still pass; the connection is cut with the last one.
    pub(crate) fn pass(&self, wanted: usize) -> usize {
        let left = self.left.load(Ordering::Relaxed);
        if left == u64::MAX {
            return wanted;
        }
        let granted = left.min(wanted as u64);
        self.left.store(left - granted, Ordering::Relaxed);
        if granted == left {
            self.cut();
        }
        usize::try_from(granted).unwrap_or(wanted)
    }
}

/// The connections of one port. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    state: Arc<Mutex<State>>,
    idle: Arc<watch::Sender<Option<Duration>>>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Connection>,
    next: u64,
    accepted: u64,
    silent: bool,
    plan: Option<(CutPlan, StdRng)>,
}

impl Connections {
    /// Registers a new connection.
    pub(crate) fn open(&self) -> (u64, Connection) {
        let mut state = lock(&self.state);
        let left = state.plan.as_mut().and_then(|(plan, random)| plan.draw(random)).unwrap_or(u64::MAX);
        let connection = Connection {
            token: CancellationToken::new(),
            silent: CancellationToken::new(),
            leaving: CancellationToken::new(),
            ended: CancellationToken::new(),
            left: Arc::new(AtomicU64::new(left)),
            under_way: Arc::default(),
            idle: Arc::clone(&self.idle),
        };
        if state.silent {
            connection.silent.cancel();
        }
        let id = state.next;
        state.next += 1;
        state.accepted += 1;
        state.open.insert(id, connection.clone());
        (id, connection)
    }

    pub(crate) fn closed(&self, id: u64) {
        if let Some(connection) = lock(&self.state).open.remove(&id) {
            connection.ended.cancel();
        }
    }

    /// Cuts every open connection and says how many there were.
    pub(crate) fn cut_all(&self) -> usize {
        let open: Vec<_> = lock(&self.state).open.values().cloned().collect();
        open.iter().for_each(Connection::cut);
        open.len()
    }

    /// Asks the peers of all open connections to leave and says how many there were.
    pub(crate) fn go_away(&self) -> usize {
        let open: Vec<_> = lock(&self.state).open.values().cloned().collect();
        open.iter().for_each(Connection::go_away);
        open.len()
    }

    /// While silent, connections are accepted and neither read nor written. Those that were open fall silent too and
    /// stay so.
    pub(crate) fn silence(&self, silent: bool) {
        let mut state = lock(&self.state);
        state.silent = silent;
        if silent {
            state.open.values().for_each(|connection| connection.silent.cancel());
        }
    }

    /// Connections without a request are closed after this time; `None` keeps them.
    pub(crate) fn close_idle(&self, after: Option<Duration>) {
        self.idle.send_replace(after);
    }

    /// From now on connections die by this plan; `None` ends it, for connections already open too.
    pub(crate) fn plan(&self, plan: Option<CutPlan>) {
        let mut state = lock(&self.state);
        if plan.is_none() {
            for connection in state.open.values() {
                connection.left.store(u64::MAX, Ordering::Relaxed);
            }
        }
        state.plan = plan.map(|plan| {
            let random = StdRng::seed_from_u64(plan.seed);
            (plan, random)
        });
    }

    /// Open now, and accepted since the start.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let state = lock(&self.state);
        (state.open.len(), state.accepted)
    }
}
