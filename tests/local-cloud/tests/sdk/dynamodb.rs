//! The checkpoint table's calls, with the expressions a lease coordinator uses.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue as Value, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::common::{cloud, code, dynamodb};

pub async fn create(client: &aws_sdk_dynamodb::Client) {
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("key")
    };
    let attribute = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().expect("attribute")
    };
    let request = client.create_table().table_name("app").billing_mode(BillingMode::PayPerRequest);
    let request =
        request.key_schema(key("streamName", KeyType::Hash)).key_schema(key("shardId", KeyType::Range));
    let request =
        request.attribute_definitions(attribute("streamName")).attribute_definitions(attribute("shardId"));
    request.send().await.expect("create");
}

fn s(text: &str) -> Value {
    Value::S(text.into())
}

fn n(number: i64) -> Value {
    Value::N(number.to_string())
}

async fn acquire(client: &aws_sdk_dynamodb::Client, owner: &str, now: i64) -> Result<(), String> {
    let update =
        client.update_item().table_name("app").key("streamName", s("orders")).key("shardId", s("shard"));
    let update = update.update_expression(
        "SET leaseOwner = :owner, leaseExpiry = :exp, lineageId = if_not_exists(lineageId, :new) ADD leaseCounter :one",
    );
    let update = update.condition_expression(
        "attribute_not_exists(leaseOwner) OR leaseOwner = :owner OR leaseExpiry < :now",
    );
    let update =
        update.expression_attribute_values(":owner", s(owner)).expression_attribute_values(":now", n(now));
    let update =
        update.expression_attribute_values(":exp", n(now + 30_000)).expression_attribute_values(":one", n(1));
    let result = update.expression_attribute_values(":new", s(owner)).send().await;
    if result.is_ok() { Ok(()) } else { Err(code(result)) }
}

#[tokio::test]
async fn a_lease_is_taken_kept_and_taken_over() {
    let cloud = cloud().await;
    let client = dynamodb(&cloud);
    create(&client).await;
    acquire(&client, "one", 1_000).await.expect("free");
    assert_eq!(acquire(&client, "two", 2_000).await, Err("ConditionalCheckFailedException".into()));
    acquire(&client, "one", 3_000).await.expect("renewed");
    acquire(&client, "two", 40_000).await.expect("expired");
    let item = client.get_item().table_name("app").consistent_read(true);
    let item = item.key("streamName", s("orders")).key("shardId", s("shard")).send().await.expect("get");
    let item = item.item.expect("item");
    assert_eq!(item["leaseOwner"], s("two"));
    assert_eq!(item["leaseCounter"], n(3));
    assert_eq!(item["lineageId"], s("one"));
    let checkpoint = |owner: &str, padded: &str| {
        let update =
            client.update_item().table_name("app").key("streamName", s("orders")).key("shardId", s("shard"));
        let update = update.update_expression("SET checkpointPadded = :new");
        let update = update.condition_expression(
            "leaseOwner = :owner AND (attribute_not_exists(checkpointPadded) OR checkpointPadded < :new)",
        );
        update
            .expression_attribute_values(":owner", s(owner))
            .expression_attribute_values(":new", s(padded))
            .send()
    };
    checkpoint("two", "0002").await.expect("forward");
    assert_eq!(code(checkpoint("two", "0001").await), "ConditionalCheckFailedException");
    assert_eq!(code(checkpoint("one", "0003").await), "ConditionalCheckFailedException");
    cloud.stop().await;
}

#[tokio::test]
async fn one_of_many_contenders_gets_the_lease() {
    let cloud = cloud().await;
    let client = dynamodb(&cloud);
    create(&client).await;
    let contenders = (0..16).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { acquire(&client, &format!("node-{n}"), 1_000).await.is_ok() })
    });
    let mut won = 0;
    for contender in contenders.collect::<Vec<_>>() {
        won += u32::from(contender.await.expect("task"));
    }
    assert_eq!(won, 1);
    cloud.stop().await;
}

#[tokio::test]
async fn rows_are_queried_by_prefix_and_in_pages() {
    let cloud = cloud().await;
    let client = dynamodb(&cloud);
    create(&client).await;
    for shard in ["__node__#a", "__node__#b", "shardId-000000000000", "shardId-000000000001"] {
        let put =
            client.put_item().table_name("app").item("streamName", s("orders")).item("shardId", s(shard));
        put.send().await.expect("put");
    }
    let query = client.query().table_name("app").consistent_read(true);
    let query = query.key_condition_expression("streamName = :s AND begins_with(shardId, :p)");
    let query = query
        .expression_attribute_values(":s", s("orders"))
        .expression_attribute_values(":p", s("__node__#"));
    assert_eq!(query.send().await.expect("query").count, 2);
    let mut seen = 0;
    let mut start = None;
    loop {
        let scan = client.scan().table_name("app").limit(3).set_exclusive_start_key(start);
        let page = scan.send().await.expect("scan");
        seen += page.count;
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seen, 4);
    assert_eq!(cloud.dynamodb().items("app").expect("items").len(), 4);
    client.delete_table().table_name("app").send().await.expect("delete");
    assert_eq!(code(client.describe_table().table_name("app").send().await), "ResourceNotFoundException");
    cloud.stop().await;
}
