//! The harness itself against a real NiFi, without our NAR: it starts, takes a flow definition, survives a SIGKILL
//! and a restart with what it stored, and ends with its owner.

use std::time::{Duration, Instant};

use nifi_harness::rest::{Parameter, wait_for};
use nifi_harness::{AssembleOptions, Nifi, NifiHome, NifiOptions, jdk, process};
use serde_json::{Value, json};

fn group_with_a_context() -> Value {
    json!({
        "flowContents": {
            "identifier": "0d2c27f1-5a0e-3b52-8f2e-1f2f5f7f8a01", "name": "Empty", "componentType": "PROCESS_GROUP",
            "position": { "x": 0, "y": 0 }, "parameterContextName": "Boot parameters",
        },
        "parameterContexts": { "Boot parameters": {
            "name": "Boot parameters", "componentType": "PARAMETER_CONTEXT", "inheritedParameterContexts": [],
            "parameters": [
                { "name": "Endpoint", "sensitive": false, "provided": false, "value": "http://127.0.0.1:1" },
                { "name": "Secret", "sensitive": true, "provided": false },
            ],
        } },
        "externalControllerServices": {},
        "flowEncodingVersion": "1.0",
    })
}

#[tokio::test]
async fn a_nifi_boots_takes_a_flow_and_keeps_it_through_a_kill() {
    let jdk = jdk::suitable().unwrap();
    let home = NifiHome::assemble(&AssembleOptions::new(&jdk.home), &|line| println!("{line}")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut nifi = Nifi::start(&home, NifiOptions::new(dir.path().join("nifi"), &jdk.home)).await.unwrap();
    println!("NiFi {} answers after {:?}", nifi.rest().version().await.unwrap(), begun.elapsed());
    let (pid, marker) = (nifi.process_id(), nifi.marker());
    assert!(process::is_running(pid, &marker));

    let file = dir.path().join("flow.json");
    std::fs::write(&file, group_with_a_context().to_string()).unwrap();
    let rest = nifi.rest().clone();
    let root = rest.root_group().await.unwrap();
    let group = rest.import_flow(&root, "Boot", &file).await.unwrap();
    let context = rest.parameter_context(&group).await.unwrap();
    let values =
        [Parameter::plain("Endpoint", "http://127.0.0.1:2"), Parameter::sensitive("Secret", "hidden")];
    rest.set_parameters(&context, &values).await.unwrap();
    assert!(rest.processors(&group).await.unwrap().is_empty());
    rest.start_group(&group).await.unwrap();
    rest.enable_services(&group).await.unwrap();
    assert_eq!(rest.queued(&group).await.unwrap().flow_files_queued, 0);
    assert!(rest.bulletins(&group).await.unwrap().is_empty());
    let refused = rest.processor("no-such-id").await.unwrap_err().to_string();
    assert!(refused.contains("404") && refused.contains("no-such-id"), "{refused}");

    let limit = Duration::from_secs(20);
    wait_for("the flow on disk", limit, || async {
        Ok(nifi.stored_flow().ok().filter(|flow| flow.contains("http://127.0.0.1:2")))
    })
    .await
    .unwrap();
    nifi.kill().await.unwrap();
    assert!(!process::is_running(pid, &marker));
    let begun = Instant::now();
    nifi.restart().await.unwrap();
    println!("restarted after {:?}", begun.elapsed());
    assert_eq!(rest.parameter_context(&group).await.unwrap(), context);
    let parameters = rest.parameters(&context).await.unwrap();
    let endpoint = parameters.iter().find(|p| p["name"] == "Endpoint").unwrap();
    assert_eq!(endpoint["value"], "http://127.0.0.1:2");

    let pid = nifi.process_id();
    drop(nifi);
    let deadline = Instant::now() + Duration::from_secs(10);
    while process::is_running(pid, &marker) {
        assert!(Instant::now() < deadline, "NiFi outlives its owner");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
