//! Installs the referees once into the cache directory, at the versions of `referees/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// The files that say what is installed.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/referees");
const NODE_HELP: &str = "the referees of the local cloud need Node.js 20 or newer with npm (Debian, Ubuntu: apt-get \
    install nodejs npm; macOS: brew install node; or https://nodejs.org)";
const PYTHON_HELP: &str = "the referees of the local cloud need Python 3.10 or newer with venv (Debian, Ubuntu: \
    apt-get install python3 python3-venv; macOS: brew install python; or https://python.org)";

/// Where `node_modules` is.
pub fn node() -> PathBuf {
    once("node", "package-lock.json", NODE_HELP, |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(Path::new(SOURCES).join(file), folder.join(file)).expect("copied");
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(install, NODE_HELP);
    })
}

/// The interpreter that has the packages.
pub fn python() -> PathBuf {
    let folder = once("python", "requirements.txt", PYTHON_HELP, |folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder.join("venv"));
        run(venv, PYTHON_HELP);
        let mut install = Command::new(folder.join("venv/bin/python"));
        install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r"]);
        install.arg(Path::new(SOURCES).join("requirements.txt"));
        run(install, PYTHON_HELP);
    });
    folder.join("venv/bin/python")
}

/// A folder that `make` fills once for all processes; a new one when the list of versions changes.
fn once(name: &str, versions: &str, help: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache();
    fs::create_dir_all(&cache).expect("cache directory");
    let listed = fs::read(Path::new(SOURCES).join(versions)).expect("list of versions");
    let sum = Sha256::digest(&listed).iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    let folder = cache.join(format!("referees-{name}-{sum}"));
    let complete = folder.join("complete");
    let lock = File::create(cache.join(format!("referees-{name}.lock"))).expect("lock file");
    lock.lock().expect("lock");
    if !complete.exists() {
        println!("installing into {} ({help})", folder.display());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("folder");
        make(&folder);
        fs::write(&complete, []).expect("mark");
    }
    folder
}

/// `$XDG_CACHE_HOME/shardflow`, or `~/.cache/shardflow`.
fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.expect("XDG_CACHE_HOME or HOME is set").join("shardflow")
}

fn run(mut command: Command, help: &str) {
    let shown = format!("{command:?}");
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "{shown} failed, and {help}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("{shown}: {error}; {help}"),
    }
}
