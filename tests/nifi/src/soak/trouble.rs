//! What can go wrong, drawn at random: the same seed gives the same plan.

use std::time::Duration;

use local_cloud::snowflake::{Fault, Route, Trouble as SnowflakeTrouble};
use local_cloud::{Action, AwsError, Rule, When};
use rand::Rng as _;
use rand::rngs::StdRng;

/// One trouble, with all that is random about it. `usize`s choose among what there is when it happens.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// An open shard is split.
    Split(usize),
    /// Two neighbours are merged.
    Merge(usize),
    /// SIGKILL for a node, and its start some time later.
    Kill {
        /// Which one.
        node: usize,
        /// Time until it is started again.
        down: Duration,
    },
    /// A node's flow is stopped in order and started some time later.
    Pause {
        /// Which one.
        node: usize,
        /// Time until it is started again.
        lasting: Duration,
    },
    /// A node's publisher alone is stopped, so that its queue fills, and started some time later.
    Dam {
        /// Which one.
        node: usize,
        /// Time until it is started again.
        lasting: Duration,
    },
    /// All open connections are cut.
    Cut {
        /// Those to Kinesis and DynamoDB.
        aws: bool,
        /// Those to Snowflake.
        snowflake: bool,
    },
    /// New connections die after some bytes, in the middle of a request or when it was carried out.
    Cuts {
        /// Start of the random numbers.
        seed: u64,
        /// Bytes after which they die, at most.
        bytes: u64,
        /// How long it goes on.
        lasting: Duration,
    },
    /// Calls to Kinesis or DynamoDB fail.
    Aws {
        /// Which ones and how.
        rule: Rule,
        /// How long it goes on.
        lasting: Duration,
    },
    /// Calls to Snowflake fail.
    Snowflake(Fault),
    /// A channel is invalidated.
    Invalidate(usize),
    /// All tokens end.
    ExpireTokens,
    /// Appends are accepted and not committed.
    PauseCommits(Duration),
    /// Another time from append to commit.
    CommitDelay(Duration),
    /// The clock of the AWS services jumps forward.
    Clock(Duration),
}

/// Which troubles are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// All of them.
    All,
    /// Kills, one soon after the other, and between them answers that leave open what has happened.
    Kills,
}

impl Mix {
    /// The time until the next trouble, and the trouble.
    pub fn draw(self, rng: &mut StdRng) -> (Duration, Trouble) {
        match self {
            Self::All => (millis(rng, 500..5000), any(rng)),
            Self::Kills => {
                let kill = Trouble::Kill { node: rng.random_range(0..8), down: Duration::ZERO };
                let trouble = if rng.random_ratio(1, 3) { ambiguous(rng) } else { kill };
                (millis(rng, 100..3000), trouble)
            }
        }
    }
}

