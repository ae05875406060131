//! Credentials and the way to the services by NiFi's own controller services.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use local_cloud::AccessKey;
use nifi_harness::producer::bad_among;
use nifi_harness::rest::{Parameter, wait_for};
use nifi_harness::{AssembleOptions, Connector, NifiHome, audit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::runner::{Outcome, Verdict, ensure};
use crate::services;
use crate::world::World;

const RECORDS: u64 = 500;
const ARRIVAL: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(15);
/// Life of a token; renewed three times in it.
const LIFE: Duration = Duration::from_secs(6);
/// Ports that nothing listens on: only the proxy knows the way.
const AWS_PORT: u16 = 1;
const SNOWFLAKE_PORT: u16 = 2;
const USER: &str = "out";
const PASSWORD: &str = "p@ss:w%rd/";
/// Both, in the form of a header.
const LOGIN: &str = "Basic b3V0OnBAc3M6dyVyZC8=";

/// Tokens that end after seconds, an authenticating proxy for everything, and a queue that is full for longer than a
/// token lives.
pub async fn short_tokens_of_a_service_and_a_proxy_with_a_login(world: Arc<World>) -> Outcome {
    let home = NifiHome::assemble(&AssembleOptions::new(&world.jdk.home), &|line| println!("{line}"))?;
    let folder = world.folder("services");
    let nar = services::nar(&home, &world.jdk.home, &folder)?;
    let (settings, producer) = world.prepare("service", 1).await?;
    let connector = world.import(&settings).await?;
    let uploaded = connector.rest.upload_nar(&nar).await?;

    let file = folder.join("credentials.properties");
    issue(&world, &file, 0)?;
    let issuing = tokio::spawn(keep_issuing(Arc::clone(&world), file.clone()));
    let proxy =
        Proxy::start(port(&world.endpoints.aws_endpoint), port(&world.endpoints.snowflake_url)).await?;
    configure(&world, &connector, &settings.parameters(&world.endpoints)?, &file, proxy.port).await?;

    connector.rest.limit_queue(&connector.group, &connector.consumer, 1).await?;
    connector.rest.schedule_processor(&connector.consumer, "RUNNING").await?;
    let ledger = producer.put(0, RECORDS).await?;
    wait_for("a full queue", ARRIVAL, || async {
        let queued = connector.rest.queued(&connector.group).await?.flow_files_queued;
        Ok((queued > 0).then_some(()))
    })
    .await?;
    tokio::time::sleep(2 * LIFE).await;
    connector.rest.start_group(&connector.group).await?;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;
    let said = connector.bulletin_texts().await?;
    connector.stop(STOP).await?;
    issuing.abort();
    ensure!(!said.iter().any(|text| text.contains("ERROR")), "{said:#?}");
    ensure!(proxy.passed.load(Ordering::Relaxed) > 0, "nothing went through the proxy");
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    let calls = world.cloud.journal().calls();
    let renewals = calls.iter().filter(|call| call.resource.ends_with(&settings.application));
    let keys: std::collections::BTreeSet<&str> = renewals.map(|call| call.access_key.as_str()).collect();
    ensure!(keys.len() >= 3 && keys.iter().all(|key| key.starts_with("ASIASERVICE")), "{keys:?}");
    connector.remove().await?;
    connector.rest.remove_nar(&uploaded).await?;
    Ok(Verdict::Passed)
}

async fn configure(
    world: &World,
    connector: &Connector,
    parameters: &[Parameter],
    file: &Path,
    proxy: u16,
) -> Outcome {
    let rest = &connector.rest;
    let hidden = [
        Parameter::plain("AWS Endpoint Override URL", format!("http://localhost:{AWS_PORT}")),
        Parameter::plain("Snowflake Endpoint Override URL", format!("https://localhost:{SNOWFLAKE_PORT}")),
    ];
    rest.set_parameters(&connector.context, parameters).await?;
    rest.set_parameters(&connector.context, &hidden).await?;
    let credentials = json!({ "File": file });
    let credentials = rest.add_service(&connector.group, "test.FileCredentials", credentials).await?;
    let login = json!({ "Port": proxy.to_string(), "User": USER, "Password": PASSWORD });
    let proxy = rest.add_service(&connector.group, "test.FixedProxy", login).await?;
    let properties = json!({
        "AWS Access Key ID": Value::Null,
        "AWS Secret Access Key": Value::Null,
        "AWS Credentials Provider Service": credentials,
        "Proxy Configuration Service": proxy,
    });
    rest.set_properties(&connector.consumer, properties).await?;
    let properties = json!({ "Proxy Configuration Service": proxy });
    rest.set_properties(&connector.publisher, properties).await?;
    rest.enable_services(&connector.group).await?;
    for processor in rest.validated_processors(&connector.group).await? {
        let valid = processor.validation_status == "VALID";
        ensure!(valid, "{}: {:?}", processor.name, processor.validation_errors);
    }
    let found = rest.verify_processor(&connector.consumer).await?;
    ensure!(
        !found.iter().any(|step| step.outcome == "FAILED"),
        "{found:#?}\n{}",
        world.nifi.read().await.log_tail(30)
    );
    Ok(Verdict::Passed)
}

async fn keep_issuing(world: Arc<World>, file: PathBuf) {
    for turn in 1.. {
        tokio::time::sleep(LIFE / 3).await;
        if issue(&world, &file, turn).is_err() {
            return;
        }
    }
}

/// New keys that the cloud knows and the file holds.
fn issue(world: &World, file: &Path, turn: u32) -> std::io::Result<()> {
    let life = i64::try_from(LIFE.as_millis()).unwrap_or(i64::MAX);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expiry = i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(life);
    let mut key = AccessKey::new(format!("ASIASERVICE{turn}"), "a secret", "connector", None);
    key.session_token = Some(format!("token-{turn}"));
    key.expires_ms = Some(expiry);
    let text = format!("id={}\nsecret={}\ntoken=token-{turn}\nexpiry={expiry}\n", key.id, key.secret);
    world.cloud.add_access_key(key);
    // Never half a file.
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, file)
}

fn port(url: &str) -> u16 {
    let text = url.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// An HTTP proxy with a login that knows two hidden ports.
struct Proxy {
    port: u16,
    passed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn start(aws: u16, snowflake: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let passed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&passed);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(lead(socket, aws, snowflake, Arc::clone(&counter)));
            }
        });
        Ok(Self { port, passed, task })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(
    mut client: TcpStream,
    aws: u16,
    snowflake: u16,
    passed: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let known = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == LOGIN);
    if !known {
        return client.write_all(b"HTTP/1.1 407 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    }
    passed.fetch_add(1, Ordering::Relaxed);
    if text.starts_with(&format!("CONNECT localhost:{SNOWFLAKE_PORT} "))
        || text.starts_with(&format!("CONNECT 127.0.0.1:{SNOWFLAKE_PORT} "))
    {
        let mut server = TcpStream::connect(("127.0.0.1", snowflake)).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
    } else if text.contains(&format!("http://localhost:{AWS_PORT}/")) {
        let mut server = TcpStream::connect(("127.0.0.1", aws)).await?;
        server.write_all(&head).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}
