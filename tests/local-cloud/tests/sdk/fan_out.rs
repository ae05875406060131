//! Registered consumers and their subscriptions.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError as Exception;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use local_cloud::{Action, Clock, EventTrouble, LocalCloud, Options, Rule, When};

use crate::common::{code, kinesis};

const SHARD: &str = "shardId-000000000000";

struct Setup {
    cloud: LocalCloud,
    client: Client,
    consumer: String,
}

/// A stream with one shard, one ACTIVE consumer, on a clock that stands still.
async fn setup() -> Setup {
    let cloud = LocalCloud::start(Options { clock: Clock::fixed(1_763_900_000_000), ..Options::default() });
    let cloud = cloud.await.expect("start");
    cloud.kinesis().create_stream("s", 1).expect("create");
    let client = kinesis(&cloud);
    let summary = client.describe_stream_summary().stream_name("s").send().await.expect("summary");
    let arn = summary.stream_description_summary.expect("summary").stream_arn;
    let registered = client.register_stream_consumer().stream_arn(&arn).consumer_name("app").send().await;
    let consumer = registered.expect("register").consumer.expect("consumer").consumer_arn;
    cloud.clock().advance(Duration::from_secs(1));
    Setup { cloud, client, consumer }
}

fn position(kind: ShardIteratorType, number: Option<&str>) -> StartingPosition {
    let position = StartingPosition::builder().r#type(kind).set_sequence_number(number.map(str::to_owned));
    position.build().expect("position")
}

async fn subscribe(setup: &Setup, position: StartingPosition) -> SubscribeToShardOutput {
    let request = setup.client.subscribe_to_shard().consumer_arn(&setup.consumer).shard_id(SHARD);
    request.starting_position(position).send().await.expect("subscribed")
}

/// The next event; an error is the exception's name.
async fn event(output: &mut SubscribeToShardOutput) -> Result<Option<SubscribeToShardEvent>, String> {
    let next =
        tokio::time::timeout(Duration::from_secs(10), output.event_stream.recv()).await.expect("in time");
    match next {
        Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => Ok(Some(event)),
        Ok(Some(other)) => Err(format!("{other:?}")),
        Ok(None) => Ok(None),
        Err(error) => {
            // The service names the exception in the frame's header only, so the error's kind tells and not its code.
            let exception = error.as_service_error().map(|exception| match exception {
                Exception::ResourceInUseException(_) => "in use",
                Exception::ResourceNotFoundException(_) => "not found",
                Exception::InternalFailureException(_) => "internal failure",
                _ => "another exception",
            });
            Err(exception.unwrap_or("no exception").to_owned())
        }
    }
}

async fn next(output: &mut SubscribeToShardOutput) -> SubscribeToShardEvent {
    event(output).await.expect("no error").expect("an event")
}

fn text(event: &SubscribeToShardEvent) -> String {
    event.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned()).collect()
}

#[tokio::test]
async fn a_consumer_is_registered_found_and_deregistered() {
    let Setup { cloud, client, consumer } = setup().await;
    let stream_arn = consumer.split("/consumer/").next().expect("stream").to_owned();
    let register =
        |name: &str| client.register_stream_consumer().stream_arn(&stream_arn).consumer_name(name).send();
    assert_eq!(code(register("app").await), "ResourceInUseException");
    let by_name = client.describe_stream_consumer().stream_arn(&stream_arn).consumer_name("app").send().await;
    let described = by_name.expect("by name").consumer_description.expect("description");
    assert_eq!(
        (described.consumer_arn.as_str(), &described.consumer_status),
        (consumer.as_str(), &ConsumerStatus::Active)
    );
    for n in 0..5 {
        register(&format!("other-{n}")).await.expect("register");
    }
    assert_eq!(code(register("sixth").await), "LimitExceededException");
    let page =
        client.list_stream_consumers().stream_arn(&stream_arn).max_results(4).send().await.expect("list");
    assert_eq!(page.consumers.expect("consumers").len(), 4);
    let rest =
        client.list_stream_consumers().stream_arn(&stream_arn).next_token(page.next_token.expect("token"));
    assert_eq!(rest.send().await.expect("list").consumers.expect("consumers").len(), 2);
    client.deregister_stream_consumer().consumer_arn(&consumer).send().await.expect("deregister");
    let describe = || client.describe_stream_consumer().consumer_arn(&consumer).send();
    let leaving = describe().await.expect("still there").consumer_description.expect("description");
    assert_eq!(leaving.consumer_status, ConsumerStatus::Deleting);
    cloud.clock().advance(Duration::from_secs(1));
    assert_eq!(code(describe().await), "ResourceNotFoundException");
    cloud.stop().await;
}