fn millis(rng: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

fn any(rng: &mut StdRng) -> Trouble {
    let node = rng.random_range(0..8);
    match rng.random_range(0..100) {
        0..8 => Trouble::Split(rng.random_range(0..64)),
        8..15 => Trouble::Merge(rng.random_range(0..64)),
        15..25 => {
            // Beyond a lease's life at times, so that others take the shards.
            let down = if rng.random_ratio(1, 4) { 30_000..60_000 } else { 0..8000 };
            Trouble::Kill { node, down: millis(rng, down) }
        }
        25..29 => Trouble::Pause { node, lasting: millis(rng, 200..15_000) },
        29..33 => Trouble::Dam { node, lasting: millis(rng, 500..20_000) },
        33..40 => {
            let which = rng.random_range(0..3);
            Trouble::Cut { aws: which != 1, snowflake: which != 0 }
        }
        40..44 => Trouble::Cuts {
            seed: rng.random_range(0..1 << 32),
            bytes: [5_000, 50_000, 500_000][rng.random_range(0..3)],
            lasting: millis(rng, 1000..10_000),
        },
        44..60 => aws(rng),
        60..76 => snowflake(rng),
        76..84 => Trouble::Invalidate(rng.random_range(0..64)),
        84..87 => Trouble::ExpireTokens,
        87..91 => Trouble::PauseCommits(millis(rng, 500..12_000)),
        91..95 => Trouble::CommitDelay(millis(rng, 20..3000)),
        95..98 => Trouble::Clock(millis(rng, 500..45_000)),
        _ => ambiguous(rng),
    }
}

const OPERATIONS: [&str; 10] = [
    "GetRecords",
    "GetShardIterator",
    "ListShards",
    "DescribeStream",
    "SubscribeToShard",
    "UpdateItem",
    "PutItem",
    "GetItem",
    "Query",
    "Scan",
];

fn aws(rng: &mut StdRng) -> Trouble {
    let operation = OPERATIONS[rng.random_range(0..OPERATIONS.len())];
    let of_kinesis = OPERATIONS[..5].contains(&operation);
    let throttled = if operation == "SubscribeToShard" || operation == "ListShards" {
        "LimitExceededException"
    } else {
        "ProvisionedThroughputExceededException"
    };
    let failure = if of_kinesis { "InternalFailureException" } else { "InternalServerError" };
    let action = match rng.random_range(0..9) {
        0..3 => Action::Error(AwsError::new(throttled, "Rate exceeded")),
        3 => Action::Error(AwsError::new(failure, "An error on the server").with_status(500)),
        4 => Action::Error(AwsError::new("ServiceUnavailable", "Try again").with_status(503)),
        5 => Action::Cut,
        6 => Action::CutInBody,
        7 => Action::Delay(millis(rng, 100..4000)),
        _ => Action::NeverAnswer,
    };
    let when = match rng.random_range(0..3) {
        0 => When::Always,
        1 => When::First(rng.random_range(1..6)),
        _ => When::Probability(0.5),
    };
    Trouble::Aws { rule: Rule::on(operation, when, action), lasting: millis(rng, 500..12_000) }
}

fn snowflake(rng: &mut StdRng) -> Trouble {
    const ROUTES: [Route; 6] =
        [Route::Append, Route::Append, Route::Append, Route::Open, Route::Status, Route::Any];
    const REFUSALS: [(u16, &str); 9] = [
        (429, "390701"),
        (429, "RECEIVER_SATURATED"),
        (500, "ERR"),
        (503, "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"),
        (410, ""),
        (401, "390318"),
        (404, ""),
        (409, "ERR_CHANNEL_MUST_BE_REOPENED"),
        (400, "STALE_CONTINUATION_TOKEN_SEQUENCER"),
    ];
    let route = ROUTES[rng.random_range(0..ROUTES.len())];
    let trouble = match rng.random_range(0..8) {
        0..6 => {
            let (status, code) = REFUSALS[rng.random_range(0..REFUSALS.len())];
            Fault::refuse(status, code)
        }
        6 => SnowflakeTrouble::Delay(millis(rng, 50..3000)),
        _ => SnowflakeTrouble::Hang,
    };
    let times = if matches!(trouble, SnowflakeTrouble::Hang) { 1 } else { rng.random_range(1..25) };
    let skip = rng.random_range(0..4);
    Trouble::Snowflake(Fault { times: Some(times), skip, ..Fault::once(route, trouble) })
}

/// The call is carried out and the caller does not learn it.
fn ambiguous(rng: &mut StdRng) -> Trouble {
    const WRITES: [&str; 5] =
        ["UpdateItem", "UpdateItem", "PutItem", "CreateTable", "RegisterStreamConsumer"];
    let times = rng.random_range(1..4);
    if rng.random_bool(0.5) {
        let operation = WRITES[rng.random_range(0..WRITES.len())];
        let action = [Action::ApplyThenCut, Action::CutInBody, Action::ApplyThenNeverAnswer];
        // A call that never ends costs ten seconds, so there are fewer.
        let action = action[usize::try_from(rng.random_range(0..9) / 4).unwrap_or(0)].clone();
        let rule = Rule::on(operation, When::First(u64::from(times)), action);
        return Trouble::Aws { rule, lasting: millis(rng, 1000..6000) };
    }
    let route = [Route::Append, Route::Append, Route::Open, Route::Token][rng.random_range(0..4)];
    let body = "\"ERR_GENERAL_EXCEPTION_RETRY_REQUEST\"".to_owned();
    let trouble = match rng.random_range(0..8) {
        0..4 => SnowflakeTrouble::RefuseAfter { status: 503, body },
        4 => SnowflakeTrouble::RefuseAfter { status: 500, body },
        5..7 => SnowflakeTrouble::CutAfter,
        _ => SnowflakeTrouble::HangAfter,
    };
    let times = if matches!(trouble, SnowflakeTrouble::HangAfter) { 1 } else { times };
    Trouble::Snowflake(Fault { times: Some(times), ..Fault::once(route, trouble) })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn plan(seed: u64) -> String {
        let mut rng = StdRng::seed_from_u64(seed);
        format!("{:?}", (0..500).map(|_| Mix::All.draw(&mut rng)).collect::<Vec<_>>())
    }

    #[test]
    fn a_seed_makes_one_plan() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_comes_up() {
        let plan = plan(1);
        for kind in [
            "Split",
            "Merge",
            "Kill",
            "Pause",
            "Dam",
            "Cut {",
            "Cuts",
            "Aws",
            "Snowflake",
            "Invalidate",
            "ExpireTokens",
            "PauseCommits",
            "CommitDelay",
            "Clock",
            "410",
            "429",
            "ApplyThenCut",
            "RefuseAfter",
        ] {
            assert!(plan.contains(kind), "{kind}");
        }
    }
}
