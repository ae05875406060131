//! Unchanged AWS SDKs of other languages as clients of the local cloud.

use std::path::Path;
use std::time::Duration;

use local_cloud::{LocalCloud, Options};
use tokio::process::Command;

use crate::install;

/// Runs a client with the local cloud in its environment; it must end well.
async fn run(cloud: &LocalCloud, mut command: Command) {
    command.env("AWS_ENDPOINT_URL", cloud.aws_endpoint());
    command.env("AWS_ACCESS_KEY_ID", cloud.access_key_id());
    command.env("AWS_SECRET_ACCESS_KEY", cloud.secret_access_key());
    command.env("AWS_REGION", cloud.region()).env("AWS_DEFAULT_REGION", cloud.region());
    // Nothing of the user's own set-up takes part.
    command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
    command.kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("the client ends in time").expect("the client runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}

fn source(file: &str) -> std::path::PathBuf {
    Path::new(install::SOURCES).join(file)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_python_writes_and_reads() {
    let python = install::python();
    let cloud = LocalCloud::start(Options::default()).await.expect("local cloud");
    let mut command = Command::new(python);
    command.arg(source("client.py"));
    run(&cloud, command).await;
    assert_eq!(cloud.journal().count("SubscribeToShard"), 2);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_javascript_writes_and_reads() {
    let node = install::node();
    let cloud = LocalCloud::start(Options::default()).await.expect("local cloud");
    let mut command = Command::new("node");
    command.arg(source("client.cjs")).current_dir(node);
    run(&cloud, command).await;
    assert_eq!(cloud.journal().count("SubscribeToShard"), 2);
    cloud.stop().await;
}
