//! DynamoDB: the embedded `dynoxide` engine behind the service's JSON protocol.

mod tables;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::AwsError;
use local_snowflake::Clock;

use tables::Tables;

/// The service. Clones share their tables.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    tables: Tables,
    account: String,
    region: String,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").finish_non_exhaustive()
    }
}

/// Operations that this service offers.
pub(crate) const OPERATIONS: &[&str] = &[
    "BatchGetItem",
    "BatchWriteItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "ListTables",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
    "UpdateTable",
    "UpdateTimeToLive",
];

impl DynamoDb {
    /// An empty in-memory service whose tables are CREATING and DELETING for `transition`.
    ///
    /// # Errors
    /// When the engine cannot open its in-memory database.
    pub fn new(account: &str, region: &str, clock: Clock, transition: Duration) -> Result<Self, AwsError> {
        Self::with(Database::memory(), account, region, clock, transition)
    }

    /// As [`DynamoDb::new`], with tables in a file that outlives the process.
    ///
    /// # Errors
    /// When the engine cannot open the file.
    pub fn open(
        file: &Path,
        account: &str,
        region: &str,
        clock: Clock,
        transition: Duration,
    ) -> Result<Self, AwsError> {
        Self::with(Database::new(&file.to_string_lossy()), account, region, clock, transition)
    }

    fn with(
        database: Result<Database, DynoxideError>,
        account: &str,
        region: &str,
        clock: Clock,
        transition: Duration,
    ) -> Result<Self, AwsError> {
        let database = database.map_err(|error| internal(&error.to_string()))?;
        Ok(Self {
            database,
            tables: Tables::new(clock, transition),
            account: account.into(),
            region: region.into(),
        })
    }

    /// Carries out one operation with a JSON body; both answers are bodies to be sent, the second with a status.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<String, (u16, String)> {
        self.dispatch(operation, body).map_err(|error| (error.status_code(), error.to_json()))
    }

    /// Carries out one operation, for tests in the same process.
    ///
    /// # Errors
    /// The service's error.
    pub fn request(&self, operation: &str, body: &Value) -> Result<Value, AwsError> {
        let answer = self.dispatch(operation, body.to_string().as_bytes()).map_err(|error| {
            let kind = error.error_type();
            let code = kind.rsplit('#').next().unwrap_or(kind).to_owned();
            AwsError::new(code, error.to_string()).with_status(error.status_code())
        })?;
        serde_json::from_str(&answer).map_err(|error| internal(&error.to_string()))
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// All items of a table, in DynamoDB's JSON.
    ///
    /// # Errors
    /// The service's error, e.g. `ResourceNotFoundException`.
    pub fn items(&self, table: &str) -> Result<Vec<Value>, AwsError> {
        let mut items = Vec::new();
        let mut request = serde_json::json!({ "TableName": table, "ConsistentRead": true });
        loop {
            let mut page = self.request("Scan", &request)?;
            if let Some(Value::Array(found)) = page.get_mut("Items").map(Value::take) {
                items.extend(found);
            }
            match page.get_mut("LastEvaluatedKey").map(Value::take) {
                Some(key) if !key.is_null() => request["ExclusiveStartKey"] = key,
                _ => return Ok(items),
            }
        }
    }

    /// Names of all tables.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        let answer = self.request("ListTables", &serde_json::json!({})).unwrap_or_default();
        let names = answer["TableNames"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// The ARN that an operation works on, for the access check.
    pub(crate) fn resource(&self, body: &[u8]) -> String {
        let named: Named = serde_json::from_slice(body).unwrap_or_default();
        match named.table_name {
            Some(table) => format!("arn:aws:dynamodb:{}:{}:table/{table}", self.region, self.account),
            None => "*".into(),
        }
    }

    /// The engine's answer, or that of a table in a passing state.
    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        let named: Named = serde_json::from_slice(body).unwrap_or_default();
        let Some(table) = named.table_name else { return self.run(operation, body) };
        match self.tables.before(operation, &table)? {
            Some(answer) => Ok(answer),
            None => self.run(operation, body).map(|answer| self.tables.after(operation, &table, answer)),
        }
    }

    fn run(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        let db = &self.database;
        match operation {
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "DeleteTable" => run(body, |request| db.delete_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "UpdateTable" => run(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            other => Err(DynoxideError::ValidationException(format!("Unknown operation {other}"))),
        }
    }
}

/// The table that a request is about.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    table_name: Option<String>,
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| refuse(&error))?;
    serde_json::to_string(&operation(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// A body that the engine's types refuse. The engine marks the kind of refusal at the beginning of the text, and
/// the JSON reader adds the place at its end; neither belongs into the answer. Without a mark a missing member is
/// invalid and a wrong type cannot be read.
fn refuse(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    if let Some(("VALIDATION" | "VALIDATION_REQUEST" | "VALIDATION_AS_READ", message)) = text.split_once(':')
    {
        return DynoxideError::ValidationException(message.to_owned());
    }
    if let Some(("SERIALIZATION" | "SERIALIZATION_AS_READ", message)) = text.split_once(':') {
        return DynoxideError::SerializationException(message.to_owned());
    }
    let invalid = ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
    if invalid.iter().any(|mark| text.contains(mark)) {
        DynoxideError::ValidationException(text.to_owned())
    } else {
        DynoxideError::SerializationException(text.to_owned())
    }
}

fn internal(message: &str) -> AwsError {
    AwsError::new("InternalServerError", message).with_status(500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_are_worded_as_the_service_words_them() {
        let service = DynamoDb::new("1", "us-west-2", Clock::system(), Duration::ZERO).expect("service");
        let refused = |operation: &str, body: Value| service.request(operation, &body).expect_err("refused");
        let short = refused("DescribeTable", json!({ "TableName": "t" }));
        assert_eq!(short.code, "ValidationException");
        assert!(!short.message.contains("VALIDATION"), "{short}");
        assert!(!short.message.contains(" at line "), "{short}");
        assert_eq!(refused("DescribeTable", json!({ "TableName": 7 })).code, "SerializationException");
        assert_eq!(
            refused("DescribeTable", json!({ "TableName": "none" })).code,
            "ResourceNotFoundException"
        );
    }
}
