//! Values in all forms of output a source has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use e2e::vectors::payloads;
use e2e::{Intake, Rig};

const LIMIT: Duration = Duration::from_secs(60);
const SHARD: &str = "shardId-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_output_strategy_keeps_the_value() {
    let rig = Rig::without_table(1).await.unwrap();
    let mut corpus = payloads().unwrap();
    // What is rejected, and what is flattened to one line, is told apart elsewhere.
    corpus.retain(|payload| payload.row.is_some() && !payload.data.iter().any(|byte| b"\r\n".contains(byte)));
    for payload in &corpus {
        rig.cloud.kinesis().put(&rig.stream, "key", payload.data.clone()).unwrap();
    }
    let stored = rig.cloud.kinesis().records(&rig.stream, SHARD).unwrap();
    for (strategy, format) in
        [("USE_VALUE", "ISO_8601"), ("USE_WRAPPER", "ISO_8601"), ("USE_WRAPPER", "EPOCH_MILLIS")]
    {
        let mut properties = rig.source_properties(&format!("{strategy}-{format}"));
        properties.insert("Output Strategy".to_owned(), strategy.to_owned());
        properties.insert("Approximate Arrival Format".to_owned(), format.to_owned());
        let mut intake = Intake::start(&properties).unwrap();
        intake.run_until(LIMIT, corpus.len() as u64).await.unwrap();
        assert!(intake.parts().all(|part| !part.failed));
        let mut rows = intake.parts().flat_map(|part| record::lines(&part.content));
        for (payload, record) in corpus.iter().zip(&stored) {
            let row = std::str::from_utf8(rows.next().expect(&payload.name)).unwrap();
            let value = std::str::from_utf8(&payload.data).unwrap();
            let name = &payload.name;
            if strategy == "USE_VALUE" {
                assert!(row == value, "{name}: {strategy}");
                continue;
            }
            let metadata = row.strip_suffix(&format!(",\"value\":{value}}}")).expect(name);
            let metadata: serde_json::Value = serde_json::from_str(&format!("{metadata}}}")).unwrap();
            let metadata = &metadata["kinesisMetadata"];
            assert_eq!(metadata["sequenceNumber"], record.sequence_number.as_str(), "{name}");
            if format == "EPOCH_MILLIS" {
                assert_eq!(metadata["approximateArrival"], record.arrival_ms, "{name}");
            }
        }
        assert!(rows.next().is_none());
        drop(rows);
        intake.stop().await;
    }
    rig.cloud.stop().await;
}
