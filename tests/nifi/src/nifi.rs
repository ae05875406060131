//! One running NiFi.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::home::NifiHome;
use crate::instance::{Instance, free_port};
use crate::process::{Lifetime, Process};
use crate::rest::RestClient;
use crate::{Error, Result};

const STOP_GRACE: Duration = Duration::from_secs(30);

/// How to start a NiFi.
#[derive(Debug, Clone)]
pub struct NifiOptions {
    /// Folder of the instance; holds its configuration, repositories and logs. Must be new or empty.
    pub dir: PathBuf,
    /// JDK that runs it, 21 or newer.
    pub java_home: PathBuf,
    /// Port of the REST API and the canvas on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// NARs put into `extensions/` before the start.
    pub nars: Vec<PathBuf>,
    /// Environment variables on top of this process's.
    pub env: Vec<(String, String)>,
    /// Largest heap, in MiB.
    pub heap_mib: u32,
    /// Further JVM options.
    pub jvm_options: Vec<String>,
    /// How long a start may take until the REST API answers.
    pub start_limit: Duration,
    /// When the process ends.
    pub lifetime: Lifetime,
}

impl NifiOptions {
    /// An instance in `dir` with the defaults: a free port, 1 GiB of heap, three minutes to start, ends with its parent.
    pub fn new(dir: impl Into<PathBuf>, java_home: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            java_home: java_home.into(),
            port: 0,
            nars: Vec::new(),
            env: Vec::new(),
            heap_mib: 1024,
            jvm_options: Vec::new(),
            start_limit: Duration::from_secs(180),
            lifetime: Lifetime::WithParent,
        }
    }
}

/// A running NiFi. Dropping it kills it, unless it is detached.
#[derive(Debug)]
pub struct Nifi {
    home: NifiHome,
    options: NifiOptions,
    instance: Instance,
    process: Process,
    rest: RestClient,
}

impl Nifi {
    /// Starts an instance and waits until its REST API answers and its flow is loaded.
    pub async fn start(home: &NifiHome, options: NifiOptions) -> Result<Self> {
        let instance = Instance::create(home, &options.dir, options.port, &options.nars)?;
        let process = launch(home, &instance, &options)?;
        let rest = RestClient::new(&format!("http://127.0.0.1:{}", instance.port))?;
        let mut nifi = Self { home: home.clone(), options, instance, process, rest };
        nifi.wait_or_launch_again().await?;
        nifi.instance.keep_unpacked(&nifi.home)?;
        Ok(nifi)
    }

    /// Starts the same instance again, on the same port and with what it has stored, after [`kill`](Self::kill) or
    /// [`stop`](Self::stop).
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.ended().is_none() {
            self.stop().await?;
        }
        self.process = launch(&self.home, &self.instance, &self.options)?;
        self.wait_or_launch_again().await
    }

    /// Waits until NiFi is ready. Between finding a free port for its management server and NiFi binding it, another
    /// process may take that port: then it is launched again, with another one.
    async fn wait_or_launch_again(&mut self) -> Result<()> {
        for _ in 0..2 {
            match self.wait_until_ready().await {
                Err(Error::Died { tail, .. }) if tail.contains("Address already in use") => {
                    self.process = launch(&self.home, &self.instance, &self.options)?;
                }
                other => return other,
            }
        }
        self.wait_until_ready().await
    }

    /// SIGKILL: nothing is flushed, nothing is told.
    pub async fn kill(&self) -> Result<()> {
        self.process.kill().await
    }

    /// An orderly stop; SIGKILL if it takes longer than 30 s.
    pub async fn stop(&self) -> Result<()> {
        self.process.stop(STOP_GRACE).await
    }

    /// The REST API as a person at the canvas uses it.
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Address of the canvas.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/nifi", self.instance.port)
    }

    /// Process id of the JVM.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A text that the JVM's command line contains and no other process's does.
    pub fn marker(&self) -> String {
        self.dir().join("conf").to_string_lossy().into_owned()
    }

    /// Folder of the instance.
    pub fn dir(&self) -> &Path {
        &self.instance.root
    }

    /// NiFi's application log.
    pub fn log(&self) -> PathBuf {
        self.dir().join("logs/nifi-app.log")
    }

    /// The flow as NiFi would load it after a restart: it is written behind the requests that change it.
    pub fn stored_flow(&self) -> Result<String> {
        let path = self.dir().join("conf/flow.json.gz");
        let failed = |path: &Path| Error::io(format!("reading {}", path.display()));
        let file = std::fs::File::open(&path).map_err(failed(&path))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).map_err(failed(&path))?;
        Ok(text)
    }

    /// The last `count` lines of the application log, and of the JVM's output when it is not empty.
    pub fn log_tail(&self, count: usize) -> String {
        log_tail(self.dir(), count)
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let limit = self.options.start_limit;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.process.ended() {
                let logs = self.dir().join("logs");
                return Err(Error::Died { status: status.to_string(), logs, tail: self.log_tail(80) });
            }
            if self.rest.root_group().await.is_ok() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let detail = format!("; the end of its log:\n{}", self.log_tail(30));
                return Err(Error::Timeout {
                    what: "an answer of NiFi's REST API".to_owned(),
                    limit,
                    detail,
                });
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// What NiFi's own launcher would run.
fn launch(home: &NifiHome, instance: &Instance, options: &NifiOptions) -> Result<Process> {
    instance.sweep()?;
    let root = &instance.root;
    let mut class_path = vec![root.join("conf")];
    class_path.extend(home.jars()?);
    let class_path = std::env::join_paths(class_path).map_err(|_| {
        Error::Unexpected("a path of the installation contains the path separator".to_owned())
    })?;
    // A second server of NiFi's, for its own scripts, which takes a fixed port unless it is told another.
    let management = format!("-Dorg.apache.nifi.management.server.address=127.0.0.1:{}", free_port()?);
    let define = |name: &str, path: &str| format!("-D{name}={}", root.join(path).display());
    let mut command = Command::new(options.java_home.join("bin/java"));
    command
        .current_dir(root)
        .arg("-cp")
        .arg(class_path)
        .args(["-Xms256m", &format!("-Xmx{}m", options.heap_mib)])
        .args(["--enable-native-access=ALL-UNNAMED", "-Djava.awt.headless=true"])
        .arg("-Dsun.net.http.allowRestrictedHeaders=true")
        .arg(define("java.io.tmpdir", "tmp"))
        .arg(define("nifi.properties.file.path", "conf/nifi.properties"))
        .arg(define("org.apache.nifi.bootstrap.config.log.dir", "logs"))
        .arg(management)
        .args(&options.jvm_options)
        .arg("org.apache.nifi.NiFi")
        .env("JAVA_HOME", &options.java_home)
        .envs(options.env.iter().map(|(name, value)| (name, value)));
    Process::start(&command, &root.join("logs/stdout.log"), options.lifetime)
}

fn log_tail(root: &Path, count: usize) -> String {
    let tail = |name: &str| {
        let text = std::fs::read(root.join("logs").join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    };
    [tail("nifi-app.log"), tail("stdout.log")]
        .into_iter()
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}
