//! Faults by rule: which calls, how often, and what happens to them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::error::AwsError;
use crate::sync::lock;

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Action {
    /// The call is not carried out and this error is answered.
    Error(AwsError),
    /// The call is carried out after this time.
    Delay(Duration),
    /// The connection is cut before the call is carried out.
    Cut,
    /// The call is carried out, then the connection is cut instead of an answer.
    ApplyThenCut,
    /// The call is not carried out and the connection stays silent.
    NeverAnswer,
    /// The call is carried out and the connection stays silent.
    ApplyThenNeverAnswer,
    /// The call is carried out, half of the answer is sent, then the connection is cut.
    CutInBody,
    /// The call is carried out, half of the answer is sent, then nothing more comes and the connection stays open.
    StallInBody,
    /// The call is carried out, half of the answer is sent, then its stream is reset; other streams of an HTTP/2
    /// connection go on. An HTTP/1.1 connection ends.
    Reset,
    /// The call is carried out and answered, and the connection takes no further call: GOAWAY of HTTP/2. Calls under
    /// way on it are finished.
    GoAway,
    /// The call is carried out and its answer arrives slowly.
    Drip {
        /// Bytes at a time.
        bytes: usize,
        /// Time between them.
        every: Duration,
    },
    /// The call is carried out and its answer is changed by this function before it is sent.
    Rewrite(fn(&mut serde_json::Value)),
    /// A stream of events goes wrong after its greeting and `after` events.
    Events {
        /// Events that pass.
        after: usize,
        /// What happens then.
        trouble: EventTrouble,
    },
}

/// What happens to a stream of events (`SubscribeToShard`).
#[derive(Clone, Debug)]
pub enum EventTrouble {
    /// An exception event, then the end.
    Exception(AwsError),
    /// An orderly end, long before its time.
    End,
    /// Nothing more comes and the connection stays open.
    Silence,
    /// Nothing comes for this time, then the stream goes on.
    Pause(Duration),
    /// The connection is cut.
    Cut,
    /// The HTTP/2 stream is reset; other streams of the connection go on.
    Reset,
    /// The connection takes no further stream: GOAWAY of HTTP/2. This one goes on.
    GoAway,
    /// The next event arrives with a wrong checksum.
    BadChecksum,
    /// Half of the next event, then the connection is cut.
    Truncated,
    /// The next event arrives twice.
    Duplicate,
    /// The next event arrives after the one that follows it.
    Reorder,
    /// The next events arrive a few bytes at a time.
    Drip {
        /// Bytes at a time.
        bytes: usize,
        /// Time between them.
        every: Duration,
    },
}

impl Action {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Error(_) => "fault:error",
            Self::Delay(_) => "fault:delay",
            Self::Cut => "fault:cut",
            Self::ApplyThenCut => "fault:apply-then-cut",
            Self::NeverAnswer => "fault:never-answer",
            Self::ApplyThenNeverAnswer => "fault:apply-then-never-answer",
            Self::CutInBody => "fault:cut-in-body",
            Self::StallInBody => "fault:stall-in-body",
            Self::Reset => "fault:reset",
            Self::GoAway => "fault:go-away",
            Self::Drip { .. } => "fault:drip",
            Self::Rewrite(_) => "fault:rewrite",
            Self::Events { .. } => "fault:events",
        }
    }
}

/// Which of the matching calls are hit.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// All.
    Always,
    /// Only the n-th, counted from 1.
    Nth(u64),
    /// The first n.
    First(u64),
    /// Each one with this probability, by the seed of [`Faults::seed`].
    Probability(f64),
}

/// A rule. `None` matches everything.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Operation, e.g. `UpdateItem`.
    pub operation: Option<String>,
    /// `kinesis` or `dynamodb`.
    pub service: Option<&'static str>,
    /// Only calls signed with this access key: cuts one node off.
    pub access_key: Option<String>,
    /// Only calls about this shard, whether they name it or an iterator of it.
    pub shard: Option<String>,
    /// Only calls whose body contains this text.
    pub body_contains: Option<String>,
    /// Which of the matching calls.
    pub when: When,
    /// What happens.
    pub action: Action,
}

impl Rule {
    /// A rule for one operation.
    #[must_use]
    pub fn on(operation: &str, when: When, action: Action) -> Self {
        Self {
            operation: Some(operation.into()),
            service: None,
            access_key: None,
            shard: None,
            body_contains: None,
            when,
            action,
        }
    }

    /// A rule for everything of one service (`kinesis`, `dynamodb`).
    #[must_use]
    pub fn service(service: &'static str, when: When, action: Action) -> Self {
        Self {
            operation: None,
            service: Some(service),
            access_key: None,
            shard: None,
            body_contains: None,
            when,
            action,
        }
    }

