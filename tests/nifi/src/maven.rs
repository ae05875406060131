//! Artifacts through the Maven that the user has, by generated POMs: mirrors, proxies and the local repository are
//! then the user's own.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Error, Result};

const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// `group:artifact:version` and its packaging.
pub(crate) struct Artifact<'a> {
    pub group: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
}

/// Copies the artifacts, jars with what they need at run time and NARs alone, into `to`.
pub(crate) fn copy(
    artifacts: &[Artifact<'_>],
    scratch: &Path,
    to: &Path,
    java_home: &Path,
    progress: &dyn Fn(&str),
) -> Result<()> {
    for kind in ["jar", "nar"] {
        let wanted: Vec<_> = artifacts.iter().filter(|a| a.kind == kind).collect();
        if wanted.is_empty() {
            continue;
        }
        let folder = scratch.join(kind);
        let pom = folder.join("pom.xml");
        fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
        fs::write(&pom, pom_text(&wanted)).map_err(Error::io(format!("writing {}", pom.display())))?;
        let goal = format!("{DEPENDENCY_PLUGIN}:copy-dependencies");
        let output = format!("-DoutputDirectory={}", to.display());
        let scope = if kind == "nar" { "-DincludeTypes=nar" } else { "-DincludeScope=runtime" };
        run(&["-f", &pom.to_string_lossy(), &goal, &output, scope], java_home, progress)?;
    }
    Ok(())
}

/// Copies one artifact alone into `to`.
pub(crate) fn copy_one(
    artifact: &Artifact<'_>,
    to: &Path,
    java_home: &Path,
    progress: &dyn Fn(&str),
) -> Result<()> {
    let Artifact { group, name, version, kind } = artifact;
    let goal = format!("{DEPENDENCY_PLUGIN}:copy");
    let what = format!("-Dartifact={group}:{name}:{version}:{kind}");
    run(&[&goal, &what, &format!("-DoutputDirectory={}", to.display())], java_home, progress)
}

fn pom_text(artifacts: &[&Artifact<'_>]) -> String {
    let mut pom = String::from(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>io.shardflow.cache</groupId><artifactId>nifi-home</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>\n",
    );
    for Artifact { group, name, version, kind } in artifacts {
        // A NAR's own dependencies are inside it.
        let alone = match *kind {
            "nar" => {
                "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
            }
            _ => "",
        };
        let _ = writeln!(
            pom,
            "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>\
             <type>{kind}</type>{alone}</dependency>"
        );
    }
    pom.push_str("</dependencies></project>\n");
    pom
}

/// Runs `mvn` in batch mode; every download of a megabyte or more is told to `progress`.
fn run(arguments: &[&str], java_home: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let mut child = Command::new("mvn")
        .args(["-B", "-Dstyle.color=never"])
        .args(arguments)
        .env("JAVA_HOME", java_home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::io("starting mvn (Maven 3.8 or newer is needed)"))?;
    let mut tail = VecDeque::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            if let Some(file) = large_download(&line) {
                progress(&file);
            }
            if tail.len() == 30 {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    }
    let status = child.wait().map_err(Error::io("waiting for mvn"))?;
    if status.success() {
        return Ok(());
    }
    let what = arguments.join(" ");
    Err(Error::Maven { what: format!("running mvn {what}"), tail: Vec::from(tail).join("\n") })
}

/// `file (size)` of a line such as `Downloaded from central: https://…/a.nar (41 MB at 9 MB/s)`.
fn large_download(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Downloaded from ")?;
    let (url, size) = rest.split_once(" (")?;
    let size = size.split(" at ").next()?;
    let file = url.rsplit('/').next()?;
    size.ends_with(" MB").then(|| format!("{file} ({size})"))
}

#[cfg(test)]
mod tests {
    use super::large_download;

    #[test]
    fn only_large_downloads_are_told() {
        let line =
            "[INFO] Downloaded from central: https://host/a/nifi-server-nar-2.3.0.nar (41 MB at 9.9 MB/s)";
        assert_eq!(large_download(line).as_deref(), Some("nifi-server-nar-2.3.0.nar (41 MB)"));
        assert_eq!(large_download("Downloaded from central: https://host/a.pom (3 kB at 9 kB/s)"), None);
        assert_eq!(large_download("[INFO] BUILD SUCCESS"), None);
    }
}
