//! Programs run for a task.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::error::{Error, Result, io};

/// Lines of a failed program's output that are shown.
const SHOWN: usize = 60;

/// Runs a program with its output on the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let what = shown(command);
    let status = command.stdin(Stdio::null()).status().map_err(io(format!("starting {what}")))?;
    if status.success() { Ok(()) } else { Err(Error::Command(format!("{what} failed ({status})"))) }
}

/// Runs a program silently; its last lines are shown only when it fails.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let what = shown(command);
    let output = command.stdin(Stdio::null()).output().map_err(io(format!("starting {what}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Err(Error::Command(format!("{what} failed:\n{}", lines[lines.len().saturating_sub(SHOWN)..].join("\n"))))
}

/// Runs a program with its standard output on the terminal and given line by line to `line`. Returns whether it
/// succeeded.
pub fn run_reading(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let what = shown(command);
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(io(format!("starting {what}")))?;
    if let Some(output) = child.stdout.take() {
        for text in BufReader::new(output).split(b'\n') {
            let text = text.map_err(io(format!("reading what {what} prints")))?;
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            line(&text);
        }
    }
    Ok(child.wait().map_err(io(format!("waiting for {what}")))?.success())
}

/// Whether a program is there and answers.
pub fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
