//! A NAR with stand-ins for NiFi's services of credentials and proxies and its parameter providers, whose own NARs
//! Maven mirrors do not hold.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nifi_harness::NifiHome;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Kinds of extensions, by NiFi's interface, with the classes that stand in.
const KINDS: [(&str, &[&str]); 2] = [
    ("org.apache.nifi.controller.ControllerService", &["FileCredentials", "FixedProxy"]),
    ("org.apache.nifi.parameter.ParameterProvider", &["FolderParameters"]),
];
const PACKAGE: &str = "test";
const MANIFEST: &str = "Manifest-Version: 1.0\r\nNar-Id: stand-ins-nar\r\nNar-Group: test\r\nNar-Version: 1\r\n\
                        Nar-Dependency-Group: org.apache.nifi\r\nNar-Dependency-Id: nifi-aws-service-api-nar\r\n\
                        Nar-Dependency-Version: 1\r\n\r\n";

/// Compiles the sources beside this file against the interfaces that the installation holds.
pub fn nar(home: &NifiHome, java_home: &Path, folder: &Path) -> Result<PathBuf> {
    let classes = folder.join("classes");
    std::fs::create_dir_all(&classes)?;
    let mut path = home.jars()?;
    for nar in home.nars()? {
        let name = nar.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("nifi-aws-service-api-nar") || name.starts_with("nifi-standard-services-api-nar")
        {
            unpack_jars(&nar, folder, &mut path)?;
        }
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/services");
    let output = Command::new(java_home.join("bin/javac"))
        .args(["--release", "21", "-proc:none", "-nowarn", "-d"])
        .arg(&classes)
        .arg("-cp")
        .arg(std::env::join_paths(path)?)
        .args(names().map(|name| sources.join(format!("{name}.java"))))
        .output()?;
    if !output.status.success() {
        return Err(format!("javac: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    package(&classes, folder)
}

fn names() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().flat_map(|(_, classes)| classes.iter().copied())
}

fn unpack_jars(nar: &Path, into: &Path, path: &mut Vec<PathBuf>) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(nar)?)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if let Some(jar) = name.strip_prefix("META-INF/bundled-dependencies/").filter(|n| n.ends_with(".jar"))
        {
            let file = into.join(jar);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            std::fs::write(&file, bytes)?;
            path.push(file);
        }
    }
    Ok(())
}

fn package(classes: &Path, folder: &Path) -> Result<PathBuf> {
    let jar = folder.join("stand-ins.jar");
    let mut zip = ZipWriter::new(File::create(&jar)?);
    let options = SimpleFileOptions::default();
    for (kind, classes) in KINDS {
        zip.start_file(format!("META-INF/services/{kind}"), options)?;
        for name in classes {
            writeln!(zip, "{PACKAGE}.{name}")?;
        }
    }
    for class in names() {
        let name = format!("{PACKAGE}/{class}.class");
        zip.start_file(name.clone(), options)?;
        zip.write_all(&std::fs::read(classes.join(name))?)?;
    }
    zip.finish()?;
    let nar = folder.join("stand-ins-1.nar");
    let mut zip = ZipWriter::new(File::create(&nar)?);
    // NiFi makes no folder by itself, and wants the manifest first.
    zip.add_directory("META-INF/", options)?;
    zip.start_file("META-INF/MANIFEST.MF", options)?;
    zip.write_all(MANIFEST.as_bytes())?;
    zip.add_directory("META-INF/bundled-dependencies/", options)?;
    zip.start_file("META-INF/bundled-dependencies/stand-ins.jar", options)?;
    zip.write_all(&std::fs::read(&jar)?)?;
    zip.finish()?;
    Ok(nar)
}
