//! Runs scenarios over one world and prints results in the form of Rust's test runner.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crate::world::World;

/// Outcome of a scenario.
pub type Outcome = Result<Verdict, Box<dyn Error + Send + Sync>>;
type Run = fn(Arc<World>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How a scenario that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// What it needs cannot be had on this machine.
    Skipped,
}

/// A named scenario.
pub struct Scenario {
    pub name: &'static str,
    pub run: Run,
}

/// A [`Scenario`] of an `async fn(Arc<World>) -> Outcome`.
macro_rules! scenario {
    ($module:ident :: $function:ident) => {
        $crate::runner::Scenario {
            name: concat!(stringify!($module), "::", stringify!($function)),
            run: |world| Box::pin($crate::$module::$function(world)),
        }
    };
}
pub(crate) use scenario;

/// Fails the scenario with a text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+).into());
        }
    };
}
pub(crate) use ensure;

/// The scenarios in the order in which they run.
pub struct Runner {
    batches: Vec<Vec<Scenario>>,
    filters: Vec<String>,
    only_list: bool,
}

impl Runner {
    /// Takes names to run, as parts of names, from the command line.
    pub fn new() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let only_list = arguments.iter().any(|argument| argument == "--list");
        let filters = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
        Self { batches: Vec::new(), filters, only_list }
    }

    /// Scenarios that run one after the other.
    pub fn add(&mut self, scenarios: Vec<Scenario>) {
        for scenario in scenarios {
            self.add_concurrent(vec![scenario]);
        }
    }

    /// Scenarios that run at the same time.
    pub fn add_concurrent(&mut self, scenarios: Vec<Scenario>) {
        let wanted =
            |name: &str| self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part));
        let batch: Vec<Scenario> = scenarios.into_iter().filter(|scenario| wanted(scenario.name)).collect();
        if !batch.is_empty() {
            self.batches.push(batch);
        }
    }

    /// Runs them all in the world that `start` makes.
    pub async fn run<F>(self, start: fn() -> F) -> ExitCode
    where
        F: Future<Output = Result<World, Box<dyn Error + Send + Sync>>>,
    {
        if self.only_list {
            for scenario in self.batches.iter().flatten() {
                println!("{}: test", scenario.name);
            }
            return ExitCode::SUCCESS;
        }
        let begun = Instant::now();
        let total: usize = self.batches.iter().map(Vec::len).sum();
        println!("\nrunning {total} tests");
        if total == 0 {
            return summary(&[], begun);
        }
        let world = match start().await {
            Ok(world) => Arc::new(world),
            Err(error) => {
                println!("test world ... FAILED\n{error}");
                println!(
                    "\ntest result: FAILED. 0 passed; {total} failed; 0 ignored; 0 measured; 0 filtered out"
                );
                return ExitCode::FAILURE;
            }
        };
        let mut results = Vec::new();
        for batch in self.batches {
            let runs = batch.into_iter().map(|scenario| run_one(scenario, Arc::clone(&world)));
            results.extend(futures::future::join_all(runs).await);
        }
        if let Some(world) = Arc::into_inner(world) {
            world.stop(results.iter().any(|(_, outcome)| outcome.is_err())).await;
        }
        summary(&results, begun)
    }
}

async fn run_one(scenario: Scenario, world: Arc<World>) -> (&'static str, Outcome) {
    let begun = Instant::now();
    // A task of its own turns a panic into a failure of this scenario alone.
    let outcome =
        tokio::spawn((scenario.run)(world)).await.unwrap_or_else(|panic| Err(panic.to_string().into()));
    let seconds = begun.elapsed().as_secs_f64();
    let word = match &outcome {
        Ok(Verdict::Passed) => "ok",
        Ok(Verdict::Skipped) => "ignored",
        Err(_) => "FAILED",
    };
    println!("  ({seconds:.1} s)\ntest {} ... {word}", scenario.name);
    if let Err(error) = &outcome {
        println!("  {error}");
    }
    (scenario.name, outcome)
}

fn summary(results: &[(&'static str, Outcome)], begun: Instant) -> ExitCode {
    let count = |wanted: fn(&Outcome) -> bool| results.iter().filter(|(_, outcome)| wanted(outcome)).count();
    let failed = count(Result::is_err);
    let failures = results.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)));
    for (index, (name, error)) in failures.enumerate() {
        println!("{}---- {name} ----\n{error}", if index == 0 { "\nfailures:\n\n" } else { "\n" });
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(|outcome| matches!(outcome, Ok(Verdict::Passed))),
        count(|outcome| matches!(outcome, Ok(Verdict::Skipped))),
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
