//! Faults as a client meets them.

use std::time::Duration;

use aws_sdk_kinesis::error::SdkError;
use local_cloud::{Action, AwsError, CutPlan, Rule, When};

use crate::common::{blob, cloud, code, kinesis};

fn put(client: &aws_sdk_kinesis::Client) -> impl Future<Output = Result<(), String>> + use<> {
    let call = client.put_record().stream_name("s").partition_key("k").data(blob("x"));
    async move {
        match call.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) => Err(error.raw().status().to_string()),
            Err(SdkError::DispatchFailure(_)) => Err("dispatch".into()),
            Err(SdkError::ResponseError(_)) => Err("response".into()),
            Err(SdkError::TimeoutError(_)) => Err("timeout".into()),
            Err(_) => Err("other".into()),
        }
    }
}

#[tokio::test]
async fn an_applied_call_may_lose_its_answer() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    let stored = || cloud.kinesis().shards("s").expect("shards")[0].written;
    let fault = |action| cloud.faults().add(Rule::on("PutRecord", When::First(1), action));

    let rule = fault(Action::Cut);
    assert_eq!((put(&client).await, stored()), (Err("dispatch".into()), 0));
    assert_eq!(cloud.faults().hits(rule), 1);
    fault(Action::ApplyThenCut);
    assert_eq!((put(&client).await, stored()), (Err("dispatch".into()), 1));
    fault(Action::CutInBody);
    assert_eq!((put(&client).await, stored()), (Err("response".into()), 2));
    fault(Action::Error(AwsError::new("InternalFailure", "injected").with_status(500)));
    assert_eq!((put(&client).await, stored()), (Err("500".into()), 2));
    fault(Action::Delay(Duration::from_millis(5)));
    assert_eq!((put(&client).await, stored()), (Ok(()), 3));
    let outcomes: Vec<_> = cloud.journal().calls().into_iter().map(|call| call.outcome).collect();
    let expected =
        ["fault:cut", "fault:apply-then-cut", "fault:cut-in-body", "InternalFailure", "fault:delay"];
    assert_eq!(outcomes, expected);
    cloud.stop().await;
}

#[tokio::test]
async fn one_node_is_cut_off_from_one_service() {
    let cloud = cloud().await;
    cloud.add_access_key(local_cloud::AccessKey::new("AKIANODE2", "secret", "node2", None));
    let throttled = AwsError::new("ProvisionedThroughputExceededException", "injected");
    let rule = Rule::service("dynamodb", When::Always, Action::Error(throttled));
    cloud.faults().add(Rule { access_key: Some("AKIANODE2".into()), ..rule });
    let one = crate::common::dynamodb(&cloud);
    let two = crate::common::dynamodb_as(&cloud, "AKIANODE2", "secret");
    one.list_tables().send().await.expect("the other node works");
    assert_eq!(code(two.list_tables().send().await), "ProvisionedThroughputExceededException");
    crate::common::kinesis_as(&cloud, "AKIANODE2", "secret")
        .list_streams()
        .send()
        .await
        .expect("the other service works");
    cloud.stop().await;
}

#[tokio::test]
async fn silence_lasts_until_the_client_gives_up() {
    let cloud = cloud().await;
    cloud.kinesis().create_stream("s", 1).expect("create");
    cloud.faults().add(Rule::on("PutRecord", When::First(1), Action::ApplyThenNeverAnswer));
    let client = kinesis(&cloud);
    let call = client.put_record().stream_name("s").partition_key("k").data(blob("x")).customize();
    let timeouts = aws_sdk_kinesis::config::timeout::TimeoutConfig::builder();
    let timeouts = timeouts.operation_attempt_timeout(Duration::from_millis(100)).build();
    let call = call.config_override(aws_sdk_kinesis::Config::builder().timeout_config(timeouts));
    assert!(matches!(call.send().await, Err(SdkError::TimeoutError(_))));
    assert_eq!(cloud.kinesis().shards("s").expect("shards")[0].written, 1);
    cloud.stop().await;
}

#[tokio::test]
async fn connections_die_at_once_or_by_a_plan() {
    let cloud = cloud().await;
    let client = kinesis(&cloud);
    cloud.kinesis().create_stream("s", 1).expect("create");
    put(&client).await.expect("put");
    assert_eq!(cloud.aws_network().open(), 1);
    assert_eq!(cloud.aws_network().cut_all(), 1);
    let seed = 20_261_123;
    cloud.aws_network().plan_cuts(Some(CutPlan { seed, probability: 1.0, bytes: 100..4_000 }));
    let mut lost = 0;
    for _ in 0..100 {
        lost += u32::from(put(&client).await.is_err());
    }
    let stored = cloud.kinesis().shards("s").expect("shards")[0].written;
    assert!(lost > 10, "seed {seed}: {lost} calls lost");
    assert!(stored > 1 + u64::from(100 - lost), "seed {seed}: some lost answers belong to stored records");
    cloud.aws_network().plan_cuts(None);
    cloud.aws_network().cut_all();
    // The first call may find its pooled connection dead.
    let _ = put(&client).await;
    put(&client).await.expect("whole again");
    cloud.stop().await;
}
