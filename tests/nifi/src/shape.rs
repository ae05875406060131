//! The kinds of tables that rows can go to: the messages that fit them, the statements that make them, and how a row
//! tells which message it was.

use crate::producer::{BAD_EVERY, bad_payload};

/// A destination, with the messages that its rows are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// The recommended table: one column, the others by schema evolution.
    #[default]
    Standard,
    /// A table whose columns its owner has defined.
    CustomerSchema,
    /// A table behind a pipe that renames and casts.
    CustomPipe,
    /// An Iceberg table.
    Iceberg,
    /// An interactive table, which maps in its definition.
    Interactive,
}

/// A row's columns beside its number, as the SQL text that shows them.
pub type Columns = &'static [&'static str];

impl Shape {
    /// The table's usual name.
    pub fn table(self) -> &'static str {
        match self {
            Self::Iceberg => "MY_ICEBERG_TABLE",
            Self::Interactive => "REALTIME_METRICS",
            _ => "ORDERS",
        }
    }

    /// The pipe that rows go through, if it is not the table's own.
    pub fn pipe(self) -> Option<&'static str> {
        (self == Self::CustomPipe).then_some("ORDERS")
    }

    /// Whether rows have a column with the record's metadata.
    pub fn has_metadata(self) -> bool {
        !matches!(self, Self::CustomPipe | Self::Interactive)
    }

    /// Whether the table can show when a row was committed.
    pub fn has_row_timestamp(self) -> bool {
        self != Self::Interactive
    }

    /// The statements that make table and pipe; `table` is the table's full name, and `pipe` the pipe's.
    pub fn statements(self, table: &str, pipe: &str) -> Vec<String> {
        let create = match self {
            Self::Standard => format!(
                "CREATE TABLE {table} (kinesisMetadata OBJECT) ENABLE_SCHEMA_EVOLUTION = TRUE ERROR_LOGGING = TRUE"
            ),
            Self::CustomerSchema => format!(
                "CREATE TABLE {table} (kinesisMetadata OBJECT, order_id NUMBER, customer_name VARCHAR, \
                 order_total FLOAT, ispaid BOOLEAN)"
            ),
            Self::CustomPipe => format!(
                "CREATE TABLE {table} (order_id VARCHAR, customer_name VARCHAR, order_total VARCHAR, ispaid VARCHAR)"
            ),
            Self::Iceberg => format!(
                "CREATE OR REPLACE ICEBERG TABLE {table} (\
                 kinesisMetadata OBJECT(stream STRING, shardId STRING, approximateArrival STRING, partitionKey STRING, \
                 sequenceNumber STRING, subSequenceNumber INTEGER, shardedSequenceNumber STRING), \
                 id INT, name string, body_temperature float, approved_coffee_types array(string), \
                 animals_possessed variant, date_added date, options object(can_walk boolean, can_talk boolean)) \
                 EXTERNAL_VOLUME = 'my_volume' CATALOG = 'SNOWFLAKE' \
                 BASE_LOCATION = 'my_location/my_iceberg_table' ICEBERG_VERSION = 3"
            ),
            Self::Interactive => format!(
                "CREATE INTERACTIVE TABLE {table} (metric_name VARCHAR, metric_value NUMBER, source_topic VARCHAR, \
                 timestamp TIMESTAMP_NTZ) CLUSTER BY (metric_name) \
                 AS (SELECT $1:M_NAME::VARCHAR, $1:M_VALUE::NUMBER, $1:RECORD_METADATA.topic::VARCHAR, \
                 $1:RECORD_METADATA.timestamp::TIMESTAMP_NTZ FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))"
            ),
        };
        let mut statements = vec![create];
        if self.has_row_timestamp() {
            statements.push(format!("ALTER TABLE {table} SET ROW_TIMESTAMP = TRUE"));
        }
        if self == Self::CustomPipe {
            statements.push(format!(
                "CREATE PIPE {pipe} AS COPY INTO {table} FROM (SELECT $1:order_id::STRING, $1:customer_name, \
                 $1:order_total::STRING, $1:isPaid::STRING FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')))"
            ));
        }
        statements
    }

    /// The record numbered `id`: its partition key, its payload, and whether that is one JSON object.
    pub fn record(self, id: u64) -> (String, Vec<u8>, bool) {
        let customer = (id.wrapping_mul(2_654_435_761) >> 7) % 5003;
        let key = format!("customer-{customer}");
        if id % BAD_EVERY == BAD_EVERY / 2 {
            return (key, bad_payload(id), false);
        }
        let text = match self {
            Self::Standard => order(id, &key),
            Self::CustomerSchema | Self::CustomPipe => format!(
                "{{\"order_id\": {id}, \"customer_name\": \"{key}\", \"order_total\": {}, \"isPaid\": {}}}",
                total(id),
                paid(id)
            ),
            Self::Iceberg => format!(
                "{{\"id\": {id}, \"name\": \"{key}\", \"body_temperature\": {}, \
                 \"approved_coffee_types\": [\"Espresso\", \"Brew {id}\"], \
                 \"animals_possessed\": {{\"dogs\": {}, \"cats\": false}}, \"date_added\": \"2024-10-{:02}\", \
                 \"options\": {{\"can_walk\": {}, \"can_talk\": true}}}}",
                total(id),
                paid(id),
                id % 28 + 1,
                paid(id)
            ),
            Self::Interactive => format!(
                "{{\"M_NAME\": \"{key}\", \"M_VALUE\": {id}, \"RECORD_METADATA\": {{\"topic\": \"topic-{}\", \
                 \"timestamp\": \"2025-11-05T09:{:02}:{:02}.300\"}}}}",
                id % 7,
                id / 60 % 60,
                id % 60
            ),
        };
        (key, text.into_bytes(), true)
    }

    /// The column with the record's number.
    pub fn id(self) -> &'static str {
        match self {
            Self::Standard | Self::Iceberg => "ID",
            Self::CustomerSchema | Self::CustomPipe => "ORDER_ID",
            Self::Interactive => "METRIC_VALUE",
        }
    }

    /// The further columns, in the form in which [`values`](Self::values) expects them.
    pub fn columns(self) -> Columns {
        match self {
            Self::Standard => &["CUSTOMER", "AMOUNT::VARCHAR", "PAID::VARCHAR"],
            Self::CustomerSchema => &["CUSTOMER_NAME", "ORDER_TOTAL::VARCHAR", "ISPAID::VARCHAR"],
            Self::CustomPipe => &["CUSTOMER_NAME", "ORDER_TOTAL", "ISPAID"],
            Self::Iceberg => &[
                "NAME",
                "BODY_TEMPERATURE::VARCHAR",
                "APPROVED_COFFEE_TYPES[1]::VARCHAR",
                "ANIMALS_POSSESSED:dogs::VARCHAR",
                "DATE_ADDED::VARCHAR",
                "OPTIONS:can_walk::VARCHAR",
            ],
            Self::Interactive => &["METRIC_NAME", "SOURCE_TOPIC", "TIMESTAMP::VARCHAR"],
        }
    }

    /// What [`columns`](Self::columns) show for the record numbered `id`.
    pub fn values(self, id: u64) -> Vec<String> {
        let (key, _, _) = self.record(id);
        match self {
            Self::Standard | Self::CustomerSchema | Self::CustomPipe => vec![key, total(id), paid(id)],
            Self::Iceberg => vec![
                key,
                total(id),
                format!("Brew {id}"),
                paid(id),
                format!("2024-10-{:02}", id % 28 + 1),
                paid(id),
            ],
            Self::Interactive => vec![
                key,
                format!("topic-{}", id % 7),
                format!("2025-11-05 09:{:02}:{:02}.300", id / 60 % 60, id % 60),
            ],
        }
    }
}

