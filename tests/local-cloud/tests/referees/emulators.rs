//! Other emulators as processes on loopback, for the length of a test.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::install;
use crate::signed::Service;

/// A running emulator; it ends with this value.
pub struct Emulator {
    pub service: Service,
    child: Child,
    folder: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

impl Emulator {
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        format!("end of the emulator's log:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }
}

/// kinesis-mock: polling, paging, filters, resharding.
pub async fn kinesis_mock() -> Emulator {
    let package = install::node().join("node_modules/kinesis-local");
    start("healthcheck", |ports| {
        let mut command = Command::new("node");
        command.arg("--require").arg(Path::new(install::SOURCES).join("loopback.cjs")).arg("main.js");
        command.current_dir(&package);
        command.env("KINESIS_MOCK_PLAIN_PORT", ports[0].to_string());
        command.env("KINESIS_MOCK_TLS_PORT", ports[1].to_string());
        command.env("LOG_LEVEL", "WARN");
        command
    })
    .await
}

/// ministack: fan-out, signatures, DynamoDB.
pub async fn ministack() -> Emulator {
    let python = install::python();
    let mut emulator = start("_ministack/health", |ports| {
        let mut command = Command::new(&python);
        command.arg(Path::new(install::SOURCES).join("run_ministack.py"));
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", ports[0].to_string());
        command.env("AUTH", "true").env("LOG_LEVEL", "WARNING");
        command.env("MINISTACK_REGION", "us-west-2");
        command.env("IOT_MTLS_ENABLED", "0");
        command
    })
    .await;
    // Signatures of the key it starts with are not checked, those of a user are.
    let root = emulator.service.clone();
    root.identity("Action=CreateUser&UserName=referee&Version=2010-05-08").await;
    let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
                  %22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D";
    root.identity(&format!(
        "Action=PutUserPolicy&UserName=referee&PolicyName=all&PolicyDocument={policy}&Version=2010-05-08"
    ))
    .await;
    let key = root.identity("Action=CreateAccessKey&UserName=referee&Version=2010-05-08").await;
    let member = |name: &str| {
        let rest = key.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name}")).1;
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    emulator.service.id = member("AccessKeyId");
    emulator.service.secret = member("SecretAccessKey");
    emulator
}

/// Starts a process on free ports and waits until it answers. Another process may take a port meanwhile: then again.
async fn start(health: &str, make: impl Fn([u16; 2]) -> Command) -> Emulator {
    let mut log_of_last = String::new();
    for _ in 0..3 {
        let ports = free();
        let folder = tempfile::tempdir().expect("folder");
        let log = File::create(folder.path().join("log")).expect("log");
        let mut command = make(ports);
        command.env("TMPDIR", folder.path());
        // Both end when their standard input does.
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("log")).stderr(log);
        let child = command.spawn().expect("the emulator starts");
        let service = Service {
            endpoint: format!("http://127.0.0.1:{}", ports[0]),
            region: "us-west-2".into(),
            id: "test".into(),
            secret: "test".into(),
        };
        let mut emulator = Emulator { service, child, folder };
        if answers(&mut emulator, health).await {
            return emulator;
        }
        log_of_last = emulator.log();
    }
    panic!("an emulator did not start: {log_of_last}");
}

async fn answers(emulator: &mut Emulator, health: &str) -> bool {
    let url = format!("{}/{health}", emulator.service.endpoint);
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if reqwest::get(&url).await.is_ok() {
            return true;
        }
        if emulator.child.try_wait().expect("status").is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "{url} answers in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn free() -> [u16; 2] {
    let sockets = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("address").port())
}
