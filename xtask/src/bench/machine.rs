//! Where and when a measurement was made, and what a process used.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result, io};
use crate::place::Place;

/// Time that the threads of a process, the ended ones included, spent on a processor, user and system: fields 14 and 15
/// of `/proc/<id>/stat`, in hundredths of a second on Linux.
pub fn cpu(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).map_err(io(format!("reading {path} (Linux only)")))?;
    ticks(&text)
        .map(|ticks| Duration::from_millis(10 * ticks))
        .ok_or_else(|| Error::Other(format!("{path} is not as expected")))
}

/// The name of the process may contain anything, so counting begins after its closing bracket.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// One line about this machine, this moment and this version.
pub fn described(place: &Place) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0).div_ceil(1 << 20);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned();
    let date = output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let commit =
        output(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(&place.root));
    let java = output(Command::new(place.java_home.join("bin/java")).arg("--version"));
    let java = java.lines().next().unwrap_or_default().to_owned();
    let profile = if super::optimised() { "release profile" } else { "workspace's default build profile" };
    format!(
        "{date}, commit {commit}. {cores} × {model}, {memory} GiB, Linux; load before the run {load}. {java}. \
         Built with the {profile}."
    )
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        assert_eq!(ticks("7 (a b) c) S 1 1 1 0 -1 4 5 0 0 0 123 45 0 0 20 0 1"), Some(168));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn this_process_has_a_time() {
        assert!(cpu(std::process::id()).is_ok());
    }
}
