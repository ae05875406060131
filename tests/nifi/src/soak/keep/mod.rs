//! A NAR with one processor, which writes FlowFiles into a folder: NiFi's own is in no NAR that mirrors hold, and a queue
//! shows a hundred FlowFiles and no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, NifiHome, Result};

/// Class of the processor.
pub(super) const CLASS: &str = "soak.KeepFiles";
const SOURCE: &str = include_str!("KeepFiles.java");
const MANIFEST: &str = "Nar-Id: keep-files-nar\nNar-Group: soak\nNar-Version: 1\n";

/// Compiles and packs it into `folder`, with the tools of the JDK.
pub(super) fn nar(home: &NifiHome, java_home: &Path, folder: &Path) -> Result<PathBuf> {
    let (classes, bundled) = (folder.join("classes"), folder.join("bundled"));
    let services = classes.join("META-INF/services");
    let dependencies = bundled.join("META-INF/bundled-dependencies");
    for folder in [&services, &dependencies] {
        fs::create_dir_all(folder).map_err(Error::io(format!("creating {}", folder.display())))?;
    }
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display()))).map(|()| path)
    };
    let source = write(folder.join("KeepFiles.java"), SOURCE)?;
    write(services.join("org.apache.nifi.processor.Processor"), CLASS)?;
    let manifest = write(folder.join("MANIFEST.MF"), MANIFEST)?;
    let path = std::env::join_paths(home.jars()?).map_err(|error| Error::Unexpected(error.to_string()))?;
    let tool = |name: &str| Command::new(java_home.join("bin").join(name));
    run(tool("javac")
        .args(["--release", "21", "-nowarn", "-d"])
        .arg(&classes)
        .arg("-cp")
        .arg(path)
        .arg(source))?;
    let jar = dependencies.join("keep-files.jar");
    run(tool("jar").arg("--create").arg("--file").arg(jar).arg("-C").arg(&classes).arg("."))?;
    let nar = folder.join("keep-files.nar");
    run(tool("jar")
        .args(["--create", "--manifest"])
        .arg(manifest)
        .arg("--file")
        .arg(&nar)
        .arg("-C")
        .arg(&bundled)
        .arg("."))?;
    Ok(nar)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(Error::io(format!("starting {command:?}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Unexpected(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}
