//! What a local cloud is made of before it listens.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::aws::{AccessKey, Faults, Front, Journal, Keyring};
use crate::cloud::{Options, StartError};
use crate::dynamodb::DynamoDb;
use crate::kinesis::{Kinesis, KinesisOptions};

/// The folder for keys and certificates, and what keeps it when it is a temporary one.
pub(crate) fn folder(given: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), StartError> {
    match given {
        Some(path) => {
            std::fs::create_dir_all(&path).map_err(StartError::io(path.display().to_string()))?;
            Ok((path, None))
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("local-cloud-").tempdir();
            let temporary = temporary.map_err(StartError::io("temporary folder"))?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}

/// Kinesis and DynamoDB behind one port.
pub(crate) fn front(options: &Options) -> Result<Front, StartError> {
    let KinesisOptions { account, region, .. } = &options.kinesis;
    let (clock, transition) = (options.clock.clone(), options.table_transition);
    let kinesis = options.kinesis.clone();
    let (kinesis, dynamodb) = match &options.state {
        None => (Ok(Kinesis::new(kinesis, clock.clone())), DynamoDb::new(account, region, clock, transition)),
        Some(state) => (
            Kinesis::open(kinesis, clock.clone(), &state.join("kinesis")),
            DynamoDb::open(&state.join("dynamodb.db"), account, region, clock, transition),
        ),
    };
    let kinesis = kinesis.map_err(StartError::io("Kinesis"))?;
    let dynamodb = dynamodb.map_err(|error| StartError::Service(format!("DynamoDB: {error}")))?;
    let keys = Keyring::default();
    keys.add(AccessKey::new(&options.access_key_id, &options.secret_access_key, "local", None));
    Ok(Front {
        kinesis,
        dynamodb,
        keys,
        faults: Faults::default(),
        journal: Journal::default(),
        clock: options.clock.clone(),
        verifier: Default::default(),
    })
}
