//! A local Snowflake with a table, and a sink on it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_cloud::snowflake::Snowflake;
use local_cloud::{LocalCloud, Options};
use snowpipe::{Authentication, Progress, Sink, SinkConfig, State, UploadRequest};

/// Longest wait of any test for any condition.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A local Snowflake and what a test needs around it.
pub struct World {
    pub cloud: LocalCloud,
    pub sink: Arc<Sink>,
    properties: BTreeMap<String, String>,
}

impl World {
    pub async fn start() -> World {
        World::with(Duration::from_millis(100), &[]).await
    }

    /// With tokens that need no exchange.
    pub async fn with_tokens(tokens: &[&str]) -> World {
        let mut options = Options::default();
        options.snowflake.access_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        World::of(options, &[]).await
    }

    pub async fn with(commit_delay: Duration, changes: &[(&str, &str)]) -> World {
        let mut options = Options::default();
        options.snowflake.commit_delay = commit_delay;
        World::of(options, changes).await
    }

    pub async fn of(mut options: Options, changes: &[(&str, &str)]) -> World {
        options.snowflake.journal.body_bytes = 32 << 20;
        let cloud = LocalCloud::start(options).await.unwrap();
        let statements = "CREATE DATABASE DB; CREATE SCHEMA DB.SC; \
             CREATE TABLE DB.SC.T (N NUMBER, TEXT VARCHAR) ERROR_LOGGING = TRUE";
        let snowflake = cloud.snowflake().clone();
        tokio::task::spawn_blocking(move || snowflake.sql(statements).unwrap()).await.unwrap();
        let mut properties = properties(&cloud);
        for (name, value) in changes {
            properties.insert((*name).to_owned(), (*value).to_owned());
        }
        let sink = Arc::new(sink(&properties));
        World { cloud, sink, properties }
    }

    pub fn snowflake(&self) -> &Snowflake {
        self.cloud.snowflake()
    }

    /// Properties of the sink, changed.
    pub fn properties(&self, changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut properties = self.properties.clone();
        properties.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        properties
    }

    /// Another sink on the same table, as another node would have it.
    pub fn node(&self) -> Arc<Sink> {
        Arc::new(sink(&self.properties))
    }

    /// A sink that reads the tokens of a managed runtime, and the folder of its files, where `token` is its service account's.
    pub fn managed(&self, token: &str) -> (Arc<Sink>, PathBuf) {
        let folder = self.cloud.ca_file().with_file_name("snowflake-runtime");
        std::fs::create_dir_all(folder.join("serviceaccount")).unwrap();
        std::fs::write(folder.join("serviceaccount/token"), format!("{token}\n")).unwrap();
        let changes =
            [("Authentication Strategy", "SNOWFLAKE_MANAGED"), ("Private Key", ""), ("Account", "")];
        let mut config = SinkConfig::from_properties(&self.properties(&changes)).unwrap();
        let Authentication::Managed(runtime) = &mut config.authentication else { unreachable!() };
        runtime.folder.clone_from(&folder);
        (Arc::new(Sink::start(config, &tokio::runtime::Handle::current())), folder)
    }

    /// Requests whose path contains `part`, so far.
    pub fn asked(&self, part: &str) -> usize {
        self.snowflake().journal().requests().iter().filter(|request| request.path.contains(part)).count()
    }

    /// Announces rows `start..=end`.
    pub fn begin(&self, sink: &Sink, start: u64, end: u64, previous: u64) -> u64 {
        self.begin_in("orders.shard-0", sink, start, end, previous)
    }

    /// Announces rows `start..=end` for the channel of `group`.
    pub fn begin_in(&self, group: &str, sink: &Sink, start: u64, end: u64, previous: u64) -> u64 {
        self.announce(group, sink, (start, end, previous), content(start, end).len())
    }

    /// Announces rows of this size, with the first, last and previous token.
    pub fn begin_sized(&self, sink: &Sink, tokens: (u64, u64, u64), size: usize) -> u64 {
        self.announce("orders.shard-0", sink, tokens, size)
    }

    fn announce(
        &self,
        group: &str,
        sink: &Sink,
        (start, end, previous): (u64, u64, u64),
        size: usize,
    ) -> u64 {
        announce(sink, group, (start, end, Some(previous)), size)
    }

