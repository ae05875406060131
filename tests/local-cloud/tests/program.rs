//! The program: started, used and stopped as a user or a script does.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use local_cloud::Endpoints;

const PROGRAM: &str = env!("CARGO_BIN_EXE_local-cloud");

/// Ends the process whatever the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn serve(file: &Path, more: &[&str]) -> (Running, Endpoints) {
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg("--endpoints").arg(file).args(more).stdout(Stdio::null());
    let running = Running(command.spawn().expect("program"));
    let endpoints = until("the file is written", || Endpoints::read(file).ok());
    (running, endpoints)
}

fn sql(file: &Path, text: &str) -> Output {
    Command::new(PROGRAM).args(["sql", text, "--endpoints"]).arg(file).output().expect("program")
}

#[test]
fn it_serves_until_it_is_asked_to_stop() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("run/endpoints.json");
    let keys = folder.path().join("keys");
    let (mut running, endpoints) =
        serve(&file, &["--stream", "orders:3", "--folder", keys.to_str().expect("text")]);
    assert!(Path::new(&endpoints.snowflake_private_key_file).starts_with(&keys));
    let mode = std::fs::metadata(&endpoints.snowflake_private_key_file).expect("key").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    let output = sql(&file, "SELECT 1 AS one");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ONE\n---\n1\n(1 row)\n");
    let output = sql(&file, "SELEC 1");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("local-cloud: "));

    let pid = i32::try_from(running.0.id()).expect("pid");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).expect("pid"),
        rustix::process::Signal::TERM,
    )
    .expect("signal");
    let status = until("it stops", || running.0.try_wait().expect("status"));
    assert!(status.success());
    assert!(!file.exists(), "a file that points nowhere is worse than none");
    assert!(!sql(&file, "SELECT 1").status.success());
}

#[test]
fn quirks_and_limits_of_snowflake_are_flags() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("endpoints.json");
    let flags = ["--quirk", "json-login", "--snowflake-limit", "body-bytes=900", "--token-lifetime", "60"];
    let (_running, _) = serve(&file, &flags);
    for (flag, wrong, why) in [
        ("--snowflake-limit", "bodies=9", "there are body-bytes, requests-per-second"),
        ("--snowflake-limit", "body-bytes=many", "'many' is not a number"),
        ("--quirk", "none", "json-login, missing-pipe-as-status, session-header"),
    ] {
        let refused = Command::new(PROGRAM).args(["serve", "--endpoints", "x", flag, wrong]).output();
        let said = String::from_utf8_lossy(&refused.expect("program").stderr).into_owned();
        assert!(said.contains(why), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn it_ends_with_its_parent() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("endpoints.json");
    let mut parent = Running(Command::new("sleep").arg("60").spawn().expect("sleep"));
    let (mut running, _) = serve(&file, &["--parent-pid", &parent.0.id().to_string()]);
    assert!(running.0.try_wait().expect("status").is_none());
    parent.0.kill().expect("kill");
    parent.0.wait().expect("wait");
    assert!(until("it stops", || running.0.try_wait().expect("status")).success());
}

/// What is in a table of the running program, as its own client prints it.
fn shown(file: &Path, text: &str) -> String {
    let output = sql(file, text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn with_a_state_folder_the_next_start_goes_on_even_after_a_kill() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("endpoints.json");
    let state = folder.path().join("state");
    let options = ["--stream", "orders:2", "--state", state.to_str().expect("text")];
    let (mut running, first) = serve(&file, &options);
    let read = |path: &str| std::fs::read(path).expect("file");
    let (authority, key) = (read(&first.snowflake_ca_file), read(&first.snowflake_private_key_file));
    shown(&file, "CREATE DATABASE d; CREATE TABLE d.public.t (a INT); INSERT INTO d.public.t VALUES (7)");
    running.0.kill().expect("kill");
    running.0.wait().expect("wait");
    std::fs::remove_file(&file).expect("a killed program leaves its file");

    let (_running, second) = serve(&file, &options);
    assert_eq!(read(&second.snowflake_ca_file), authority, "who trusted it still does");
    assert_eq!(read(&second.snowflake_private_key_file), key);
    assert!(shown(&file, "SELECT a FROM d.public.t").contains('7'));
}
