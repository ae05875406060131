//! Child processes that end when they should: with this process, or only when they are told to.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::sync::watch;

use crate::{Error, Result};

/// When a started process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// With the process that started it, however that one ends.
    WithParent,
    /// When it is stopped; it has a session of its own and outlives the terminal.
    Detached,
}

/// A started process. A thread of its own waits for its end, so that it never stays a zombie, and so that the
/// kernel's "parent died" signal, which follows the *thread* that started a child, comes only with the whole process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    lifetime: Lifetime,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` with its output appended to the file `log`.
    pub fn start(command: &Command, log: &Path, lifetime: Lifetime) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = format!("starting {program}");
        let mut wrapped = wrap(command, lifetime);
        let output = append(log)?;
        let errors = output.try_clone().map_err(Error::io(failed.clone()))?;
        wrapped.stdin(Stdio::null()).stdout(output).stderr(errors);
        let (started, answer) = mpsc::channel();
        let (end, ended) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("wait-{program}"))
            .spawn(move || match wrapped.spawn() {
                Ok(mut child) => {
                    let _ = started.send(Ok(child.id()));
                    // `wait` fails only for a child that was waited for elsewhere, which nothing here does.
                    if let Ok(status) = child.wait() {
                        let _ = end.send(Some(status));
                    }
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(Error::io(failed.clone()))?;
        let id = match answer.recv() {
            Ok(id) => id.map_err(Error::io(failed))?,
            Err(_) => return Err(Error::Unexpected(format!("{failed}: no answer"))),
        };
        Ok(Self { pid: to_pid(id)?, lifetime, ended })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The exit status, once it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(20)).await
    }

    /// SIGTERM; SIGKILL if it still lives after `grace`.
    pub async fn stop(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        match self.wait(grace).await {
            Ok(()) => Ok(()),
            Err(_) => self.kill().await,
        }
    }

    /// Waits for the end.
    pub async fn wait(&self, limit: Duration) -> Result<()> {
        let mut ended = self.ended.clone();
        let outcome = tokio::time::timeout(limit, ended.wait_for(Option::is_some)).await;
        match outcome {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::Timeout {
                what: format!("the end of process {}", self.id()),
                limit,
                detail: String::new(),
            }),
        }
    }

    fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            // A process that ended just now needs no signal.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::WithParent {
            self.signal(Signal::KILL);
        }
    }
}

/// The command through the small system programs that bind it to, or free it from, this process. Both replace
/// themselves by the command, so the process id is the command's. Where they are missing (macOS), `Drop` and a process
/// group of its own have to do.
fn wrap(command: &Command, lifetime: Lifetime) -> Command {
    let mut wrapped = match lifetime {
        Lifetime::WithParent if answers("setpriv", "--pdeathsig") => {
            through("setpriv", &["--pdeathsig", "KILL", "--"], command)
        }
        Lifetime::Detached if answers("setsid", "") => through("setsid", &[], command),
        _ => through("env", &[], command),
    };
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

fn through(program: &str, options: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(program);
    wrapped.args(options).arg(command.get_program()).args(command.get_args());
    wrapped
}

fn answers(program: &str, option: &str) -> bool {
    Command::new(program)
        .arg("--help")
        .output()
        .is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(option))
}

fn append(log: &Path) -> Result<File> {
    let failed = Error::io(format!("opening {}", log.display()));
    OpenOptions::new().create(true).append(true).open(log).map_err(failed)
}

fn to_pid(id: u32) -> Result<Pid> {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Error::Unexpected(format!("{id} is no process id")))
}

/// Whether process `id` lives and its command line contains `marker`: a process id found in a file may meanwhile
/// belong to somebody else.
pub fn is_running(id: u32, marker: &str) -> bool {
    let alive = to_pid(id).is_ok_and(|pid| test_kill_process(pid).is_ok());
    alive
        && Command::new("ps").args(["-ww", "-o", "stat=,args=", "-p", &id.to_string()]).output().is_ok_and(
            |ps| {
                let line = String::from_utf8_lossy(&ps.stdout).into_owned();
                !line.trim_start().starts_with('Z') && line.contains(marker)
            },
        )
}

/// Stops a detached process of an earlier run: SIGTERM, SIGKILL after `grace`. Does nothing if [`is_running`] is false.
pub async fn stop_detached(id: u32, marker: &str, grace: Duration) -> Result<()> {
    let pid = to_pid(id)?;
    for (signal, limit) in [(Signal::TERM, grace), (Signal::KILL, Duration::from_secs(10))] {
        if !is_running(id, marker) {
            return Ok(());
        }
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + limit;
        while is_running(id, marker) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    if is_running(id, marker) {
        return Err(Error::Unexpected(format!("process {id} does not end")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("300");
        command
    }

    #[tokio::test]
    async fn a_process_ends_when_dropped_and_a_detached_one_when_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let bound = Process::start(&sleeper(), &log, Lifetime::WithParent).unwrap();
        let free = Process::start(&sleeper(), &log, Lifetime::Detached).unwrap();
        let (bound_id, free_id) = (bound.id(), free.id());
        drop((bound, free));
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_running(bound_id, "sleep 300") {
            assert!(Instant::now() < deadline, "the bound process still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_running(free_id, "300"), "the detached process ended");
        assert!(!is_running(free_id, "another command"));
        stop_detached(free_id, "300", Duration::from_secs(5)).await.unwrap();
        assert!(!is_running(free_id, "300"));
    }

    #[tokio::test]
    async fn stop_and_kill_report_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let process = Process::start(&sleeper(), &log, Lifetime::WithParent).unwrap();
        assert!(process.ended().is_none());
        process.stop(Duration::from_secs(5)).await.unwrap();
        assert!(process.ended().is_some());
        let missing = Process::start(&Command::new("/no/such/program"), &log, Lifetime::WithParent);
        if let Ok(wrapper) = missing {
            wrapper.wait(Duration::from_secs(5)).await.unwrap();
            assert!(!wrapper.ended().unwrap().success());
        }
    }
}