    /// Publishes rows `start..=end` and waits for the end.
    pub async fn publish(&self, start: u64, end: u64, previous: u64) -> Progress {
        let upload = self.begin(&self.sink, start, end, previous);
        drive(&self.sink, upload, content(start, end)).await
    }

    /// All values of the column N, in the order of the table.
    pub async fn rows(&self) -> Vec<u64> {
        let snowflake = self.snowflake().clone();
        let result = tokio::task::spawn_blocking(move || snowflake.sql("SELECT N FROM DB.SC.T").unwrap());
        let result = result.await.unwrap();
        result.rows.iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect()
    }

    /// Waits until `found` gives something.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&World) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = found(self) {
                return value;
            }
            assert!(Instant::now() < deadline, "{what} did not happen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A message that contains `part`.
    pub async fn message(&self, part: &str) -> String {
        let sink = Arc::clone(&self.sink);
        self.until(part, |_| {
            sink.messages().into_iter().map(|message| message.text).find(|text| text.contains(part))
        })
        .await
    }

    pub async fn stop(self) {
        self.sink.close(Duration::from_secs(5)).await;
        self.cloud.stop().await;
    }
}

fn properties(cloud: &LocalCloud) -> BTreeMap<String, String> {
    let endpoints = cloud.endpoints();
    let key = std::fs::read_to_string(&endpoints.snowflake_private_key_file).unwrap();
    [
        ("Account", endpoints.snowflake_account.clone()),
        ("User", endpoints.snowflake_user.clone()),
        ("Role", endpoints.snowflake_role.clone()),
        ("Private Key", key),
        ("Snowflake Endpoint Override URL", endpoints.snowflake_url.clone()),
        ("CA Certificates File", endpoints.snowflake_ca_file.clone()),
        ("Offset Tracking Resolution", "RECORD".to_owned()),
        ("Offset Token Record Pointer", "/n".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

pub fn sink(properties: &BTreeMap<String, String>) -> Sink {
    Sink::start(SinkConfig::from_properties(properties).unwrap(), &tokio::runtime::Handle::current())
}

/// Announces rows of this size in `DB.SC.T`, with the first, last and previous token.
pub fn announce(
    sink: &Sink,
    group: &str,
    (start, end, previous): (u64, u64, Option<u64>),
    size: usize,
) -> u64 {
    let request = [
        ("Database", "DB".to_owned()),
        ("Schema", "SC".to_owned()),
        ("Table", "T".to_owned()),
        ("Channel Group", group.to_owned()),
        ("Offset Token Start", start.to_string()),
        ("Offset Token End", end.to_string()),
        ("Offset Token Previous", previous.map(|token| token.to_string()).unwrap_or_default()),
        ("Size", size.to_string()),
        ("Records", (end + 1 - start).to_string()),
    ];
    let map = request.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    sink.begin(UploadRequest::from_properties(&map).unwrap()).unwrap()
}

/// Rows as NDJSON.
pub fn content(start: u64, end: u64) -> Vec<u8> {
    (start..=end).map(|n| format!("{{\"n\":{n},\"text\":\"row {n}\"}}\n")).collect::<String>().into_bytes()
}

/// Waits until the upload is in one of `states`.
pub async fn reach(sink: &Sink, upload: u64, states: &[State]) -> Progress {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let progress = sink.advance(upload, Duration::from_millis(250)).await.unwrap();
        if states.contains(&progress.state) || progress.state.is_final() {
            return progress;
        }
        assert!(Instant::now() < deadline, "upload {upload} stays {progress:?}; {:?}", sink.messages());
    }
}

/// Hands data over in odd pieces when asked, until the upload ends.
pub async fn drive(sink: &Arc<Sink>, upload: u64, data: Vec<u8>) -> Progress {
    loop {
        let progress = reach(sink, upload, &[State::WantData]).await;
        if progress.state != State::WantData {
            return progress;
        }
        write(sink, upload, data.clone()).await;
    }
}

/// Hands all data over.
pub async fn write(sink: &Arc<Sink>, upload: u64, data: Vec<u8>) {
    let sink = Arc::clone(sink);
    let writing = tokio::task::spawn_blocking(move || {
        for piece in data.chunks(7919) {
            sink.write(upload, piece).unwrap();
        }
        sink.finish_data(upload).unwrap();
    });
    writing.await.unwrap();
}

/// Moves the clock, and lets what is due then be done; on a runtime of one thread only.
pub async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