fn order(id: u64, key: &str) -> String {
    format!(
        "{{\"id\": {id}, \"customer\": \"{key}\", \"amount\": {}, \"paid\": {paid}, \
         \"items\": [{{\"sku\": \"SKU-{sku}\", \"count\": {count}}}], \"note\": \"order \\\"{id}\\\" \u{2013} \u{1F4E6}\"}}",
        total(id),
        paid = paid(id),
        sku = id % 37,
        count = id % 5 + 1,
    )
}

/// An amount whose binary and decimal forms are equal and have one text.
fn total(id: u64) -> String {
    let (whole, part) = (id % 900 + 1, [".25", ".5", ".75"]);
    format!("{whole}{}", part[usize::try_from(id % 3).unwrap_or(0)])
}

fn paid(id: u64) -> String {
    id.is_multiple_of(3).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Shape; 5] =
        [Shape::Standard, Shape::CustomerSchema, Shape::CustomPipe, Shape::Iceberg, Shape::Interactive];

    #[test]
    fn good_means_one_json_object() {
        for shape in ALL {
            for id in 0..1000 {
                let (_, payload, good) = shape.record(id);
                let parsed: Result<serde_json::Map<String, serde_json::Value>, _> =
                    serde_json::from_slice(&payload);
                assert_eq!(parsed.is_ok(), good, "{shape:?} {id}");
            }
        }
    }

    #[test]
    fn each_column_has_a_value() {
        for shape in ALL {
            assert_eq!(shape.columns().len(), shape.values(7).len(), "{shape:?}");
        }
    }
}
