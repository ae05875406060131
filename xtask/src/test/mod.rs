//! All tests, and their totals in one line.

mod totals;

use std::process::ExitCode;

use crate::command;
use crate::error::Result;
use crate::nar;
use crate::natives::cargo;
use crate::place::Place;
use crate::progress::Progress;
use totals::Totals;

/// Runs everything, also after a failure, and prints `N passed, N failed, N skipped` last.
pub fn run(place: &Place) -> Result<ExitCode> {
    let progress = Progress::start();
    let mut totals = Totals::default();
    progress.say("NAR");
    nar::build(place)?;
    progress.say("assembling NiFi, if it is not there yet");
    place.nifi_home(&progress)?;

    progress.say("Java tests");
    let mut maven = nar::maven(place);
    maven.args(["verify"]);
    totals.maven(|line| command::run_reading(&mut maven, line))?;

    progress.say("Rust tests, NAR content, flow definition, real NiFi");
    let mut tests = cargo();
    tests.current_dir(&place.root).env("JAVA_HOME", &place.java_home);
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    totals.cargo(|line| command::run_reading(&mut tests, line))?;

    progress.say("done");
    for failed in &totals.failures {
        println!("failed: {failed}");
    }
    println!("{totals}");
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
