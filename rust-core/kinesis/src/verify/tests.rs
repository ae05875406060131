use super::*;
use crate::fake::{Fault, Rig, config};

async fn run(rig: &Rig, node: &crate::fake::Node, more: &[(&str, &str)]) -> Vec<Finding> {
    let before = rig.table.rows().await.unwrap();
    let findings = verify_in(&config("a", more), &node.stream, &node.store).await;
    let after = rig.table.rows().await.unwrap();
    assert_eq!((after.shards, after.nodes), (before.shards, before.nodes), "nothing was written");
    findings
}

fn of<'a>(findings: &'a [Finding], step: &str) -> (Verdict, &'a str) {
    let found = findings.iter().find(|f| f.step == step).expect(step);
    (found.outcome, found.explanation.as_str())
}

/// A rig whose table is there, and a node that reads nothing.
async fn rig() -> (Rig, crate::fake::Node) {
    let rig = Rig::new(&["s0", "s1", "s2", "s3", "s4", "s5"]);
    let node = rig.node("b", &[]);
    crate::fake::until("the table is there", Duration::from_secs(15), || rig.table.exists()).await;
    node.source.close(Duration::from_secs(5)).await;
    (rig, node)
}

#[tokio::test(start_paused = true)]
async fn a_sample_is_parsed_and_nothing_of_it_is_told() {
    let (rig, node) = rig().await;
    let cases: [(&[&str], Verdict, &str); 4] = [
        (&[], Verdict::Skipped, "holds no record"),
        (&["{\"a\":1}", "{}"], Verdict::Successful, "All 2 records are JSON objects"),
        (&["secret,word"], Verdict::Successful, "2 of 3 records are JSON objects"),
        (&[], Verdict::Successful, "2 of 3 records are JSON objects"),
    ];
    for (more, verdict, words) in cases {
        for payload in more {
            rig.stream.put_data("s2", (*payload).to_owned().into());
        }
        let findings = run(&rig, &node, &[]).await;
        let (outcome, text) = of(&findings, PARSE);
        assert!(outcome == verdict && text.contains(words), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(of(&findings, READ).0, Verdict::Successful);
    }
    let findings = run(&rig, &node, &[]).await;
    assert!(of(&findings, PARSE).1.contains("no JSON value"), "{findings:?}");
    let any = run(&rig, &node, &[("Processing Strategy", "FLOW_FILE")]).await;
    assert_eq!(of(&any, PARSE).0, Verdict::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_sample_without_any_object_is_a_failure() {
    let (rig, node) = rig().await;
    rig.stream.put_data("s0", "1,2,3".into());
    let findings = run(&rig, &node, &[]).await;
    assert_eq!(of(&findings, PARSE).0, Verdict::Failed);
    assert!(of(&findings, PARSE).1.contains("0 of 1"), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn every_missing_permission_is_named() {
    let cases = [
        ("describe", STREAM, "kinesis:describe"),
        ("list", SHARDS, "kinesis:list"),
        ("iterator", READ, "kinesis:iterator"),
        ("records", READ, "kinesis:records"),
        ("consumer", CONSUMER, "kinesis:consumer"),
        ("table", TABLE, "dynamodb:table"),
        ("rows", ROWS, "dynamodb:rows"),
        ("row", ROWS, "dynamodb:row"),
        ("renew", WRITE, "dynamodb:renew"),
    ];
    for (operation, step, words) in cases {
        let (rig, node) = rig().await;
        node.stream.faults.always(operation, Some(Fault::Fail(Kind::Denied)));
        node.store.faults.always(operation, Some(Fault::Fail(Kind::Denied)));
        let fan_out = step == CONSUMER;
        let more: &[(&str, &str)] = if fan_out { &[("Consumer Type", "ENHANCED_FAN_OUT")] } else { &[] };
        let findings = run(&rig, &node, more).await;
        let (outcome, text) = of(&findings, step);
        assert!(outcome == Verdict::Failed && text.contains(words), "{operation}: {findings:?}");
        let failed = findings.iter().filter(|f| f.outcome == Verdict::Failed).count();
        assert_eq!(failed, 1, "{operation}: {findings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn fan_out_does_without_the_permission_to_poll() {
    let (rig, node) = rig().await;
    node.stream.faults.always("records", Some(Fault::Fail(Kind::Denied)));
    let findings = run(&rig, &node, &[("Consumer Type", "ENHANCED_FAN_OUT")]).await;
    assert_eq!((of(&findings, READ).0, of(&findings, PARSE).0), (Verdict::Skipped, Verdict::Skipped));
    let (outcome, text) = of(&findings, CONSUMER);
    assert!(outcome == Verdict::Skipped && text.contains("kinesis:RegisterStreamConsumer"), "{text}");
}
