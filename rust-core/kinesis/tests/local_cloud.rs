//! The source through its public face against Kinesis and DynamoDB on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;

use cloud_support::{Reader, Rig, STREAM, TABLE, until};
use kinesis::{Level, Source, Verdict};
use local_cloud::{AccessKey, Action, Limits, Rule, When, kpl_aggregate};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_commits_and_resumes() {
    let rig = Rig::start(2).await;
    let mut wanted = rig.put(40);
    let reader = Reader::start(rig.source("a", &[]));
    reader.until(&wanted, SOON).await;
    let part = reader.part(0);
    let attributes: Vec<&str> = part.iter().map(|(n, _)| *n).collect();
    for name in [
        "aws.kinesis.stream.name",
        "aws.kinesis.shard.id",
        "aws.kinesis.partition.key",
        "aws.kinesis.first.sequence.number",
        "aws.kinesis.first.subsequence.number",
        "aws.kinesis.last.sequence.number",
        "aws.kinesis.last.subsequence.number",
        "aws.kinesis.approximate.arrival.timestamp.ms",
        "kinesis.millis.behind",
        "record.count",
        "mime.type",
        "aws.kinesis.first.sharded.sequence.number",
        "aws.kinesis.last.sharded.sequence.number",
        "aws.kinesis.previous.sharded.sequence.number",
        "aws.kinesis.lineage.id",
    ] {
        assert!(attributes.contains(&name), "{name} is missing in {attributes:?}");
    }
    reader.stop().await;
    let items = rig.cloud.dynamodb().items(TABLE).unwrap();
    let shards: Vec<_> =
        items.iter().filter(|i| i["shardId"]["S"].as_str().unwrap().starts_with("shardId")).collect();
    assert_eq!(shards.len(), 2);
    for row in shards {
        assert_eq!(row["streamName"]["S"], STREAM);
        assert!(row["sequenceNumber"]["S"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
        assert!(row.get("leaseOwner").is_none() && row.get("leaseExpiry").is_none(), "released: {row}");
        assert!(row["lastUpdateTimestamp"]["N"].is_string());
    }
    assert_eq!(items.iter().filter(|i| i["shardId"]["S"] == "__node__#a").count(), 1);
    let more = rig.put(10);
    let reader = Reader::start(rig.source("a", &[]));
    reader.until(&more, SOON).await;
    assert_eq!(reader.got().len(), more.len(), "nothing twice");
    wanted.extend(more);
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_policy_is_enough_and_what_it_lacks_is_named() {
    let rig = Rig::start(1).await;
    let policy = rig.cloud.connector_policy(STREAM, TABLE);
    rig.key("AKIALEAST", Some(policy.clone()));
    let reader = Reader::start(rig.source_as("AKIALEAST", "a", &[]));
    reader.until(&rig.put(3), SOON).await;
    reader.stop().await;
    for action in [
        "kinesis:DescribeStream",
        "kinesis:ListShards",
        "kinesis:GetShardIterator",
        "kinesis:GetRecords",
        "dynamodb:DescribeTable",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
    ] {
        rig.key("AKIALESS", Some(policy.clone().without(action)));
        let reader = Reader::start(rig.source_as("AKIALESS", "a", &[]));
        reader.until_said(&["Missing permission", action], Duration::from_secs(10)).await;
        rig.key("AKIALESS", Some(policy.clone()));
        reader.until(&rig.put(1), SOON).await;
        reader.stop().await;
    }
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_got_over_when_it_is_right() {
    let rig = Rig::start(1).await;
    rig.cloud.add_access_key(AccessKey::new("AKIAWRONG", "another secret", "u", None));
    let reader = Reader::start(rig.source_as("AKIAWRONG", "a", &[]));
    reader.until_said(&["credentials", "RONG", "AWS Secret Access Key"], Duration::from_secs(6)).await;
    assert!(reader.said().iter().all(|t| !t.contains("top secret")), "{:?}", reader.said());
    rig.key("AKIAWRONG", None);
    reader.until(&rig.put(1), SOON).await;
    reader.stop().await;

    let reader = Reader::start(rig.source("a", &[("Stream Name", "nowhere"), ("Application Name", "other")]));
    reader.until_said(&["\"nowhere\" does not exist", "us-west-2"], Duration::from_secs(6)).await;
    assert!(!rig.cloud.dynamodb().tables().contains(&"other".to_owned()), "no table for no stream");
    rig.cloud.kinesis().create_stream("nowhere", 1).unwrap();
    rig.cloud.kinesis().put("nowhere", "k", &br#"{"n":777}"#[..]).unwrap();
    reader.until(&[777], SOON).await;
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_do_not_answer() {
    let rig = Rig::start(1).await;
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = hole.accept().await {
            open.push(socket);
        }
    });
    let began = Instant::now();
    let reader = Reader::start(rig.source("a", &[("Endpoint Override URL", &url)]));
    reader.until_said(&["cannot be reached", &url], Duration::from_secs(10)).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let began = Instant::now();
    reader.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    held.abort();
    let _ = held.await;
    // Nobody listens there any more.
    let reader = Reader::start(rig.source("a", &[("Endpoint Override URL", &url)]));
    reader.until_said(&["cannot be reached", &url], Duration::from_secs(10)).await;
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_are_applied_and_then_cut() {
    let rig = Rig::start(2).await;
    rig.cloud.faults().add(Rule::on("UpdateItem", When::Probability(0.3), Action::ApplyThenCut));
    rig.cloud.faults().add(Rule::on("GetRecords", When::Probability(0.2), Action::Cut));
    rig.cloud.faults().add(Rule::on("GetShardIterator", When::Nth(1), Action::Cut));
    let reader = Reader::start(rig.source("a", &[]));
    let mut wanted = Vec::new();
    for _ in 0..30 {
        wanted.extend(rig.put(5));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    reader.until(&wanted, Duration::from_secs(40)).await;
    assert_eq!(reader.got().len(), wanted.len(), "nothing twice");
    rig.cloud.faults().clear();
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reshard_at_latest_under_load() {
    let rig = Rig::start(2).await;
    rig.put(20);
    let reader = Reader::start(rig.source("a", &[("Initial Stream Position", "LATEST")]));
    until("both shards are read", SOON, || reader.source.status()["shards"].as_array().unwrap().len() == 2)
        .await;
    let mut wanted = rig.put(20);
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    let children = rig.cloud.kinesis().split(STREAM, &shards[0].id).unwrap();
    wanted.extend(rig.put(50));
    rig.cloud.kinesis().merge(STREAM, &children[1], &shards[1].id).unwrap();
    wanted.extend(rig.put(50));
    reader.until(&wanted, SOON).await;
    assert!(wanted.iter().all(|n| reader.got().iter().filter(|g| *g == n).count() == 1));
    reader.stop().await;
    let items = rig.cloud.dynamodb().items(TABLE).unwrap();
    let ended = items.iter().filter(|i| i["shardEnded"]["BOOL"] == true).count();
    assert_eq!(ended, 3);
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_through_a_reshard_with_the_documented_policy() {
    let rig = Rig::start(2).await;
    let fan_out = [("Consumer Type", "ENHANCED_FAN_OUT")];
    rig.key("AKIALEAST", Some(rig.cloud.connector_policy(STREAM, TABLE)));
    let mut wanted = rig.put(20);
    let reader = Reader::start(rig.source_as("AKIALEAST", "a", &fan_out));
    reader.until(&wanted, SOON).await;
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    rig.cloud.kinesis().split(STREAM, &shards[0].id).unwrap();
    wanted.extend(rig.put(50));
    reader.until(&wanted, SOON).await;
    assert_eq!(reader.got().len(), wanted.len(), "nothing twice");
    // The service cuts the subscriptions.
    rig.cloud.aws_network().cut_all();
    wanted.extend(rig.put(20));
    reader.until(&wanted, SOON).await;
    assert_eq!(reader.got().len(), wanted.len(), "nothing twice");
    reader.stop().await;
    let config = rig.config("a", &fan_out);
    let said = Source::deregister(&config).await;
    assert!(said.len() == 1 && said[0].level == Level::Info && said[0].text.contains(TABLE), "{said:?}");
    // Another node removes it too, while it goes or after.
    let again = Source::deregister(&config).await;
    assert!(again.iter().all(|m| m.level == Level::Info), "{again:?}");
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_the_service_are_kept() {
    let rig = Rig::start(1).await;
    for _ in 0..20 {
        rig.put_sized(400, 1_000);
    }
    rig.cloud.kinesis().set_limits(Limits { read: true, ..Limits::default() });
    rig.cloud.journal().clear();
    let began = Instant::now();
    let reader = Reader::start(rig.source("a", &[("Max Records Per Request", "10000")]));
    until("8 MB", Duration::from_secs(30), || reader.bytes() > 8_000_000).await;
    let took = began.elapsed().as_secs_f64();
    let calls = rig.cloud.journal().calls();
    let reads = calls.iter().filter(|c| c.operation == "GetRecords");
    let (throttled, all) = reads.fold((0, 0), |(t, n), c| (t + usize::from(c.status != 200), n + 1));
    assert!(throttled * 50 <= all, "{throttled} of {all} were throttled");
    assert!(took < 9.0, "8 MB in {took} s");
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_and_payloads_that_are_no_rows() {
    let rig = Rig::start(1).await;
    let payloads: Vec<Vec<u8>> = (1_000..1_010).map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
    let aggregate = kpl_aggregate(payloads.iter().map(|p| ("inner", p.as_slice())));
    rig.cloud.kinesis().put(STREAM, "k", aggregate).unwrap();
    rig.cloud.kinesis().put(STREAM, "k", &b"\xff\x00not json"[..]).unwrap();
    let reader = Reader::start(rig.source("a", &[]));
    reader.until(&(1_000..1_010).collect::<Vec<_>>(), SOON).await;
    until("the failure came", SOON, || reader.failed() == [b"\xff\x00not json".to_vec()]).await;
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_has_no_side_effects() {
    let rig = Rig::start(1).await;
    let verdicts = |findings: &[kinesis::Finding]| findings.iter().map(|f| f.outcome).collect::<Vec<_>>();
    let findings = Source::verify(&rig.config("a", &[])).await;
    use Verdict::{Failed, Skipped, Successful};
    let (sampled, absent) = ([Successful, Successful, Successful], [Skipped, Skipped, Skipped]);
    assert_eq!(verdicts(&findings), [&sampled[..], &[Skipped], &absent[..]].concat(), "{findings:?}");
    assert!(rig.cloud.dynamodb().tables().is_empty());
    let findings = Source::verify(&rig.config("a", &[("Stream Name", "nowhere")])).await;
    assert_eq!(verdicts(&findings), [&[Failed][..], &absent[..], &absent[..]].concat(), "{findings:?}");
    let findings = Source::verify(&rig.config("a", &[("Endpoint Override URL", "http://127.0.0.1:9")])).await;
    let expected = [&[Failed][..], &absent[..], &[Failed, Skipped, Skipped]].concat();
    assert_eq!(verdicts(&findings), expected, "{findings:?}");

    // With a table that is in use, a sample, and no more rights than are documented.
    let reader = Reader::start(rig.source("a", &[]));
    reader.until(&rig.put(5), SOON).await;
    reader.stop().await;
    rig.cloud.kinesis().put(STREAM, "k", &b"a secret"[..]).unwrap();
    rig.key("AKIALEAST", Some(rig.cloud.connector_policy(STREAM, TABLE)));
    for fan_out in [false, true] {
        let more: &[(&str, &str)] = if fan_out { &[("Consumer Type", "ENHANCED_FAN_OUT")] } else { &[] };
        let before = rig.cloud.dynamodb().items(TABLE).unwrap();
        let findings = Source::verify(&rig.config_of("AKIALEAST", "a", more)).await;
        let mut expected = vec![Successful; 4 + 3];
        if fan_out {
            // It is not registered by a look at it.
            expected.insert(4, Skipped);
        }
        assert_eq!(verdicts(&findings), expected, "{findings:?}");
        assert!(findings[3].explanation.contains("5 of 6 records are JSON objects"), "{findings:?}");
        assert!(!findings[3].explanation.contains("secret"), "{findings:?}");
        assert_eq!(rig.cloud.dynamodb().items(TABLE).unwrap(), before);
    }
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strategies_for_payloads_of_any_bytes() {
    let rig = Rig::start(1).await;
    let payloads: [&[u8]; 4] = [b"one", b"", b"\xff\n\x00", b"last"];
    for payload in &payloads[..3] {
        rig.cloud.kinesis().put(STREAM, "k", *payload).unwrap();
    }
    let aggregate = kpl_aggregate([("inner", payloads[3])].into_iter());
    rig.cloud.kinesis().put(STREAM, "k", aggregate).unwrap();
    let cases = [("FLOW_FILE", ""), ("LINE_DELIMITED", "\n"), ("DEMARCATOR", "<\u{1F600}>")];
    for (strategy, between) in cases {
        let more = [
            ("Processing Strategy", strategy),
            ("Message Demarcator", between),
            ("Application Name", strategy),
            ("Wire Format", if strategy == "FLOW_FILE" { "JSON" } else { "CBOR" }),
        ];
        let source = rig.source(strategy, &more);
        let (mut records, mut parts) = (0, Vec::new());
        let deadline = Instant::now() + SOON;
        while records < 4 {
            assert!(Instant::now() < deadline, "{records} records in time, {:?}", source.messages());
            let Some(batch) = source.next_batch(Duration::from_secs(1)).await.unwrap() else { continue };
            source.settle(batch.id, true).unwrap();
            records += batch.parts.iter().map(|p| p.records).sum::<u64>();
            parts.extend(batch.parts.iter().map(|p| (p.content.to_vec(), p.attributes.clone(), p.failed)));
        }
        let contents: Vec<&[u8]> = parts.iter().map(|(content, ..)| content.as_slice()).collect();
        if strategy == "FLOW_FILE" {
            assert_eq!(contents, payloads);
        } else {
            assert_eq!(contents, [payloads.join(between.as_bytes())]);
        }
        for (_, attributes, failed) in &parts {
            let value = |name: &str| attributes.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
            assert!(!failed && value("mime.type").is_none() && value("record.error.message").is_none());
            assert!(value("aws.kinesis.lineage.id").is_some_and(|id| !id.is_empty()));
        }
        let last = &parts.last().unwrap().1;
        assert!(last.contains(&("aws.kinesis.partition.key", "inner".to_owned())), "{last:?}");
        source.close(Duration::from_secs(5)).await;
    }
    rig.cloud.stop().await;
}

/// Every shard twice, once in front of the others and once behind them.
fn listed_twice(answer: &mut serde_json::Value) {
    let shards = answer["Shards"].as_array_mut().unwrap();
    let again = shards.clone();
    shards.extend(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_are_listed_twice_are_read_once() {
    let rig = Rig::start(3).await;
    rig.cloud.faults().add(Rule::on("ListShards", When::Always, Action::Rewrite(listed_twice)));
    let mut wanted = rig.put(30);
    let reader = Reader::start(rig.source("a", &[]));
    reader.until(&wanted, SOON).await;
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    rig.cloud.kinesis().split(STREAM, &shards[0].id).unwrap();
    wanted.extend(rig.put(30));
    reader.until(&wanted, SOON).await;
    let mut got = reader.got();
    got.sort_unstable();
    assert_eq!(got, wanted, "nothing twice");
    until("the list is that of five shards", SOON, || reader.source.status()["shardsListed"] == 5).await;
    assert_eq!(rig.cloud.journal().count("GetShardIterator"), 5);
    let listings = rig.cloud.journal().count("ListShards");
    assert!(listings <= 10, "{listings} listings in a few seconds");
    assert_eq!(reader.troubles(), Vec::<String>::new());
    reader.stop().await;
    rig.cloud.stop().await;
}
