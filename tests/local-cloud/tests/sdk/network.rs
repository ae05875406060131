//! Troubles below a whole answer, over HTTP/1.1 and over HTTP/2 with TLS, as the SDK meets them.

use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use local_cloud::{Action, EventTrouble, LocalCloud, Options, Rule, Transport, When};

use crate::common::{cloud, iterator};

const SHARD: &str = "shardId-000000000000";

async fn started(aws_transport: Transport) -> LocalCloud {
    let cloud = LocalCloud::start(Options { aws_transport, ..Options::default() }).await.expect("start");
    cloud.kinesis().create_stream("s", 2).expect("create");
    cloud
}

/// A client that trusts the local cloud and gives up soon.
fn client(cloud: &LocalCloud) -> Client {
    let authority = std::fs::read(cloud.ca_file()).expect("authority");
    let store = TrustStore::empty().with_pem_certificate(authority);
    let context = TlsContext::builder().with_trust_store(store).build().expect("TLS");
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https();
    let timeouts = aws_sdk_kinesis::config::timeout::TimeoutConfig::builder();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(cloud.region().to_owned()))
        .credentials_provider(Credentials::new(
            cloud.access_key_id(),
            cloud.secret_access_key(),
            None,
            None,
            "test",
        ))
        .endpoint_url(cloud.aws_endpoint())
        .http_client(http)
        .timeout_config(timeouts.operation_attempt_timeout(Duration::from_secs(2)).build())
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// How a listing of shards ends.
async fn list(client: &Client) -> Result<usize, &'static str> {
    match client.list_shards().stream_name("s").send().await {
        Ok(answer) => Ok(answer.shards().len()),
        Err(SdkError::DispatchFailure(_)) => Err("dispatch"),
        Err(SdkError::ResponseError(_)) => Err("response"),
        Err(SdkError::TimeoutError(_)) => Err("timeout"),
        Err(_) => Err("other"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_offers_http_2_unless_it_is_told_not_to() {
    for (transport, http2) in
        [(Transport::Plain, false), (Transport::Tls, true), (Transport::TlsHttp1, false)]
    {
        let cloud = started(transport).await;
        assert_eq!(list(&client(&cloud)).await, Ok(2), "{transport:?}");
        assert_eq!(cloud.journal().calls()[0].http2, http2, "{transport:?}");
        cloud.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_stalls_is_reset_or_drips() {
    for transport in [Transport::Plain, Transport::Tls] {
        let cloud = started(transport).await;
        let client = client(&cloud);
        assert_eq!(list(&client).await, Ok(2));
        let fault = |action| {
            cloud.faults().clear();
            cloud.faults().add(Rule::on("ListShards", When::First(1), action));
        };
        fault(Action::Reset);
        assert_eq!(list(&client).await, Err("response"), "{transport:?}");
        assert_eq!(list(&client).await, Ok(2));
        fault(Action::StallInBody);
        assert_eq!(list(&client).await, Err("timeout"), "{transport:?}");
        assert_eq!(list(&client).await, Ok(2));
        fault(Action::Drip { bytes: 100, every: Duration::from_millis(20) });
        let began = Instant::now();
        assert_eq!(list(&client).await, Ok(2), "{transport:?}");
        assert!(began.elapsed() > Duration::from_millis(60), "{:?}", began.elapsed());
        cloud.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_stream_leaves_the_other_streams_of_its_connection_alone() {
    let cloud = started(Transport::Tls).await;
    let client = client(&cloud);
    assert_eq!(list(&client).await, Ok(2));
    cloud.faults().add(Rule::on("ListShards", When::First(1), Action::Delay(Duration::from_millis(300))));
    cloud.faults().add(Rule::on("ListShards", When::Nth(2), Action::Reset));
    let (slow, reset) = tokio::join!(list(&client), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        list(&client).await
    });
    assert_eq!((slow, reset), (Ok(2), Err("response")));
    assert_eq!(cloud.aws_network().accepted(), 1);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_told_to_go_is_replaced() {
    for transport in [Transport::Plain, Transport::Tls] {
        let cloud = started(transport).await;
        let client = client(&cloud);
        cloud.faults().add(Rule::on("ListShards", When::First(1), Action::GoAway));
        assert_eq!(list(&client).await, Ok(2), "{transport:?}");
        until(|| cloud.aws_network().open() == 0, "the connection closes").await;
        assert_eq!(list(&client).await, Ok(2), "{transport:?}");
        assert_eq!(cloud.aws_network().accepted(), 2);
        assert_eq!(cloud.aws_network().go_away(), 1);
        until(|| cloud.aws_network().open() == 0, "the connection closes").await;
        cloud.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_refused_or_never_answered_for_a_while() {
    for transport in [Transport::Plain, Transport::Tls] {
        let cloud = started(transport).await;
        refused_and_silent(&cloud).await;
        cloud.stop().await;
    }
}

async fn refused_and_silent(cloud: &LocalCloud) {
    let client = client(cloud);
    assert_eq!(list(&client).await, Ok(2));
    cloud.aws_network().refuse(true);
    until(|| cloud.aws_network().open() == 0, "the open connection is cut").await;
    // Until the listening socket is closed a connection may still wait in its queue.
    let deadline = Instant::now() + Duration::from_secs(5);
    while list(&client).await != Err("dispatch") {
        assert!(Instant::now() < deadline);
    }
    cloud.aws_network().refuse(false);
    let deadline = Instant::now() + Duration::from_secs(5);
    while list(&client).await != Ok(2) {
        assert!(Instant::now() < deadline);
    }
    cloud.aws_network().silence(true);
    assert_eq!(list(&client).await, Err("timeout"), "the open connection is silent");
    assert_eq!(list(&client).await, Err("timeout"), "a new one is, too");
    cloud.aws_network().silence(false);
    // The SDK goes on using a connection of HTTP/2 that is silent; a new client has a new one.
    let client = self::client(cloud);
    let deadline = Instant::now() + Duration::from_secs(8);
    while list(&client).await != Ok(2) {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn a_fault_hits_one_shard_by_its_iterator() {
    let cloud = cloud().await;
    cloud.kinesis().create_stream("s", 2).expect("create");
    let client = crate::common::kinesis(&cloud);
    let rule = Rule::on("GetRecords", When::Always, Action::Cut);
    let rule = cloud.faults().add(Rule { shard: Some(SHARD.into()), ..rule });
    for (shard, works) in [(SHARD, false), ("shardId-000000000001", true)] {
        let iterator = iterator(&client, "s", shard, ShardIteratorType::TrimHorizon).await;
        assert_eq!(client.get_records().shard_iterator(iterator).send().await.is_ok(), works, "{shard}");
    }
    assert_eq!(cloud.faults().hits(rule), 1);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_reset_reordered_dripped_or_outlive_a_leaving_connection() {
    let cloud = started(Transport::Tls).await;
    let client = client(&cloud);
    let consumers = consumers(&client, 4).await;
    cloud.kinesis().put("s", "a", "1").expect("put");
    let mut consumers = consumers.iter();
    let mut spoil = |trouble| {
        cloud.faults().clear();
        cloud.faults().add(Rule::on("SubscribeToShard", When::Always, Action::Events { after: 1, trouble }));
        let consumer = consumers.next().expect("one more");
        let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build();
        let request = client.subscribe_to_shard().consumer_arn(consumer).shard_id(SHARD);
        async {
            request.starting_position(start.expect("position")).send().await.expect("subscribed").event_stream
        }
    };
    let put = |text: &'static str| cloud.kinesis().put("s", "a", text).expect("put");

    let mut events = spoil(EventTrouble::Reset).await;
    assert_eq!(texts(&event(&mut events).await), "1");
    assert!(events.recv().await.is_err());
    assert_eq!(list(&client).await, Ok(2));
    assert_eq!(cloud.aws_network().accepted(), 1, "the connection goes on");

    let mut events = spoil(EventTrouble::GoAway).await;
    assert_eq!(texts(&event(&mut events).await), "1");
    put("2");
    assert_eq!(texts(&event(&mut events).await), "2");
    assert_eq!(list(&client).await, Ok(2));
    assert_eq!(cloud.aws_network().accepted(), 2, "new calls go to a new connection");
    put("3");
    assert_eq!(texts(&event(&mut events).await), "3");

    let mut events = spoil(EventTrouble::Reorder).await;
    assert_eq!(texts(&event(&mut events).await), "123");
    put("4");
    // The event of 4 is held back until the next one has come.
    tokio::time::sleep(Duration::from_millis(100)).await;
    put("5");
    assert_eq!(texts(&event(&mut events).await), "5");
    assert_eq!(texts(&event(&mut events).await), "4");

    let mut events = spoil(EventTrouble::Drip { bytes: 50, every: Duration::from_millis(10) }).await;
    assert_eq!(texts(&event(&mut events).await), "12345");
    let began = Instant::now();
    put("6");
    assert_eq!(texts(&event(&mut events).await), "6");
    assert!(began.elapsed() > Duration::from_millis(40), "{:?}", began.elapsed());
    cloud.stop().await;
}

type Events = aws_sdk_kinesis::primitives::event_stream::EventReceiver<
    SubscribeToShardEventStream,
    aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError,
>;

async fn event(events: &mut Events) -> SubscribeToShardEvent {
    let next = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.expect("in time");
    match next {
        Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => event,
        other => panic!("{other:?}"),
    }
}

fn texts(event: &SubscribeToShardEvent) -> String {
    event.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned()).collect()
}

async fn consumers(client: &Client, count: usize) -> Vec<String> {
    let summary = client.describe_stream_summary().stream_name("s").send().await.expect("summary");
    let stream = summary.stream_description_summary.expect("summary").stream_arn;
    let mut arns = Vec::new();
    for n in 0..count {
        let register = client.register_stream_consumer().stream_arn(&stream).consumer_name(format!("c{n}"));
        arns.push(register.send().await.expect("registered").consumer.expect("consumer").consumer_arn);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    for arn in &arns {
        loop {
            let found = client.describe_stream_consumer().consumer_arn(arn).send().await.expect("consumer");
            if found.consumer_description.expect("consumer").consumer_status == ConsumerStatus::Active {
                break;
            }
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    arns
}

async fn until(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