    fn matches(&self, asked: &Asked<'_>) -> bool {
        self.operation.as_deref().is_none_or(|wanted| wanted == asked.operation)
            && self.service.is_none_or(|wanted| wanted == asked.service)
            && self.access_key.as_deref().is_none_or(|wanted| wanted == asked.access_key)
            && self.shard.as_deref().is_none_or(|wanted| (asked.shard)().as_deref() == Some(wanted))
            && self.body_contains.as_deref().is_none_or(|text| contains(asked.body, text.as_bytes()))
    }
}

/// A call as rules see it.
pub(crate) struct Asked<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) access_key: &'a str,
    pub(crate) body: &'a [u8],
    /// Finds the shard; asked only when a rule wants to know.
    pub(crate) shard: &'a dyn Fn() -> Option<String>,
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// Names a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The fault rules of the AWS port. Clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Active>,
    next: u64,
    random: StdRng,
}

#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    seen: u64,
    hits: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                rules: Vec::new(),
                next: 1,
                random: StdRng::seed_from_u64(1),
            })),
        }
    }
}

impl Faults {
    /// Adds a rule. Of several that hit one call the first added wins.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut state = lock(&self.state);
        let id = RuleId(state.next);
        state.next += 1;
        state.rules.push(Active { id, rule, seen: 0, hits: 0 });
        id
    }

    /// Removes a rule.
    pub fn remove(&self, id: RuleId) {
        lock(&self.state).rules.retain(|active| active.id != id);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        lock(&self.state).rules.clear();
    }

    /// How many calls a rule has hit.
    #[must_use]
    pub fn hits(&self, id: RuleId) -> u64 {
        lock(&self.state).rules.iter().find(|active| active.id == id).map_or(0, |active| active.hits)
    }

    /// Starts the random decisions anew from a seed.
    pub fn seed(&self, seed: u64) {
        lock(&self.state).random = StdRng::seed_from_u64(seed);
    }

    /// The fault for one call.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Option<Action> {
        let mut state = lock(&self.state);
        let State { rules, random, .. } = &mut *state;
        let mut decided = None;
        for active in rules.iter_mut().filter(|active| active.rule.matches(asked)) {
            active.seen += 1;
            let hit = match active.rule.when {
                When::Always => true,
                When::Nth(n) => active.seen == n,
                When::First(n) => active.seen <= n,
                When::Probability(p) => random.random_bool(p.clamp(0.0, 1.0)),
            };
            if hit && decided.is_none() {
                active.hits += 1;
                decided = Some(active.rule.action.clone());
            }
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(service: &'a str, operation: &'a str, access_key: &'a str) -> Asked<'a> {
        Asked { service, operation, access_key, body: b"{}", shard: &|| Some("shard-1".to_owned()) }
    }

    #[test]
    fn rules_hit_the_calls_they_name_and_count_them() {
        let faults = Faults::default();
        let third = faults.add(Rule::on("GetRecords", When::Nth(3), Action::Cut));
        let first = faults.add(Rule {
            access_key: Some("NODE2".into()),
            ..Rule::service("dynamodb", When::First(2), Action::NeverAnswer)
        });
        let names = |service, operation, key| {
            faults.decide(&asked(service, operation, key)).map(|action| action.name())
        };
        assert_eq!(names("kinesis", "GetRecords", "NODE1"), None);
        assert_eq!(names("kinesis", "PutRecord", "NODE1"), None);
        assert_eq!(names("kinesis", "GetRecords", "NODE1"), None);
        assert_eq!(names("kinesis", "GetRecords", "NODE1"), Some("fault:cut"));
        assert_eq!(names("dynamodb", "GetItem", "NODE1"), None);
        assert_eq!(names("dynamodb", "GetItem", "NODE2"), Some("fault:never-answer"));
        assert_eq!(names("dynamodb", "PutItem", "NODE2"), Some("fault:never-answer"));
        assert_eq!(names("dynamodb", "PutItem", "NODE2"), None);
        assert_eq!((faults.hits(third), faults.hits(first)), (1, 2));
        faults.clear();
        assert_eq!(names("dynamodb", "GetItem", "NODE2"), None);
        for (shard, hit) in [("shard-1", Some("fault:reset")), ("shard-2", None)] {
            faults.clear();
            let rule = Rule::on("GetRecords", When::Always, Action::Reset);
            faults.add(Rule { shard: Some(shard.into()), ..rule });
            assert_eq!(names("kinesis", "GetRecords", "NODE1"), hit);
        }
    }

    #[test]
    fn random_rules_repeat_with_their_seed() {
        let draw = |seed| {
            let faults = Faults::default();
            faults.seed(seed);
            faults.add(Rule::on("GetRecords", When::Probability(0.3), Action::Cut));
            (0..64).map(|_| faults.decide(&asked("kinesis", "GetRecords", "")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
