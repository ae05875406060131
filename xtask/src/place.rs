//! Where things are: the repository, and the directory that the user called from.

use std::path::{Path, PathBuf};

use nifi_harness::{AssembleOptions, NifiHome, jdk};

use crate::error::{Error, Result};
use crate::progress::Progress;

/// The repository and its caller.
#[derive(Debug, Clone)]
pub struct Place {
    /// Root of the repository.
    pub root: PathBuf,
    caller: PathBuf,
    /// JDK for Maven and NiFi.
    pub java_home: PathBuf,
}

impl Place {
    /// The repository that this program was built from.
    pub fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_owned();
        if !root.join("flow-definitions").is_dir() {
            return Err(Error::Other(format!(
                "the repository is no longer at {}: build again",
                root.display()
            )));
        }
        let caller = std::env::var_os("SHARDFLOW_CALLER_DIR").map(PathBuf::from);
        let caller = caller.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| root.clone());
        Ok(Self { root, caller, java_home: jdk::suitable()?.home })
    }

    /// A path as the caller meant it.
    pub fn of_caller(&self, path: &Path) -> PathBuf {
        self.caller.join(path)
    }

    /// Folder of what tasks leave behind: logs, instances, the state of a running system.
    pub fn runs(&self) -> PathBuf {
        self.root.join("target/dev")
    }

    /// A program of this workspace.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let own =
            std::env::current_exe().map_err(|error| Error::Io("locating this program".to_owned(), error))?;
        let program = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if program.is_file() {
            return Ok(program);
        }
        Err(Error::Other(format!("{} is missing: run `cargo build --workspace`", program.display())))
    }

    /// The delivered flow definition.
    pub fn flow(&self) -> PathBuf {
        self.root.join("flow-definitions/kinesis-to-snowflake.json")
    }

    /// The NiFi that tasks use.
    pub fn nifi_home(&self, progress: &Progress) -> Result<NifiHome> {
        let options = AssembleOptions::new(&self.java_home);
        Ok(NifiHome::assemble(&options, &|line| progress.say(line))?)
    }
}
