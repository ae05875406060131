//! A NiFi installation put together from Maven artifacts, or the user's own.
//!
//! Maven Central publishes NiFi's parts as jars and NARs; the assembled distribution is not among them. The set below
//! is what NiFi's own assembly puts into `lib/`, reduced to what a canvas, its REST API and a custom NAR need.

use std::fs;
use std::path::{Path, PathBuf};

use crate::maven::{self, Artifact};
use crate::{Error, Result, cache};

/// The release that is assembled by default: the newest of which Maven mirrors commonly hold every part.
pub const DEFAULT_VERSION: &str = "2.3.0";

const JARS: &[&str] = &[
    "nifi-api",
    "nifi-framework-api",
    "nifi-server-api",
    "nifi-runtime",
    "nifi-python-framework-api",
    "nifi-stateless-api",
    "nifi-nar-utils",
];
const NARS: &[&str] = &[
    "nifi-jetty-nar",
    "nifi-framework-nar",
    "nifi-server-nar",
    "nifi-provenance-repository-nar",
    "nifi-standard-shared-nar",
    "nifi-standard-services-api-nar",
    "nifi-ssl-context-service-nar",
    "nifi-record-serialization-services-nar",
];
/// Interfaces of NiFi's AWS services, which the connector's NAR builds on. Maven mirrors hold it for few releases; NiFi
/// links it to the one release of its own parent that is there.
const AWS_SERVICES: (&str, &str) = ("nifi-aws-service-api-nar", "2.6.0");
/// Part of the cache's folder names; another set of parts needs another number.
const SET: u32 = 2;
/// The logging set of the assembly's `lib/`, by the versions of NiFi 2.3.0's root POM.
const LOGGING: &[(&str, &str, &str)] = &[
    ("ch.qos.logback", "logback-classic", "1.5.17"),
    ("org.slf4j", "jcl-over-slf4j", "2.0.17"),
    ("org.slf4j", "jul-to-slf4j", "2.0.17"),
    ("org.slf4j", "log4j-over-slf4j", "2.0.17"),
];

/// What to assemble, and where to keep it.
#[derive(Debug, Clone)]
pub struct AssembleOptions {
    /// NiFi release.
    pub version: String,
    /// Another release of `nifi-api` put in the place of the release's own: how an extension meets a newer API where
    /// the newer framework cannot be had.
    pub api_version: Option<String>,
    /// Folder that keeps assembled homes; [`cache::directory`] by default.
    pub cache: Option<PathBuf>,
    /// JDK that runs Maven.
    pub java_home: PathBuf,
}

impl AssembleOptions {
    /// The default release, with Maven on the given JDK.
    pub fn new(java_home: impl Into<PathBuf>) -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            api_version: None,
            cache: None,
            java_home: java_home.into(),
        }
    }
}

/// An installation: a `lib/` folder that any number of instances share, never written to.
#[derive(Debug, Clone)]
pub struct NifiHome {
    root: PathBuf,
}

impl NifiHome {
    /// The installation named by the environment variable `NIFI_HOME` if it is set, else one assembled from Maven
    /// artifacts, once a machine. `progress` is told what takes long.
    pub fn assemble(options: &AssembleOptions, progress: &dyn Fn(&str)) -> Result<Self> {
        if let Some(given) =
            std::env::var_os("NIFI_HOME").filter(|v| !v.is_empty() && options.api_version.is_none())
        {
            return Self::existing(Path::new(&given));
        }
        let cache = options.cache.clone().map_or_else(cache::directory, Ok)?;
        let root = cache.join(format!("nifi-{}-set{SET}", options.version));
        cache::make_once(&root, |unfinished| {
            progress(&format!(
                "assembling NiFi {} from Maven artifacts (about 150 MB, once)",
                options.version
            ));
            assemble_release(options, unfinished, progress)
        })?;
        match &options.api_version {
            None => Ok(Self { root }),
            Some(api) => {
                let swapped = cache.join(format!("nifi-{}-set{SET}-api-{api}", options.version));
                cache::make_once(&swapped, |unfinished| {
                    progress(&format!("NiFi {} with nifi-api {api}", options.version));
                    swap_api(options, api, &root, unfinished, progress)
                })?;
                Ok(Self { root: swapped })
            }
        }
    }

    /// An unpacked NiFi.
    pub fn existing(root: &Path) -> Result<Self> {
        let home = Self { root: root.to_owned() };
        let has =
            |files: Vec<PathBuf>, name: &str| files.iter().any(|file| file_name(file).starts_with(name));
        if !has(home.jars()?, "nifi-runtime-") {
            let text = format!("{} is no NiFi: lib/nifi-runtime-*.jar is missing", root.display());
            return Err(Error::Unexpected(text));
        }
        let (name, _) = AWS_SERVICES;
        if !has(home.nars()?, name) {
            let text = format!("{} lacks lib/{name}-*.nar, which the connector's NAR needs", root.display());
            return Err(Error::Unexpected(text));
        }
        Ok(home)
    }

    /// The folder that holds the jars and NARs.
    pub fn lib(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// Where a start of this installation keeps its NARs unpacked for the next instances.
    pub(crate) fn unpacked(&self) -> PathBuf {
        self.root.join("unpacked")
    }

    /// The jars of the boot class path, sorted.
    pub fn jars(&self) -> Result<Vec<PathBuf>> {
        self.files("jar")
    }

    /// The NARs that come with the installation, sorted.
    pub fn nars(&self) -> Result<Vec<PathBuf>> {
        self.files("nar")
    }

    fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let lib = self.lib();
        let listing = fs::read_dir(&lib).map_err(Error::io(format!("reading {}", lib.display())))?;
        let mut found: Vec<PathBuf> = listing
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| path.extension().is_some_and(|e| e == extension))
            .collect();
        found.sort();
        Ok(found)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn assemble_release(options: &AssembleOptions, into: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let version = options.version.as_str();
    let nifi = |name, kind| Artifact { group: "org.apache.nifi", name, version, kind };
    let mut artifacts: Vec<Artifact<'_>> = JARS.iter().map(|name| nifi(name, "jar")).collect();
    artifacts.extend(NARS.iter().map(|name| nifi(name, "nar")));
    let (name, version) = AWS_SERVICES;
    artifacts.push(Artifact { group: "org.apache.nifi", name, version, kind: "nar" });
    artifacts.extend(LOGGING.iter().map(|&(group, name, version)| Artifact {
        group,
        name,
        version,
        kind: "jar",
    }));
    maven::copy(&artifacts, &into.join("poms"), &into.join("lib"), &options.java_home, progress)
}

fn swap_api(
    options: &AssembleOptions,
    api: &str,
    from: &Path,
    into: &Path,
    progress: &dyn Fn(&str),
) -> Result<()> {
    let lib = into.join("lib");
    let other = |path: &Path| !file_name(path).starts_with("nifi-api-");
    cache::link_tree(&from.join("lib"), &lib, &other)?;
    let artifact = Artifact { group: "org.apache.nifi", name: "nifi-api", version: api, kind: "jar" };
    maven::copy_one(&artifact, &lib, &options.java_home, progress)
}
