//! The key pair of Snowflake's user is replaced while records flow.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nifi_harness::producer::bad_among;
use nifi_harness::rest::{Parameter, wait_for};
use nifi_harness::{Connector, audit};

use crate::runner::{Outcome, Verdict, ensure};
use crate::world::World;

const USER: &str = "ROTATED";
/// Records of each of the two parts, and how many of them are put a second.
const RECORDS: u64 = 400;
const PER_SECOND: u64 = 50;
const ARRIVAL: Duration = Duration::from_secs(90);
const BULLETIN: Duration = Duration::from_secs(40);
const STOP: Duration = Duration::from_secs(15);

/// First as one should: the second key is added, the processor gets it, the first is taken away. Then the wrong way
/// round: the key is taken away before the processor has another.
pub async fn a_key_is_replaced_while_records_flow(world: Arc<World>) -> Outcome {
    let (settings, producer) = world.prepare("rotation", 1).await?;
    let producer = producer.at_most(PER_SECOND);
    let keys = [Key::generate()?, Key::generate()?, Key::generate()?];
    sql(&world, format!("CREATE USER {USER} TYPE = SERVICE RSA_PUBLIC_KEY = '{}'", keys[0].public)).await?;
    sql(&world, format!("GRANT ROLE {} TO USER {USER}", world.endpoints.snowflake_role)).await?;
    let connector = world.import(&settings).await?;
    let mut parameters = settings.parameters(&world.endpoints)?;
    parameters.retain(|p| p.name != "Snowflake Username" && p.name != "Snowflake Private Key");
    parameters.extend([Parameter::plain("Snowflake Username", USER), keys[0].parameter()]);
    connector.configure_and_start(&parameters).await?;

    let putting = producer.clone();
    let put = tokio::spawn(async move { putting.put(0, RECORDS).await });
    world.wait_for_rows(&settings, 20, ARRIVAL).await?;
    sql(&world, format!("ALTER USER {USER} SET RSA_PUBLIC_KEY_2 = '{}'", keys[1].public)).await?;
    connector.rest.set_parameters(&connector.context, &[keys[1].parameter()]).await?;
    sql(&world, format!("ALTER USER {USER} UNSET RSA_PUBLIC_KEY")).await?;
    world.cloud.snowflake().expire_tokens();
    let mut ledger = put.await??;
    world.wait_for_rows(&settings, RECORDS - bad_among(RECORDS), ARRIVAL).await?;
    let said = connector.bulletin_texts().await?;
    ensure!(!said.iter().any(|text| text.starts_with("ERROR")), "in a rotation in order: {said:#?}");

    sql(&world, format!("ALTER USER {USER} UNSET RSA_PUBLIC_KEY_2")).await?;
    world.cloud.snowflake().expire_tokens();
    ledger.extend(producer.put(RECORDS, 2 * RECORDS).await?);
    let text = refusal(&connector).await?;
    println!("  said: {text}");
    let fingerprint = &keys[1].fingerprint;
    ensure!(text.contains(fingerprint), "the bulletin does not name the key {fingerprint}: {text}");
    let good = 2 * RECORDS - bad_among(2 * RECORDS);
    let waiting = world.rows(&settings).await?;
    ensure!(waiting < good, "rows arrived without a key");
    sql(&world, format!("ALTER USER {USER} SET RSA_PUBLIC_KEY = '{}'", keys[2].public)).await?;
    connector.rest.set_parameters(&connector.context, &[keys[2].parameter()]).await?;
    world.wait_for_rows(&settings, good, ARRIVAL).await?;

    connector.stop(STOP).await?;
    let audit = audit::compare(&world.sql, &settings, &ledger).await?;
    ensure!(audit.is_clean(), "{audit:?}");
    connector.remove().await?;
    Ok(Verdict::Passed)
}

/// The bulletin about a login that is refused: it names the user and what to compare.
async fn refusal(connector: &Connector) -> Result<String, Box<dyn Error + Send + Sync>> {
    let parts = ["PublishSnowpipeStreaming", USER, "RSA_PUBLIC_KEY_FP", "390144"];
    let found = wait_for("the bulletin", BULLETIN, || async {
        let said = connector.bulletin_texts().await?;
        Ok(said.into_iter().find(|text| parts.iter().all(|part| text.contains(part))))
    });
    match found.await {
        Ok(text) => Ok(text),
        Err(error) => Err(format!("{error}: {:#?}", connector.bulletin_texts().await?).into()),
    }
}

async fn sql(world: &World, statement: String) -> Outcome {
    let snowflake = world.cloud.snowflake().clone();
    tokio::task::spawn_blocking(move || {
        snowflake.sql_as("ACCOUNTADMIN", &statement).map_err(|error| error.to_string())
    })
    .await??;
    Ok(Verdict::Passed)
}

/// A key pair as its owner makes it.
struct Key {
    private: String,
    /// As `RSA_PUBLIC_KEY` takes it.
    public: String,
    fingerprint: String,
}

impl Key {
    fn generate() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let private = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], &[])?;
        let public = openssl(&["pkey", "-pubout", "-outform", "PEM"], &private)?;
        let der = openssl(&["pkey", "-pubout", "-outform", "DER"], &private)?;
        let digest = openssl(&["dgst", "-sha256", "-binary"], &der)?;
        let encoded = openssl(&["base64", "-A"], &digest)?;
        let public = String::from_utf8(public)?;
        Ok(Self {
            private: String::from_utf8(private)?,
            public: public.lines().filter(|line| !line.starts_with("-----")).collect(),
            fingerprint: format!("SHA256:{}", String::from_utf8(encoded)?),
        })
    }

    fn parameter(&self) -> Parameter {
        Parameter::sensitive("Snowflake Private Key", &self.private)
    }
}

/// What openssl makes of `input`.
fn openssl(arguments: &[&str], input: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, input)?;
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        return Err(std::io::Error::other(format!("openssl {}: {}", arguments.join(" "), done.status)));
    }
    Ok(done.stdout)
}
