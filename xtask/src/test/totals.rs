//! Counts read from what the test runners print.

use std::fmt;

use crate::error::Result;

/// Tests counted so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    passed: u64,
    /// Tests that failed, and runs that failed without naming a test.
    pub failed: u64,
    skipped: u64,
    /// Names of what failed, as far as the runners tell.
    pub failures: Vec<String>,
}

impl Totals {
    /// Counts a run of `cargo test`. `run` gives its lines to the function that it gets, and tells whether it succeeded.
    pub fn cargo(&mut self, run: impl FnOnce(&mut dyn FnMut(&str)) -> Result<bool>) -> Result<()> {
        let failed_before = self.failed;
        let success = run(&mut |line| self.cargo_line(line))?;
        self.note_silent_failure("cargo test", success, failed_before);
        Ok(())
    }

    /// Counts a run of Maven.
    pub fn maven(&mut self, run: impl FnOnce(&mut dyn FnMut(&str)) -> Result<bool>) -> Result<()> {
        let failed_before = self.failed;
        let success = run(&mut |line| self.maven_line(line))?;
        self.note_silent_failure("Maven", success, failed_before);
        Ok(())
    }

    /// `test result: ok. 6 passed; 0 failed; 1 ignored; …`
    fn cargo_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// The sum of a module: `[INFO] Tests run: 6, Failures: 0, Errors: 0, Skipped: 1`; the lines of single classes go
    /// on with the time.
    fn maven_line(&mut self, line: &str) {
        if line.starts_with("[ERROR]   ") {
            self.failures.push(line.trim_start_matches("[ERROR]").trim().to_owned());
        }
        let Some((_, counts)) = line.split_once("Tests run: ") else { return };
        let numbers: Vec<u64> =
            counts.split(", ").filter_map(|part| part.rsplit(": ").next()?.parse().ok()).collect();
        let &[run, failures, errors, skipped] = numbers.as_slice() else { return };
        if counts.contains("Time elapsed") {
            return;
        }
        self.passed += run.saturating_sub(failures + errors + skipped);
        self.failed += failures + errors;
        self.skipped += skipped;
    }

    /// A build that broke, say, fails no test but must not look like success.
    fn note_silent_failure(&mut self, what: &str, success: bool, failed_before: u64) {
        if !success && self.failed == failed_before {
            self.failed += 1;
            self.failures.push(format!("{what} failed outside of its tests"));
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo(lines: &[&str], success: bool) -> Totals {
        let mut totals = Totals::default();
        let run = |line: &mut dyn FnMut(&str)| {
            lines.iter().for_each(|text| line(text));
            Ok(success)
        };
        totals.cargo(run).unwrap();
        totals
    }

    fn maven(lines: &[&str], success: bool) -> Totals {
        let mut totals = Totals::default();
        let run = |line: &mut dyn FnMut(&str)| {
            lines.iter().for_each(|text| line(text));
            Ok(success)
        };
        totals.maven(run).unwrap();
        totals
    }

    #[test]
    fn counts_of_cargo_are_added_up() {
        let lines = [
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 6 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.08s",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ];
        let totals = cargo(&lines, false);
        assert_eq!(totals.to_string(), "9 passed, 1 failed, 2 skipped");
        assert_eq!(totals.failures, ["a::c"]);
    }

    #[test]
    fn counts_of_maven_are_taken_once() {
        let lines = [
            "[INFO] Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s -- in io.shardflow.ATest",
            "[INFO] Tests run: 5, Failures: 1, Errors: 1, Skipped: 1",
        ];
        assert_eq!(maven(&lines, false).to_string(), "2 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_broken_build_is_a_failure() {
        assert_eq!(cargo(&["error: could not compile"], false).to_string(), "0 passed, 1 failed");
        assert_eq!(maven(&[], true).to_string(), "0 passed, 0 failed");
    }
}
