//! A Python that has Snowflake's own client, made once and kept in the cache folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nifi_harness::cache;

use crate::command;
use crate::error::{Error, Result, io};

const PACKAGE: &str = "snowpipe-streaming==1.9.1";

/// Its interpreter.
pub fn with_snowflake_client() -> Result<PathBuf> {
    let failed = |what: &str| {
        Error::Other(format!(
            "{what}. Python 3.9 or newer with the modules venv and pip is needed to run Snowflake's client (Debian, \
             Ubuntu: apt-get install python3-venv); its packages come from PyPI at the first run"
        ))
    };
    let version = Command::new("python3").arg("--version").output();
    let version = version.map_err(|error| failed(&format!("python3: {error}")))?.stdout;
    let version = String::from_utf8_lossy(&version).trim().replace(' ', "-").to_lowercase();
    let folder = cache::directory()?.join(format!("{}-{version}", PACKAGE.replace("==", "-")));
    let python = folder.join("bin/python");
    let lock_file = folder.with_file_name("snowpipe-streaming.lock");
    fs::create_dir_all(cache::directory()?).map_err(io("creating the cache folder"))?;
    let lock = fs::File::create(&lock_file).map_err(io(format!("creating {}", lock_file.display())))?;
    lock.lock().map_err(io(format!("locking {}", lock_file.display())))?;
    let program = python.to_string_lossy().into_owned();
    if command::is_there(&program, &["-c", "import snowflake.ingest.streaming"]) {
        return Ok(python);
    }
    // What is there does not work.
    let _ = fs::remove_dir_all(&folder);
    let made =
        command::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
            command::run_quietly(Command::new(&python).args(pip))
        });
    made.map_err(|error| failed(&error.to_string()))?;
    Ok(python)
}
