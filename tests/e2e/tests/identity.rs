//! Whatever one record is, its neighbours keep their own numbers, keys and times, and FlowFiles stay few.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{Intake, Rig};

const LIMIT: Duration = Duration::from_secs(60);
const SHARD: &str = "shardId-000000000000";

fn properties(rig: &Rig, application: &str, strategy: &str) -> BTreeMap<String, String> {
    let mut properties = rig.source_properties(application);
    properties.insert("Processing Strategy".to_owned(), strategy.to_owned());
    properties.insert("Max Records Per Request".to_owned(), "10000".to_owned());
    properties
}

/// Payloads that a parser of the whole batch would shift, glue or split; and whether each is a row.
const ODD: [(&[u8], bool); 14] = [
    (b"{\"n\":0}", true),
    (b"", false),
    (b"{\"n\":2}", true),
    (b" \t\n", false),
    (b"{\"n\":4}", true),
    (b"{\"n\":5}{\"n\":55}", false),
    (b"{\"n\":6}\n{\"n\":66}\n", false),
    (b"{\"n\":7", false),
    (b",\"m\":8}", false),
    (b"\xff\x00\x1b", false),
    (b"\n{\"n\":10}\n", true),
    (b"[{\"n\":11}]", false),
    (b"{}", true),
    (b"{\"n\":13}", true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_keeps_its_own_metadata_beside_odd_ones() {
    let rig = Rig::without_table(1).await.unwrap();
    for (number, (payload, _)) in ODD.iter().enumerate() {
        rig.cloud.kinesis().put(&rig.stream, &format!("key-{number}"), *payload).unwrap();
    }
    let stored = rig.cloud.kinesis().records(&rig.stream, SHARD).unwrap();
    let mut intake = Intake::start(&properties(&rig, "odd", "RECORD")).unwrap();
    intake.run_until(LIMIT, ODD.len() as u64).await.unwrap();
    let rows: Vec<serde_json::Value> = intake
        .parts()
        .filter(|part| !part.failed)
        .flat_map(|part| record::lines(&part.content))
        .map(|row| serde_json::from_slice(row).unwrap())
        .collect();
    let failed: Vec<_> = intake.parts().filter(|part| part.failed).collect();
    let (mut rows, mut failed) = (rows.iter(), failed.iter());
    for ((number, (payload, is_row)), record) in ODD.iter().enumerate().zip(&stored) {
        if *is_row {
            let metadata = &rows.next().unwrap()["kinesisMetadata"];
            assert_eq!(metadata["sequenceNumber"], record.sequence_number.as_str(), "{number}");
            assert_eq!(metadata["partitionKey"], format!("key-{number}"));
        } else {
            let part = failed.next().unwrap();
            assert_eq!(part.content, *payload, "{number}");
            assert_eq!(part.attribute("aws.kinesis.first.sequence.number"), Some(&*record.sequence_number));
            assert_eq!(part.attribute("aws.kinesis.last.sequence.number"), Some(&*record.sequence_number));
            assert_eq!(part.attribute("aws.kinesis.partition.key"), Some(&*format!("key-{number}")));
            let arrival = record.arrival_ms.to_string();
            assert_eq!(part.attribute("aws.kinesis.approximate.arrival.timestamp.ms"), Some(&*arrival));
        }
    }
    assert!(rows.next().is_none() && failed.next().is_none());
    let successes = intake.parts().filter(|part| !part.failed).count();
    assert_eq!(successes, intake.batches.len(), "bad payloads do not cut the rows");
    intake.stop().await;

    // As they are, where any bytes are welcome.
    let mut intake = Intake::start(&properties(&rig, "odd-each", "FLOW_FILE")).unwrap();
    intake.run_until(LIMIT, ODD.len() as u64).await.unwrap();
    for ((part, (payload, _)), record) in intake.parts().zip(ODD).zip(&stored) {
        assert_eq!(part.content, payload);
        assert_eq!(part.attribute("aws.kinesis.first.sequence.number"), Some(&*record.sequence_number));
        assert_eq!(part.attribute("record.count"), Some("1"));
    }
    assert_eq!(intake.parts().count(), ODD.len());
    intake.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_record_among_ten_thousand_costs_one_flow_file() {
    let rig = Rig::without_table(1).await.unwrap();
    for n in 0..10_000 {
        // Fields come and go: another schema for each record to those who infer one.
        let payload = match n {
            4_321 => "{\"n\":".to_owned(),
            n if n % 3 == 0 => format!("{{\"n\":{n}}}"),
            n => format!("{{\"n\":{n},\"optional-{}\":null}}", n % 7),
        };
        rig.cloud.kinesis().put(&rig.stream, "key", payload).unwrap();
    }
    let mut intake = Intake::start(&properties(&rig, "one-bad", "RECORD")).unwrap();
    intake.run_until(LIMIT, 10_000).await.unwrap();
    let counts =
        |failed| intake.parts().filter(|p| p.failed == failed).map(|p| p.records).collect::<Vec<_>>();
    assert_eq!((counts(false), counts(true)), (vec![9_999], vec![1]));
    intake.stop().await;
    rig.cloud.stop().await;
}
