//! Every way to AWS credentials, on loopback: what expires is renewed in time, what fails is told with its remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;
mod http_support;

use cloud_support::{Reader, Rig, STREAM, TABLE};
use http_support::{Asked, Server};
use kinesis::{Keys, Source, SourceConfig, Verdict};
use local_cloud::AccessKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SOON: Duration = Duration::from_secs(20);
const FAN_OUT: (&str, &str) = ("Consumer Type", "ENHANCED_FAN_OUT");

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A configuration without keys.
fn keyless(rig: &Rig, more: &[(&str, &str)]) -> SourceConfig {
    let keyless = [("AWS Access Key ID", ""), ("AWS Secret Access Key", "")];
    rig.config("a", &[&keyless, more].concat())
}

/// Keys that the cloud knows until they expire.
fn temporary(rig: &Rig, id: &str, life: Duration) -> Keys {
    let expires_ms = now_ms() + i64::try_from(life.as_millis()).unwrap();
    let mut key = AccessKey::new(id, "a secret", "connector", None);
    key.session_token = Some(format!("token of {id}"));
    key.expires_ms = Some(expires_ms);
    rig.cloud.add_access_key(key.clone());
    Keys {
        access_key_id: key.id,
        secret_access_key: key.secret.into(),
        session_token: key.session_token.map(Into::into),
        expires_ms: Some(expires_ms),
    }
}