#[tokio::test]
async fn records_are_pushed_and_a_continuation_number_resumes_after_them() {
    let setup = setup().await;
    let put = |text: &'static str| setup.cloud.kinesis().put("s", "k", text).expect("put");
    put("a");
    let mut output = subscribe(&setup, position(ShardIteratorType::TrimHorizon, None)).await;
    assert_eq!(text(&next(&mut output).await), "a");
    put("b");
    let event = next(&mut output).await;
    assert_eq!((text(&event).as_str(), event.millis_behind_latest), ("b", 0));
    setup.cloud.clock().advance(Duration::from_secs(5));
    let idle = next(&mut output).await;
    assert_eq!(text(&idle), "");
    assert!(
        idle.continuation_sequence_number > event.records[0].sequence_number,
        "moves on while nothing is written"
    );
    let third = put("c").sequence_number;
    assert!(idle.continuation_sequence_number < third);
    let resumed = position(ShardIteratorType::AfterSequenceNumber, Some(&idle.continuation_sequence_number));
    let mut output = subscribe(&setup, resumed).await;
    assert_eq!(text(&next(&mut output).await), "c");
    setup.cloud.stop().await;
}

#[tokio::test]
async fn a_subscription_lasts_five_minutes() {
    let setup = setup().await;
    let mut output = subscribe(&setup, position(ShardIteratorType::Latest, None)).await;
    for _ in 0..59 {
        setup.cloud.clock().advance(Duration::from_secs(5));
        assert_eq!(next(&mut output).await.millis_behind_latest, 0);
    }
    setup.cloud.clock().advance(Duration::from_secs(5));
    assert_eq!(event(&mut output).await, Ok(None));
    setup.cloud.stop().await;
}

#[tokio::test]
async fn a_second_subscription_is_refused_at_first_and_takes_over_later() {
    let setup = setup().await;
    let mut first = subscribe(&setup, position(ShardIteratorType::Latest, None)).await;
    let request = setup.client.subscribe_to_shard().consumer_arn(&setup.consumer).shard_id(SHARD);
    let again = request.starting_position(position(ShardIteratorType::Latest, None)).send().await;
    assert_eq!(code(again), "ResourceInUseException");
    setup.cloud.clock().advance(Duration::from_secs(5));
    assert_eq!(text(&next(&mut first).await), "");
    let mut second = subscribe(&setup, position(ShardIteratorType::Latest, None)).await;
    assert_eq!(event(&mut first).await, Err("in use".into()));
    setup.cloud.kinesis().put("s", "k", "x").expect("put");
    assert_eq!(text(&next(&mut second).await), "x");
    setup.client.deregister_stream_consumer().consumer_arn(&setup.consumer).send().await.expect("deregister");
    assert_eq!(event(&mut second).await, Err("not found".into()));
    setup.cloud.stop().await;
}

#[tokio::test]
async fn the_end_of_a_split_shard_names_its_children() {
    let setup = setup().await;
    setup.cloud.kinesis().put("s", "k", "a").expect("put");
    let mut output = subscribe(&setup, position(ShardIteratorType::TrimHorizon, None)).await;
    assert_eq!(text(&next(&mut output).await), "a");
    let children = setup.cloud.kinesis().split("s", SHARD).expect("split");
    let last = next(&mut output).await;
    assert_eq!(last.child_shards().iter().map(|child| child.shard_id.clone()).collect::<Vec<_>>(), children);
    assert_eq!(last.continuation_sequence_number, "");
    assert_eq!(event(&mut output).await, Ok(None));
    setup.cloud.stop().await;
}

#[tokio::test]
async fn streams_of_events_go_wrong_on_demand() {
    let setup = setup().await;
    for text in ["a", "b"] {
        setup.cloud.kinesis().put("s", "k", text).expect("put");
    }
    let spoil = |after, trouble| {
        setup.cloud.faults().clear();
        setup.cloud.faults().add(Rule::on(
            "SubscribeToShard",
            When::Always,
            Action::Events { after, trouble },
        ));
        setup.cloud.clock().advance(Duration::from_secs(5));
    };
    let start = || position(ShardIteratorType::TrimHorizon, None);

    let failure = local_cloud::AwsError::new("InternalFailureException", "injected").with_status(500);
    spoil(1, EventTrouble::Exception(failure));
    let mut output = subscribe(&setup, start()).await;
    assert_eq!(text(&next(&mut output).await), "ab");
    assert_eq!(event(&mut output).await, Err("internal failure".into()));

    for trouble in [EventTrouble::BadChecksum, EventTrouble::Truncated, EventTrouble::Cut] {
        spoil(0, trouble.clone());
        let mut output = subscribe(&setup, start()).await;
        assert_eq!(event(&mut output).await, Err("no exception".into()), "{trouble:?}");
    }

    spoil(0, EventTrouble::Duplicate);
    let mut output = subscribe(&setup, start()).await;
    assert_eq!(text(&next(&mut output).await), "ab");
    assert_eq!(text(&next(&mut output).await), "ab");

    spoil(0, EventTrouble::End);
    let mut output = subscribe(&setup, start()).await;
    assert_eq!(event(&mut output).await, Ok(None));
    setup.cloud.stop().await;
}
