//! Snowflake's own client, the Python package `snowpipe-streaming`, unchanged: what it takes for Snowflake is one.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use local_cloud::{LocalCloud, Options};

const PACKAGE: &str = "snowpipe-streaming==1.9.1";
const NEEDED: &str = "Python 3.9 or newer with the modules venv and pip is needed to run Snowflake's client; Debian, \
                      Ubuntu: apt-get install python3-venv. Its packages come from PyPI at the first run";

fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{}: {error}. {NEEDED}", command.get_program().display()))
}

fn make(command: &mut Command) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}\n{NEEDED}");
}

/// A Python that has the client, made once and kept in the cache folder.
fn python() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let cache = cache.expect("XDG_CACHE_HOME or HOME").join("shardflow");
    let version = run(Command::new("python3").arg("--version"));
    assert!(version.status.success(), "python3 --version failed. {NEEDED}");
    let version = String::from_utf8_lossy(&version.stdout).trim().replace(' ', "-").to_lowercase();
    let folder = cache.join(format!("{}-{version}", PACKAGE.replace("==", "-")));
    let python = folder.join("bin/python");
    fs::create_dir_all(&cache).expect("cache folder");
    let lock = File::create(folder.with_file_name("snowpipe-streaming.lock")).expect("lock file");
    lock.lock().expect("lock");
    let works = || Command::new(&python).args(["-c", "import snowflake.ingest.streaming"]).output();
    if works().is_ok_and(|output| output.status.success()) {
        return python;
    }
    let _ = fs::remove_dir_all(&folder);
    make(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
    make(Command::new(&python).args(pip));
    python
}

fn rows(cloud: &LocalCloud, query: &str) -> Vec<String> {
    let result = cloud.snowflake().sql(query).expect("query");
    let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
    result.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn snowflakes_own_client_finds_nothing_missing() {
    let python = tokio::task::spawn_blocking(python).await.expect("Snowflake's client");
    let mut options = Options::default();
    options.snowflake.commit_delay = Duration::from_millis(100);
    let cloud = LocalCloud::start(options).await.expect("local cloud");
    let definitions = "CREATE DATABASE sdk; CREATE TABLE sdk.public.t (id INT, name VARCHAR); \
                       CREATE TABLE sdk.public.bad (id INT NOT NULL, name VARCHAR) ERROR_LOGGING = TRUE; \
                       CREATE TABLE sdk.public.e (id INT)";
    cloud.snowflake().sql(definitions).expect("definitions");

    let folder = tempfile::tempdir().expect("folder");
    let endpoints = folder.path().join("endpoints.json");
    cloud.endpoints().write(&endpoints).expect("endpoints");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("referees/snowpipe_streaming.py");
    let mut command = tokio::process::Command::new(python);
    command.arg(script).arg(&endpoints).kill_on_drop(true);
    command.env("SSL_CERT_FILE", cloud.ca_file()).env("SS_LOG_LEVEL", "warn");
    let output = tokio::time::timeout(Duration::from_secs(120), command.output());
    let output = output.await.expect("Snowflake's client ends").expect("Python");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("referee: ").count(), 6, "{said}");

    cloud.snowflake().commit_now();
    assert_eq!(rows(&cloud, "SELECT COUNT(*), COUNT(DISTINCT id, name) FROM sdk.public.t"), ["1220|1220"]);
    assert_eq!(rows(&cloud, "SELECT id, name FROM sdk.public.bad ORDER BY id"), ["1|good", "4|NULL"]);
    let errors = rows(&cloud, "SELECT error_data:NAME::STRING FROM ERROR_TABLE(sdk.public.bad)");
    assert_eq!(errors, ["bad", "lacks ID"]);
    assert_eq!(rows(&cloud, "SELECT COUNT(*), COUNT(DISTINCT id) FROM sdk.public.e"), ["20|20"]);
    assert_eq!(cloud.snowflake().violations(), Vec::<String>::new());
    let requests = cloud.snowflake().journal().requests();
    let called = |part: &str| requests.iter().any(|request| request.path.contains(part));
    for part in [
        "/oauth/token",
        ":pipe-info",
        "/rows",
        "/filebuffer",
        ":bulk-channel-status",
        "/channels/ELASTIC/rows",
    ] {
        assert!(called(part), "the client called {part}");
    }
    cloud.stop().await;
}
