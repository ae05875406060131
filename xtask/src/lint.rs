//! Formatting, clippy, and the policy for dependencies.

use std::process::ExitCode;

use crate::command;
use crate::error::Result;
use crate::natives::cargo;
use crate::place::Place;

/// Runs all of them; the first that fails ends the task.
pub fn run(place: &Place) -> Result<ExitCode> {
    println!("formatting");
    command::run(cargo().current_dir(&place.root).args(["fmt", "--all", "--check"]))?;
    println!("clippy, warnings denied");
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    command::run(cargo().current_dir(&place.root).args(clippy))?;
    if command::is_there("cargo-deny", &["--version"]) {
        println!("dependency policy");
        // The advisory database is a git repository that not every network reaches; it is checked by `cargo deny check`.
        let deny = ["deny", "--locked", "check", "licenses", "bans", "sources"];
        command::run(cargo().current_dir(&place.root).args(deny))?;
    } else {
        println!(
            "dependency policy: skipped, cargo-deny is not installed (cargo install --locked cargo-deny)"
        );
    }
    Ok(ExitCode::SUCCESS)
}
