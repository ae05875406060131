//! Clocks that differ, and tokens that others rotate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use local_cloud::{LocalCloud, Options};

use super::*;
use crate::{Sink, State, UploadRequest};

fn properties(cloud: &LocalCloud, changes: &[(&str, &str)]) -> SinkConfig {
    let endpoints = cloud.endpoints();
    let map = [
        ("Account", endpoints.snowflake_account.clone()),
        ("User", endpoints.snowflake_user.clone()),
        ("Private Key", std::fs::read_to_string(&endpoints.snowflake_private_key_file).unwrap()),
        ("Snowflake Endpoint Override URL", endpoints.snowflake_url.clone()),
        ("CA Certificates File", endpoints.snowflake_ca_file.clone()),
    ];
    let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let map: BTreeMap<String, String> =
        map.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(changes).collect();
    SinkConfig::from_properties(&map).unwrap()
}

fn login(cloud: &LocalCloud) -> Login {
    let config = properties(cloud, &[]);
    Login::new(&config, client::build(config.ca_file.as_deref(), &config.proxy).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_does_not_keep_anyone_out() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    for seconds in [-7_200, -120, 120, 7_200] {
        let login = login(&cloud);
        login.state.lock().await.clock_offset = seconds;
        let session = login.session().await;
        assert!(session.is_ok(), "{seconds} s: {session:?}");
    }
    cloud.stop().await;
}

/// The refusal of a service whose clock is `ahead` of this machine's.
fn refusal(ahead: i64) -> Response {
    let now = SystemTime::now();
    let by = Duration::from_secs(ahead.unsigned_abs());
    let theirs = if ahead < 0 { now - by } else { now + by };
    let answer = http::Response::builder().status(401).header("date", httpdate::fmt_http_date(theirs));
    Response::from(answer.body(r#"{"code":"390144","message":"JWT token is invalid."}"#).unwrap())
}

#[tokio::test]
async fn a_refusal_names_a_clock_that_is_off_and_no_other() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    let login = login(&cloud);
    for (ahead, named) in [(120, true), (-120, true), (0, false), (5, false), (-5, false)] {
        let response = refusal(ahead);
        let offset = clock_offset(&response);
        assert!((offset - ahead).abs() <= 2, "{ahead} s: {offset}");
        let fault = login.refusal(response, offset).await;
        assert_eq!(fault.class, FaultClass::Auth);
        assert!(fault.detail.contains("390144"), "{fault:?}");
        let said = format!("This machine's clock is {} s off.", offset.abs());
        assert_eq!(fault.detail.contains(&said), named, "{ahead} s: {fault:?}");
    }
    cloud.stop().await;
}

/// Publishes one row; `meanwhile` runs when it is handed over.
async fn publish(sink: &Arc<Sink>, number: u64, meanwhile: impl AsyncFnOnce()) -> State {
    let map = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Table", "T".to_owned()),
        ("Offset Token Start", number.to_string()),
        ("Offset Token End", number.to_string()),
    ];
    let map = map.map(|(name, value)| (name.to_owned(), value)).into();
    let mut meanwhile = Some(meanwhile);
    let upload = sink.begin(UploadRequest::from_properties(&map).unwrap()).unwrap();
    for _ in 0..120 {
        let state = sink.advance(upload, Duration::from_millis(250)).await.unwrap().state;
        if state.is_final() {
            return state;
        }
        if state == State::WantData {
            let sink = Arc::clone(sink);
            let write = move || {
                sink.write(upload, format!("{{\"n\":{number}}}\n").as_bytes()).unwrap();
                sink.finish_data(upload).unwrap();
            };
            tokio::task::spawn_blocking(write).await.unwrap();
        }
        if state == State::InFlight
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile().await;
        }
    }
    panic!("row {number} waits for ever: {:?}", sink.messages());
}

fn put(folder: &Path, name: &str, token: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, token).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_runtime_rotates_is_read_anew_when_the_old_one_is_refused() {
    let mut options = Options::default();
    options.snowflake.access_tokens = vec!["service-account".to_owned()];
    let cloud = LocalCloud::start(options).await.unwrap();
    let snowflake = cloud.snowflake().clone();
    let statements = "CREATE DATABASE DB; CREATE SCHEMA DB.SC; CREATE TABLE DB.SC.T (N NUMBER)";
    tokio::task::spawn_blocking(move || snowflake.sql(statements).unwrap()).await.unwrap();
    // A session's token, as the service hands them out.
    let issued = async || login(&cloud).session().await.unwrap().token.expose_secret().to_owned();
    let folder = cloud.ca_file().with_file_name("runtime");
    put(&folder, "session/token", &issued().await);
    let mut config = properties(
        &cloud,
        &[
            ("Authentication Strategy", "SNOWFLAKE_MANAGED"),
            ("Offset Tracking Resolution", "RECORD"),
            ("Offset Token Record Pointer", "/n"),
        ],
    );
    let Authentication::Managed(runtime) = &mut config.authentication else { unreachable!() };
    runtime.folder.clone_from(&folder);
    let sink = Arc::new(Sink::start(config, &tokio::runtime::Handle::current()));
    assert_eq!(publish(&sink, 1, async || {}).await, State::Committed, "{:?}", sink.messages());

    let refused = || cloud.snowflake().journal().requests().iter().filter(|r| r.status == 401).count();
    cloud.snowflake().expire_tokens();
    let rotate = async || {
        while refused() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        put(&folder, "session/token", &issued().await);
    };
    assert_eq!(publish(&sink, 2, rotate).await, State::Committed, "{:?}", sink.messages());

    cloud.snowflake().expire_tokens();
    put(&folder, "serviceaccount/token", "service-account");
    let before = refused();
    assert_eq!(publish(&sink, 3, async || {}).await, State::Committed, "{:?}", sink.messages());
    assert_eq!(refused(), before, "the file is read for each call");
    sink.close(Duration::from_secs(5)).await;
    cloud.stop().await;
}
