//! Wrong configuration: start returns at once, a bulletin within half a minute names the thing and the remedy, stop
//! takes at most ten seconds.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nifi_harness::rest::{Parameter, wait_for};
use nifi_harness::{Connector, Settings};
use tokio::net::TcpListener;

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const BULLETIN: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);
/// A start that waited for a service would take longer than this on any machine.
const START: Duration = Duration::from_secs(8);

pub async fn no_such_stream(world: Arc<World>) -> Outcome {
    let (mut settings, _producer) = world.prepare("nostream", 1).await?;
    settings.stream = "nobody-made-this-stream".to_owned();
    expect(
        &world,
        &settings,
        &[],
        &["ConsumeKinesis", "nobody-made-this-stream", "does not exist", "create it"],
    )
    .await
}

pub async fn wrong_secret(world: Arc<World>) -> Outcome {
    let (settings, _producer) = world.prepare("nosecret", 1).await?;
    let wrong = Parameter::sensitive("AWS Secret Access Key", "not-the-secret");
    expect(&world, &settings, &[wrong], &["ConsumeKinesis", "refused", "AWS Secret Access Key"]).await
}

pub async fn no_such_table(world: Arc<World>) -> Outcome {
    let (mut settings, producer) = world.prepare("notable", 1).await?;
    producer.put(0, 10).await?;
    settings.table = "NOBODY_MADE_THIS_TABLE".to_owned();
    expect(&world, &settings, &[], &["PublishSnowpipeStreaming", "NOBODY_MADE_THIS_TABLE"]).await
}

pub async fn wrong_private_key(world: Arc<World>) -> Outcome {
    let (settings, producer) = world.prepare("nokey", 1).await?;
    producer.put(0, 10).await?;
    let key = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()?;
    ensure!(key.status.success(), "openssl made no key");
    let wrong = Parameter::sensitive("Snowflake Private Key", String::from_utf8(key.stdout)?);
    expect(
        &world,
        &settings,
        &[wrong],
        &["PublishSnowpipeStreaming", &world.endpoints.snowflake_user, "RSA_PUBLIC_KEY_FP"],
    )
    .await
}

/// Nothing listens on port 1.
pub async fn unreachable_hosts(world: Arc<World>) -> Outcome {
    let (settings, _producer) = world.prepare("nohost", 1).await?;
    let wrong = Parameter::plain("AWS Endpoint Override URL", "http://127.0.0.1:1");
    expect(
        &world,
        &settings,
        &[wrong],
        &["ConsumeKinesis", "127.0.0.1:1", "cannot be reached", "Endpoint Override URL"],
    )
    .await?;
    let (settings, producer) = world.prepare("nosnow", 1).await?;
    producer.put(0, 10).await?;
    let wrong = Parameter::plain("Snowflake Endpoint Override URL", "https://127.0.0.1:1");
    expect(
        &world,
        &settings,
        &[wrong],
        &["PublishSnowpipeStreaming", "127.0.0.1", "cannot be reached", "firewall"],
    )
    .await
}

/// Hosts that accept connections and say nothing must not hold up start or stop.
pub async fn hosts_that_never_answer(world: Arc<World>) -> Outcome {
    let hole = TcpListener::bind("127.0.0.1:0").await?;
    let address = hole.local_addr()?;
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = hole.accept().await {
            held.push(socket);
        }
    });
    let (settings, producer) = world.prepare("hole", 1).await?;
    producer.put(0, 10).await?;
    let connector = world.import(&settings).await?;
    connector.rest.set_parameters(&connector.context, &settings.parameters(&world.endpoints)?).await?;
    let holes = [
        Parameter::plain("AWS Endpoint Override URL", format!("http://{address}")),
        Parameter::plain("Snowflake Endpoint Override URL", format!("https://{address}")),
    ];
    connector.rest.set_parameters(&connector.context, &holes).await?;
    connector.rest.validated_processors(&connector.group).await?;
    start_at_once(&connector).await?;
    let said = bulletin(&connector, &["ConsumeKinesis", &address.to_string()]).await;
    stop_in_time(&connector).await?;
    said?;
    holding.abort();
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// Starts the flow with wrong parameters on top of right ones, and expects one bulletin that contains all `texts`.
async fn expect(world: &World, settings: &Settings, wrong: &[Parameter], texts: &[&str]) -> Outcome {
    let connector = world.import(settings).await?;
    connector.rest.set_parameters(&connector.context, &settings.parameters(&world.endpoints)?).await?;
    if !wrong.is_empty() {
        connector.rest.set_parameters(&connector.context, wrong).await?;
    }
    connector.rest.validated_processors(&connector.group).await?;
    start_at_once(&connector).await?;
    let said = bulletin(&connector, texts).await;
    stop_in_time(&connector).await?;
    said?;
    connector.remove().await?;
    Ok(Verdict::Passed)
}

async fn start_at_once(connector: &Connector) -> Outcome {
    let begun = Instant::now();
    connector.rest.start_group(&connector.group).await?;
    for id in [&connector.consumer, &connector.publisher] {
        wait_for("processors that run", START, || async {
            Ok((connector.rest.processor(id).await?.state == "RUNNING").then_some(()))
        })
        .await?;
    }
    ensure!(begun.elapsed() < START, "start took {:?}", begun.elapsed());
    Ok(Verdict::Passed)
}

async fn stop_in_time(connector: &Connector) -> Outcome {
    let begun = Instant::now();
    connector.stop(STOP).await?;
    ensure!(begun.elapsed() <= STOP, "stop took {:?}", begun.elapsed());
    Ok(Verdict::Passed)
}

async fn bulletin(connector: &Connector, texts: &[&str]) -> Outcome {
    let found = wait_for("the bulletin", BULLETIN, || async {
        let said = connector.bulletin_texts().await?;
        Ok(said.into_iter().find(|text| texts.iter().all(|part| text.contains(part))))
    })
    .await;
    match found {
        Ok(text) => {
            println!("  said: {text}");
            Ok(Verdict::Passed)
        }
        Err(_) => {
            let said = connector.bulletin_texts().await?;
            Err(format!("no bulletin contains all of {texts:?} within {BULLETIN:?}; there are {said:#?}")
                .into())
        }
    }
}
