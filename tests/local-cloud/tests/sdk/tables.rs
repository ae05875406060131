//! Tables come into being and go.

use std::time::Duration;

use aws_sdk_dynamodb::types::TableStatus;
use local_cloud::{Clock, LocalCloud, Options};

use crate::common::{code, dynamodb};

#[tokio::test]
async fn a_table_is_created_and_deleted_in_time() {
    let clock = Clock::fixed(1_763_900_000_000);
    let options =
        Options { clock: clock.clone(), table_transition: Duration::from_secs(1), ..Options::default() };
    let cloud = LocalCloud::start(options).await.expect("start");
    let client = dynamodb(&cloud);
    let status = async || {
        let table = client.describe_table().table_name("app").send().await;
        table.map(|table| table.table.expect("table").table_status.expect("status"))
    };
    let scan = || client.scan().table_name("app").send();
    let delete = || client.delete_table().table_name("app").send();
    crate::dynamodb::create(&client).await;
    assert_eq!(status().await.expect("described"), TableStatus::Creating);
    assert_eq!(code(scan().await), "ResourceNotFoundException");
    assert_eq!(code(delete().await), "ResourceInUseException");
    clock.advance(Duration::from_secs(1));
    assert_eq!(status().await.expect("described"), TableStatus::Active);
    scan().await.expect("active");
    delete().await.expect("delete");
    assert_eq!(status().await.expect("described"), TableStatus::Deleting);
    assert_eq!(code(scan().await), "ResourceNotFoundException");
    assert_eq!(code(delete().await), "ResourceInUseException");
    clock.advance(Duration::from_secs(1));
    assert_eq!(code(status().await), "ResourceNotFoundException");
    crate::dynamodb::create(&client).await;
    cloud.stop().await;
}
