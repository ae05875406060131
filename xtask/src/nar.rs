//! The NAR, built by Maven only when something that goes into it has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::command;
use crate::error::{Result, io};
use crate::natives;
use crate::place::Place;

/// What goes into the NAR, besides what Maven downloads.
const INPUTS: &[&str] = &[
    "pom.xml",
    "LICENSE",
    "NOTICE",
    "java-shim/pom.xml",
    "java-shim/src/main",
    "nar-packaging/pom.xml",
    "nar-packaging/native",
];

/// Builds the native library and the NAR, and returns the NAR's path.
pub fn build(place: &Place) -> Result<PathBuf> {
    natives::build(place)?;
    assemble(place)
}

/// Builds the NAR with an optimised library, apart from the one that the demo and the tests build for themselves.
pub fn build_release(place: &Place) -> Result<PathBuf> {
    natives::build_release(place)?;
    let nar = assemble(place)?;
    let folder = place.root.join("target/dist");
    fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
    let out = folder.join(nar.file_name().unwrap_or_default());
    fs::copy(&nar, &out).map_err(io(format!("writing {}", out.display())))?;
    Ok(out)
}

fn assemble(place: &Place) -> Result<PathBuf> {
    let nar = path(place);
    let stamp = place.root.join("nar-packaging/target/inputs.sha256");
    let inputs = hash(&place.root)?;
    if nar.is_file() && fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(nar);
    }
    command::run_quietly(maven(place).args(["-q", "-DskipTests", "package"]))?;
    fs::write(&stamp, inputs).map_err(io(format!("writing {}", stamp.display())))?;
    Ok(nar)
}

/// Where Maven puts the NAR.
pub fn path(place: &Place) -> PathBuf {
    place.root.join(format!("nar-packaging/target/shardflow-nar-{}.nar", env!("CARGO_PKG_VERSION")))
}

/// Maven in the repository, without colours and download lines.
pub fn maven(place: &Place) -> Command {
    let mut command = Command::new("mvn");
    command.current_dir(&place.root).env("JAVA_HOME", &place.java_home).args([
        "-B",
        "-ntp",
        "-Dstyle.color=never",
    ]);
    command
}

fn hash(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&root.join(input), &mut files)?;
    }
    files.sort();
    let mut sum = Sha256::new();
    for file in files {
        let content = fs::read(&file).map_err(io(format!("reading {}", file.display())))?;
        sum.update(file.strip_prefix(root).unwrap_or(&file).to_string_lossy().as_bytes());
        sum.update([0]);
        sum.update(content.len().to_le_bytes());
        sum.update(content);
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(io(format!("reading {}", path.display())))? {
        collect(&entry.map_err(io(format!("reading {}", path.display())))?.path(), files)?;
    }
    Ok(())
}
