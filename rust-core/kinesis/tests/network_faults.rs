//! Networks that break below a whole answer: nothing is lost, nothing comes twice, and reading goes on in time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;

use cloud_support::{Reader, Rig, STREAM, until};
use local_cloud::{Action, AwsError, EventTrouble, Options, Rule, Transport, When};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);
const FAN_OUT: (&str, &str) = ("Consumer Type", "ENHANCED_FAN_OUT");

async fn started(aws_transport: Transport, shards: u32) -> Rig {
    Rig::start_with(Options { aws_transport, ..Options::default() }, shards).await
}

fn source(rig: &Rig, more: &[(&str, &str)]) -> kinesis::Source {
    let authority = rig.cloud.ca_file();
    let authority = ("CA Certificates File", authority.to_str().unwrap());
    rig.source("a", &[&[authority], more].concat())
}

fn once_each(reader: &Reader, wanted: &[u64], what: &str) {
    let mut got = reader.got();
    got.sort_unstable();
    assert_eq!(got, wanted, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_over_tls_speaks_http_2() {
    let rig = started(Transport::Tls, 3).await;
    let mut wanted = rig.put(30);
    let reader = Reader::start(source(&rig, &[FAN_OUT]));
    reader.until(&wanted, SOON).await;
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    rig.cloud.kinesis().split(STREAM, &shards[0].id).unwrap();
    wanted.extend(rig.put(50));
    reader.until(&wanted, SOON).await;
    once_each(&reader, &wanted, "fan-out over TLS");
    assert_eq!(reader.troubles(), Vec::<String>::new());
    reader.stop().await;
    let calls = rig.cloud.journal().calls();
    assert!(calls.iter().all(|call| call.http2), "all calls take HTTP/2 when it is offered");
    assert!(calls.iter().filter(|call| call.operation == "SubscribeToShard").count() >= 5);
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_works_where_only_http_1_is_spoken_and_says_so_once() {
    for transport in [Transport::TlsHttp1, Transport::Plain] {
        let rig = started(transport, 3).await;
        let mut wanted = rig.put(30);
        let reader = Reader::start(source(&rig, &[FAN_OUT]));
        reader.until(&wanted, SOON).await;
        wanted.extend(rig.put(30));
        reader.until(&wanted, SOON).await;
        once_each(&reader, &wanted, "fan-out over HTTP/1.1");
        let said = reader.troubles();
        assert!(said.len() == 1, "{said:?}");
        let endpoint = rig.cloud.aws_endpoint();
        let words = [endpoint.as_str(), "does not speak HTTP/2", "SHARED_THROUGHPUT"];
        assert!(words.iter().all(|word| said[0].contains(word)), "{said:?}");
        reader.stop().await;
        assert!(rig.cloud.journal().calls().iter().all(|call| !call.http2));
        rig.cloud.stop().await;
    }
}

/// Every trouble of a subscription, over HTTP/2. A new subscription may only be asked for after five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_that_break_are_replaced() {
    let failure = AwsError::new("InternalFailureException", "injected").with_status(500);
    let troubles = [
        EventTrouble::Exception(failure),
        EventTrouble::End,
        EventTrouble::Cut,
        EventTrouble::Reset,
        EventTrouble::GoAway,
        EventTrouble::BadChecksum,
        EventTrouble::Truncated,
        EventTrouble::Duplicate,
        EventTrouble::Drip { bytes: 400, every: Duration::from_millis(2) },
    ];
    let scenarios = troubles.into_iter().map(|trouble| tokio::spawn(broken_subscription(trouble)));
    for scenario in scenarios.collect::<Vec<_>>() {
        scenario.await.unwrap();
    }
}

async fn broken_subscription(trouble: EventTrouble) {
    let what = format!("{trouble:?}");
    let rig = started(Transport::Tls, 2).await;
    let action = Action::Events { after: 2, trouble };
    let rule = rig.cloud.faults().add(Rule::on("SubscribeToShard", When::First(3), action));
    let reader = Reader::start(source(&rig, &[FAN_OUT]));
    let mut wanted = Vec::new();
    for _ in 0..60 {
        wanted.extend(rig.put(4));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    reader.until(&wanted, SOON).await;
    once_each(&reader, &wanted, &what);
    assert!(rig.cloud.faults().hits(rule) >= 2, "{what}");
    reader.stop().await;
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_silent_subscription_of_twenty_is_replaced_and_the_others_go_on() {
    let rig = started(Transport::Tls, 20).await;
    let shards = rig.cloud.kinesis().shards(STREAM).unwrap();
    let silent = shards[7].id.clone();
    let rule = Rule::on(
        "SubscribeToShard",
        When::First(1),
        Action::Events { after: 1, trouble: EventTrouble::Silence },
    );
    rig.cloud.faults().add(Rule { shard: Some(silent.clone()), ..rule });
    // The first event of each subscription carries all of these.
    let stored = rig.put(200);
    let reader = Reader::start(source(&rig, &[FAN_OUT]));
    reader.until(&stored, SOON).await;
    let began = Instant::now();
    let (mut slowest, mut on_silent) = (Duration::ZERO, Vec::new());
    while on_silent.is_empty() || reader.got().iter().all(|n| !on_silent.contains(n)) {
        assert!(began.elapsed() < Duration::from_secs(40), "replaced within 40 s");
        let sent = Instant::now();
        let (there, elsewhere): (Vec<u64>, Vec<u64>) =
            rig.put(40).into_iter().partition(|n| rig.shard_of(*n) == silent);
        on_silent.extend(there);
        reader.until(&elsewhere, SOON).await;
        slowest = slowest.max(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(slowest < Duration::from_secs(5), "the others went on: {slowest:?}");
    reader.until(&on_silent, SOON).await;
    let mut got = reader.got();
    let all = got.len();
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), all, "nothing twice");
    reader.stop().await;
    rig.cloud.stop().await;
}

/// All troubles of single calls at random, on both services, over HTTP/2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_break_in_any_way_lose_and_double_nothing() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let rig = started(Transport::Tls, 4).await;
    let faults = rig.cloud.faults();
    faults.seed(seed);
    let reader = Reader::start(source(&rig, &[]));
    let mut wanted = rig.put(20);
    reader.until(&wanted, SOON).await;
    let unavailable = AwsError::new("ServiceUnavailable", "injected").with_status(503);
    let throttled = AwsError::new("ProvisionedThroughputExceededException", "injected");
    for operation in ["GetRecords", "GetShardIterator", "ListShards", "UpdateItem", "Query"] {
        for action in [
            Action::Reset,
            Action::GoAway,
            Action::Cut,
            Action::ApplyThenCut,
            Action::CutInBody,
            Action::Drip { bytes: 200, every: Duration::from_millis(5) },
            Action::Delay(Duration::from_millis(700)),
            Action::Error(unavailable.clone()),
            Action::Error(throttled.clone()),
        ] {
            faults.add(Rule::on(operation, When::Probability(0.03), action));
        }
    }
    for _ in 0..60 {
        wanted.extend(rig.put(10));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    faults.clear();
    reader.until(&wanted, SOON).await;
    once_each(&reader, &wanted, &format!("seed {seed}"));
    reader.stop().await;
    rig.cloud.stop().await;
}

/// An answer that stalls is given up after ten seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_stalls_holds_up_its_shard_only_and_not_for_long() {
    for action in [Action::StallInBody, Action::ApplyThenNeverAnswer] {
        let what = format!("{action:?}");
        let rig = started(Transport::Tls, 2).await;
        let reader = Reader::start(source(&rig, &[]));
        let mut wanted = rig.put(10);
        reader.until(&wanted, SOON).await;
        let shard = rig.cloud.kinesis().shards(STREAM).unwrap()[0].id.clone();
        let rule = Rule::on("GetRecords", When::First(1), action);
        let id = rig.cloud.faults().add(Rule { shard: Some(shard.clone()), ..rule });
        until("the fault struck", SOON, || rig.cloud.faults().hits(id) == 1).await;
        let began = Instant::now();
        let (there, elsewhere): (Vec<u64>, Vec<u64>) =
            rig.put(20).into_iter().partition(|n| rig.shard_of(*n) == shard);
        reader.until(&elsewhere, Duration::from_secs(3)).await;
        reader.until(&there, Duration::from_secs(14)).await;
        assert!(began.elapsed() > Duration::from_secs(5), "{what} held it up: {:?}", began.elapsed());
        wanted.extend(there.into_iter().chain(elsewhere));
        wanted.sort_unstable();
        once_each(&reader, &wanted, &what);
        reader.stop().await;
        rig.cloud.stop().await;
    }
}

/// Nobody listens for a while, or somebody who never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_endpoint_that_is_gone_for_a_while_is_told_and_got_over() {
    let outages = [(false, false), (false, true), (true, false), (true, true)];
    let outages = outages.map(|(fan_out, silent)| tokio::spawn(outage(fan_out, silent)));
    for outage in outages {
        outage.await.unwrap();
    }
}

async fn outage(fan_out: bool, silent: bool) {
    let what = format!("fan-out {fan_out}, silent {silent}");
    let rig = started(Transport::Tls, 2).await;
    let more: &[(&str, &str)] = if fan_out { &[FAN_OUT] } else { &[] };
    let reader = Reader::start(source(&rig, more));
    let mut wanted = rig.put(20);
    reader.until(&wanted, SOON).await;
    let network = rig.cloud.aws_network();
    if silent {
        network.silence(true)
    } else {
        network.refuse(true)
    }
    wanted.extend(rig.put(20));
    if !(fan_out && silent) {
        // A silent subscription is noticed later than the outage lasts.
        reader.until_said(&["cannot be reached"], Duration::from_secs(15)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    if silent {
        network.silence(false)
    } else {
        network.refuse(false)
    }
    let limit = if silent { Duration::from_secs(40) } else { Duration::from_secs(15) };
    reader.until(&wanted, limit).await;
    wanted.extend(rig.put(20));
    reader.until(&wanted, SOON).await;
    once_each(&reader, &wanted, &what);
    reader.stop().await;
    rig.cloud.stop().await;
}

/// One of two nodes loses DynamoDB and keeps Kinesis: the other takes over, and the loser delivers nothing that was
/// not its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_without_its_table_gives_way_to_the_other() {
    let rig = started(Transport::Plain, 4).await;
    rig.key("AKIANODE2", None);
    let one = Reader::start(rig.source("one", &[]));
    let two = Reader::start(rig.source_as("AKIANODE2", "two", &[]));
    let shards = |reader: &Reader| reader.source.status()["shards"].as_array().unwrap().len();
    until("both have their share", SOON, || shards(&one) == 2 && shards(&two) == 2).await;
    let mut wanted = rig.put(50);
    let both = || one.got().len() + two.got().len();
    until("all arrived", SOON, || both() == 50).await;
    // What was taken is stored before the table goes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rule = Rule::service("dynamodb", When::Always, Action::NeverAnswer);
    let rule = rig.cloud.faults().add(Rule { access_key: Some("AKIANODE2".into()), ..rule });
    until("the other takes over", Duration::from_secs(60), || shards(&one) == 4).await;
    let before = two.got().len();
    wanted.extend(rig.put(50));
    until("all arrived", SOON, || both() >= 100).await;
    assert_eq!(two.got().len(), before, "who lost the table has stopped reading before");
    rig.cloud.faults().remove(rule);
    until("the shares are even again", Duration::from_secs(60), || shards(&one) == 2 && shards(&two) == 2)
        .await;
    wanted.extend(rig.put(50));
    until("all arrived", SOON, || both() >= 150).await;
    let mut got: Vec<u64> = one.got().into_iter().chain(two.got()).collect();
    got.sort_unstable();
    assert_eq!(got, wanted, "nothing was lost, and nothing came twice");
    one.stop().await;
    two.stop().await;
    rig.cloud.stop().await;
}

/// Closed without a word: the next request on such a connection finds it dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_closes_when_idle_are_no_trouble() {
    for transport in [Transport::Tls, Transport::TlsHttp1] {
        let rig = started(transport, 2).await;
        let reader = Reader::start(source(&rig, &[]));
        let mut wanted = rig.put(10);
        reader.until(&wanted, SOON).await;
        let network = rig.cloud.aws_network();
        // Quiet shards are asked about once a second, so that calls meet a connection that is just being closed.
        network.close_idle(Some(Duration::from_millis(450)));
        let before = network.accepted();
        for round in 0..6 {
            tokio::time::sleep(Duration::from_millis(1_500 + 100 * round)).await;
            wanted.extend(rig.put(10));
        }
        reader.until(&wanted, SOON).await;
        once_each(&reader, &wanted, &format!("{transport:?}"));
        let closed = network.accepted() - before;
        assert!(closed >= 5, "{closed} connections were closed");
        assert_eq!(reader.troubles(), Vec::<String>::new(), "nobody hears of it");
        assert_eq!(reader.source.status()["leasesLost"], 0);
        reader.stop().await;
        rig.cloud.stop().await;
    }
}

/// The service sends an event every five seconds; here four of them are missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_quiet_for_long_is_kept() {
    let rig = started(Transport::Tls, 2).await;
    rig.cloud.aws_network().close_idle(Some(Duration::from_secs(2)));
    let pause = EventTrouble::Pause(Duration::from_secs(22));
    let rule = Rule::on("SubscribeToShard", When::Always, Action::Events { after: 1, trouble: pause });
    let rule = rig.cloud.faults().add(rule);
    let mut wanted = rig.put(20);
    let reader = Reader::start(source(&rig, &[FAN_OUT]));
    reader.until(&wanted, SOON).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    wanted.extend(rig.put(20));
    reader.until(&wanted, Duration::from_secs(10)).await;
    once_each(&reader, &wanted, "a quiet subscription");
    let subscriptions = rig.cloud.journal().count("SubscribeToShard");
    assert_eq!((subscriptions, rig.cloud.faults().hits(rule)), (2, 2), "one for each shard");
    assert_eq!(reader.troubles(), Vec::<String>::new());
    reader.stop().await;
    rig.cloud.stop().await;
}
