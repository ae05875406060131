//! A local cloud that goes on where it was stopped, and a connector that does, too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use e2e::{Connector, Rig};
use local_cloud::{LocalCloud, Options};

const LIMIT: Duration = Duration::from_secs(60);
const ROWS: u64 = 200;

async fn rig(folder: &Path) -> Rig {
    let mut options = Options { state: Some(folder.join("state")), ..Options::default() };
    options.snowflake.commit_delay = Duration::from_millis(50);
    let cloud = LocalCloud::start(options).await.unwrap();
    Rig { cloud, stream: "events".into(), table: ["DB", "PUBLIC", "EVENTS"].map(str::to_owned) }
}

/// Puts rows with numbers from `from` and lets a connector run until it has published something after the last one.
async fn carry(rig: &Rig, from: u64) {
    for row in from..from + ROWS {
        rig.cloud.kinesis().put("events", &format!("key-{row}"), format!("{{\"row\":{row}}}")).unwrap();
    }
    let mut connector = Connector::start(rig, "app").unwrap();
    connector.run_until(LIMIT, |connector| connector.rows() >= ROWS).await.unwrap();
    assert_eq!(connector.rows(), ROWS, "nothing is sent twice");
    connector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connector_goes_on_exactly_once_after_a_restart_of_the_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let first = rig(folder.path()).await;
    first.cloud.kinesis().create_stream("events", 3).unwrap();
    let definitions =
        "CREATE DATABASE db; CREATE TABLE db.public.events (kinesisMetadata OBJECT, \"ROW\" INT)";
    first.cloud.snowflake().sql(definitions).unwrap();
    carry(&first, 0).await;
    let channels = |rig: &Rig| {
        let channels = rig.cloud.snowflake().sql("SHOW CHANNELS IN TABLE db.public.events").unwrap();
        let tokens = (0..channels.rows.len()).map(|row| {
            (
                channels.get(row, "name").map(str::to_owned),
                channels.get(row, "offset_token").map(str::to_owned),
            )
        });
        tokens.collect::<Vec<_>>()
    };
    let before = channels(&first);
    assert_eq!(before.len(), 3);
    first.cloud.stop().await;

    let second = rig(folder.path()).await;
    assert_eq!(channels(&second), before, "channels and their tokens are as they were");
    carry(&second, ROWS).await;
    let counted =
        "SELECT COUNT(*), COUNT(DISTINCT \"ROW\"), MIN(\"ROW\"), MAX(\"ROW\") FROM db.public.events";
    let result = second.cloud.snowflake().sql(counted).unwrap();
    let expected = ["400", "400", "0", "399"].map(|text| Some(text.to_owned()));
    assert_eq!(result.rows, [expected.to_vec()]);
    assert!(second.cloud.snowflake().violations().is_empty());
    second.cloud.stop().await;
}