/// Writes and reads until the condition holds, and once more after it.
async fn read_until(rig: &Rig, reader: &Reader, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "not renewed while it reads");
        reader.until(&rig.put(5), SOON).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    reader.until(&rig.put(5), SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_live_for_seconds_are_renewed_under_both_consumer_types() {
    let service = ("AWS Credentials Provider Service", "id");
    for more in [vec![service], vec![service, FAN_OUT]] {
        let rig = Arc::new(Rig::start(2).await);
        let source = Source::start(keyless(&rig, &more), &tokio::runtime::Handle::current());
        let reader = Reader::start(source);
        let (cloud, fed) = (rig.clone(), reader.source.clone());
        let feeding = tokio::spawn(async move {
            for turn in 0.. {
                fed.set_credentials(temporary(&cloud, &format!("ASIA{turn}"), Duration::from_secs(4)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let used =
            || rig.cloud.journal().calls().into_iter().map(|call| call.access_key).collect::<BTreeSet<_>>();
        read_until(&rig, &reader, || used().len() > 4).await;
        // The endpoint of this test speaks HTTP/1.1.
        let troubles = reader.troubles().into_iter().filter(|text| !text.contains("HTTP/2"));
        assert_eq!(troubles.collect::<Vec<_>>(), Vec::<String>::new());
        feeding.abort();

        // The service fails for longer than the last token lives.
        reader.source.credentials_unavailable("the token file is gone");
        reader
            .until_said(
                &["AWS Credentials Provider Service", "the token file is gone"],
                Duration::from_secs(10),
            )
            .await;
        let wanted = rig.put(5);
        reader.source.set_credentials(temporary(&rig, "ASIALAST", Duration::from_secs(60)));
        reader.until(&wanted, SOON).await;
        let mut got = reader.got();
        let all = got.len();
        got.sort_unstable();
        got.dedup();
        assert_eq!(got.len(), all, "nothing came twice");
        reader.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_keys_work_until_they_expire_and_that_is_said() {
    let rig = Rig::start(1).await;
    let keys = temporary(&rig, "ASIAWXYZ", Duration::from_secs(60));
    let properties = [
        ("AWS Access Key ID", keys.access_key_id.as_str()),
        ("AWS Secret Access Key", "a secret"),
        ("AWS Session Token", "token of ASIAWXYZ"),
    ];
    let source = Source::start(rig.config("a", &properties), &tokio::runtime::Handle::current());
    let reader = Reader::start(source);
    reader.until(&rig.put(3), SOON).await;
    temporary(&rig, "ASIAWXYZ", Duration::ZERO);
    reader.until_said(&["…WXYZ", "ExpiredToken", "AWS Session Token has expired"], SOON).await;
    assert!(reader.said().iter().all(|text| !text.contains("token of")), "{:?}", reader.said());
    reader.stop().await;
    rig.cloud.stop().await;
}

/// Answers AssumeRole with keys that the cloud knows for `life`, as STS does.
async fn sts(rig: &Arc<Rig>, life: Duration) -> Server {
    sts_with(rig, life, Arc::default()).await
}

/// The same, which fails as long as it is `out` of order.
async fn sts_with(rig: &Arc<Rig>, life: Duration, out: Arc<AtomicBool>) -> Server {
    let (rig, turn) = (rig.clone(), AtomicU64::new(0));
    Server::start(move |asked: &Asked| {
        if out.load(Ordering::Relaxed) {
            return (503, String::new());
        }
        if !asked.body.contains("ExternalId=partner") && asked.body.contains("Action=AssumeRole&") {
            let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: connector is \
                          not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
            return (403, denied.to_owned());
        }
        let id = format!("ASIAROLE{}", turn.fetch_add(1, Ordering::Relaxed));
        let keys = temporary(&rig, &id, life);
        let seconds = keys.expires_ms.unwrap() / 1_000;
        let end = aws_smithy_types::DateTime::from_secs(seconds);
        let end = end.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
        let operation =
            if asked.body.contains("WithWebIdentity") { "AssumeRoleWithWebIdentity" } else { "AssumeRole" };
        (
            200,
            format!(
                "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>\
                 <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>a secret</SecretAccessKey>\
                 <SessionToken>token of {id}</SessionToken><Expiration>{end}</Expiration></Credentials>\
                 <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/x</Arn>\
                 </AssumedRoleUser></{operation}Result></{operation}Response>"
            ),
        )
    })
    .await
}

const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_assumed_and_renewed_and_a_refusal_names_it() {
    let rig = Arc::new(Rig::start(1).await);
    // The SDK renews at random between ten and five seconds before the end.
    let sts = sts(&rig, Duration::from_secs(12)).await;
    let role = [("Assume Role ARN", ROLE), ("Assume Role STS Endpoint Override", sts.url.as_str())];

    let reader = Reader::start(rig.source("a", &role));
    reader.until_said(&[ROLE, "could not be assumed", "sts:AssumeRole", "External ID"], SOON).await;
    reader.stop().await;

    let more = [role.as_slice(), &[("Assume Role External ID", "partner")]].concat();
    let reader = Reader::start(rig.source("b", &more));
    let granted =
        || sts.asked().into_iter().filter(|a| a.body.contains("ExternalId=partner")).collect::<Vec<Asked>>();
    read_until(&rig, &reader, || granted().len() >= 2).await;
    assert_eq!(reader.troubles(), Vec::<String>::new());
    reader.stop().await;
    for asked in &granted() {
        assert!(asked.body.contains("RoleSessionName=Shardflow"), "{}", asked.body);
        assert!(asked.header("authorization").unwrap().contains(rig.cloud.access_key_id()));
    }
    let calls = rig.cloud.journal().calls();
    assert!(calls.iter().any(|call| call.access_key.starts_with("ASIAROLE")));
    assert!(calls.iter().all(|call| call.access_key != rig.cloud.access_key_id()), "only the role calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_cannot_be_renewed_for_a_while_is_told_and_loses_nothing() {
    for fan_out in [None, Some(FAN_OUT)] {
        let rig = Arc::new(Rig::start(2).await);
        let out = Arc::new(AtomicBool::new(false));
        let sts = sts_with(&rig, Duration::from_secs(12), out.clone()).await;
        let role = [
            ("Assume Role ARN", ROLE),
            ("Assume Role STS Endpoint Override", sts.url.as_str()),
            ("Assume Role External ID", "partner"),
        ];
        let more: Vec<(&str, &str)> = role.into_iter().chain(fan_out).collect();
        let reader = Reader::start(rig.source("a", &more));
        let mut wanted = rig.put(10);
        reader.until(&wanted, SOON).await;
        out.store(true, Ordering::Relaxed);
        reader.until_said(&[ROLE, "could not be assumed"], SOON).await;
        wanted.extend(rig.put(10));
        tokio::time::sleep(Duration::from_secs(4)).await;
        let told = reader.troubles().into_iter().filter(|text| !text.contains("HTTP/2")).collect::<Vec<_>>();
        assert!(told.len() <= 2, "once for each service: {told:?}");
        out.store(false, Ordering::Relaxed);
        wanted.extend(rig.put(10));
        reader.until(&wanted, SOON).await;
        let mut got = reader.got();
        got.sort_unstable();
        assert_eq!(got, wanted, "nothing twice");
        reader.stop().await;
    }
}

/// Runs [`default_chain_in_a_process_of_its_own`] with these variables alone; gives what it printed.
async fn chain(rig: &Rig, folder: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "default_chain_in_a_process_of_its_own", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("SHARDFLOW_TEST_ENDPOINT", rig.cloud.aws_endpoint())
        .env("AWS_CONFIG_FILE", folder.join("no-config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", folder.join("no-credentials"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Verifies with whatever identity the environment gives; does nothing as a test of its own.
#[tokio::test]
async fn default_chain_in_a_process_of_its_own() {
    let Ok(endpoint) = std::env::var("SHARDFLOW_TEST_ENDPOINT") else { return };
    let properties: BTreeMap<String, String> = [
        ("Stream Name", STREAM),
        ("Application Name", TABLE),
        ("Region", "us-west-2"),
        ("Endpoint Override URL", &endpoint),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect();
    let config = SourceConfig::from_properties(&properties).unwrap();
    for finding in Source::verify(&config).await.into_iter().take(1) {
        println!("{}: {}", finding.outcome.as_str(), finding.explanation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_link_of_the_default_chain_works() {
    let rig = Arc::new(Rig::start(1).await);
    let folder = tempfile::tempdir().unwrap();
    let works = |what: &str, said: String| {
        assert!(said.contains(Verdict::Successful.as_str()), "{what}: {said}");
    };
    let keys = [rig.cloud.access_key_id(), rig.cloud.secret_access_key()];
    let environment = [("AWS_ACCESS_KEY_ID", keys[0]), ("AWS_SECRET_ACCESS_KEY", keys[1])];
    works("environment", chain(&rig, folder.path(), &environment).await);

    let profiles = folder.path().join("credentials");
    let text = format!("[team]\naws_access_key_id = {}\naws_secret_access_key = {}\n", keys[0], keys[1]);
    std::fs::write(&profiles, text).unwrap();
    let profile = [("AWS_SHARED_CREDENTIALS_FILE", profiles.to_str().unwrap()), ("AWS_PROFILE", "team")];
    works("profile", chain(&rig, folder.path(), &profile).await);

    let sts = sts(&rig, Duration::from_secs(60)).await;
    let token = folder.path().join("token");
    std::fs::write(&token, "a web identity").unwrap();
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &sts.url),
    ];
    works("web identity", chain(&rig, folder.path(), &web).await);
    assert!(
        sts.asked()
            .iter()
            .any(|a| a.body.contains("WebIdentityToken=a+web+identity")
                || a.body.contains("a%20web%20identity"))
    );

    let machine = machine(&rig).await;
    let container = format!("{}/container", machine.url);
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str())];
    works("container", chain(&rig, folder.path(), &variables).await);
    let variables =
        [("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url.as_str()), ("AWS_EC2_METADATA_DISABLED", "false")];
    works("instance", chain(&rig, folder.path(), &variables).await);
}

/// The addresses under which a container and an instance ask for their credentials.
async fn machine(rig: &Arc<Rig>) -> Server {
    let rig = rig.clone();
    Server::start(move |asked: &Asked| {
        let line = asked.line();
        if line.starts_with("PUT /latest/api/token") {
            return (200, "session".to_owned());
        }
        if line.contains("/iam/security-credentials/ ")
            || line.contains("/iam/security-credentials-extended/ ")
        {
            return (200, "instance-role".to_owned());
        }
        if !line.contains("/container") && !line.contains("/instance-role") {
            return (404, String::new());
        }
        let keys = temporary(&rig, "ASIAMACHINE", Duration::from_secs(3_600));
        let end = aws_smithy_types::DateTime::from_millis(keys.expires_ms.unwrap());
        let end = end.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap();
        let body = serde_json::json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-31T12:00:00Z",
            "AccessKeyId": "ASIAMACHINE", "SecretAccessKey": "a secret",
            "Token": "token of ASIAMACHINE", "Expiration": end, "AccountId": "000000000000",
        });
        (200, body.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_identity_all_ways_to_one_are_named() {
    let rig = Rig::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let said = chain(&rig, folder.path(), &[]).await;
    for words in [
        Verdict::Failed.as_str(),
        "no valid AWS credentials from the default chain",
        "AWS Access Key ID",
        "AWS Credentials Provider Service",
        "environment, profile, web identity, container or instance role",
    ] {
        assert!(said.contains(words), "{words} is missing: {said}");
    }
    rig.cloud.stop().await;
}
