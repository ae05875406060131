//! The question to the error table, and its answer.
//!
//! Columns: <https://docs.snowflake.com/en/user-guide/snowpipe-streaming/snowpipe-streaming-error-tables>.

use tokio::sync::OnceCell;

use crate::api::Api;
use crate::catalog;
use crate::machine::{Extent, Fault, FaultClass, Report, Token};
use crate::names::{segment, sql_name, stored};
use crate::request::{Destination, Object};

use super::explain::Row;

/// Rows without a token are told apart by their content up to this length.
const PAYLOAD: usize = 16 << 10;
/// Digits that tokens are filled up to, so that their texts compare as numbers.
const WIDTH: usize = 128;
/// Rows are in the error table when they are counted, or soon after; older ones need not be read.
const HOURS: u32 = 24;
/// Rows that others have published may be as old as the offset token that tells of them.
const EARLIER_HOURS: u32 = 30 * 24;

const UPPER: &str = "error_metadata:details.offset_token_upper_bound::STRING";
const LOWER: &str = "error_metadata:details.offset_token_lower_bound::STRING";
const CHANNEL: &str = "error_metadata:details.channel_name::STRING";

/// Where the error table is and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) destination: Destination,
    /// Name of the table as SQL, when it is known: that of a pipe is asked for.
    table: OnceCell<String>,
    /// Its name as it is stored: the SQL API folds no case.
    pub(crate) warehouse: String,
    /// Path to the offset token inside of a row, as SQL.
    pub(crate) token: String,
}

impl Source {
    /// `pointer` is the JSON Pointer to the offset token.
    pub(crate) fn new(destination: &Destination, warehouse: &str, pointer: &str) -> Self {
        let (table, destination) = (OnceCell::new(), destination.clone());
        Self { destination, table, warehouse: stored(warehouse), token: path(pointer) }
    }

    async fn table(&self, api: &Api) -> Result<&str, Fault> {
        let find = async || match catalog::target(api, &self.destination).await? {
            Some(target) => Ok(target.path.map(|name| segment(&name)).join(".")),
            None => {
                let detail = "the table of the pipe is not shown to the role".to_owned();
                Err(Fault { class: FaultClass::Rejected, detail, retry_after: None })
            }
        };
        self.table.get_or_try_init(find).await.map(String::as_str)
    }

    /// Rows of the error table; at most `limit`.
    pub(crate) async fn rows(
        &self,
        api: &Api,
        reports: &[(String, Report)],
        limit: u64,
    ) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(self.table(api).await?, reports, limit);
        let rows = catalog::cells(api, &statement, Some(&self.warehouse)).await?;
        Ok(rows.into_iter().filter_map(row).collect())
    }

    /// Fails when the error table cannot be read.
    pub(crate) async fn probe(&self, api: &Api) -> Result<(), Fault> {
        let statement = self.statement(self.table(api).await?, &[], 1);
        catalog::cells(api, &statement, Some(&self.warehouse)).await.map(drop)
    }

    fn statement(&self, table: &str, reports: &[(String, Report)], limit: u64) -> String {
        let token = &self.token;
        let within: Vec<String> =
            reports.iter().map(|(channel, report)| self.within(channel, report)).collect();
        let of = if within.is_empty() { newer(HOURS) } else { within.join(" OR ") };
        format!(
            "SELECT {CHANNEL}, {LOWER}, {UPPER}, {token}::STRING, \
             CASE WHEN {token} IS NULL THEN LEFT(error_data::STRING, {PAYLOAD}) END, \
             error_code::STRING, LEFT(error_metadata:error_message::STRING, 300) \
             FROM ERROR_TABLE({table}) \
             WHERE {of} LIMIT {limit}"
        )
    }

    /// Rows that a report may be about, as SQL.
    fn within(&self, channel: &str, report: &Report) -> String {
        let channel = text(channel);
        let (from, upto) = (padded(report.after.as_ref()), padded(report.upto.as_ref()));
        let upper = number(UPPER);
        let (hours, of) = match &report.extent {
            Extent::Exact => {
                let after =
                    report.after.as_ref().map_or(String::new(), |_| format!("{upper} > '{from}' AND "));
                (HOURS, format!("{after}{upper} <= '{upto}'"))
            }
            Extent::Earlier { bound } => {
                let token = number(&format!("{}::STRING", self.token));
                let lower = number(&format!("COALESCE({LOWER}, {UPPER})"));
                let last = bound
                    .as_ref()
                    .map_or(String::new(), |bound| format!(" OR {upper} = '{}'", padded(Some(bound))));
                let own = format!("{token} >= '{from}' AND {token} <= '{upto}'");
                let bare = format!("{token} IS NULL AND {upper} >= '{from}' AND {lower} <= '{upto}'");
                (EARLIER_HOURS, format!("({own} OR {bare}{last})"))
            }
        };
        format!("({} AND {CHANNEL} = {channel} AND {of})", newer(hours))
    }
}

fn row(cells: Vec<Option<String>>) -> Option<Row> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().flatten();
    let (channel, lower, upper, token, payload) = (next()?, next(), next(), next(), next());
    let (code, message) = (next().unwrap_or_default(), next().unwrap_or_default());
    let said = format!("{code} {message}").trim().to_owned();
    let parsed = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let (token, lower, upper) = (parsed(token), parsed(lower), parsed(upper));
    Some(Row { channel, token, lower, upper, payload, said })
}

fn newer(hours: u32) -> String {
    format!("\"TIMESTAMP\" > DATEADD(hour, -{hours}, CURRENT_TIMESTAMP())")
}

/// A token as SQL, so that texts compare as numbers.
fn number(token: &str) -> String {
    format!("LPAD({token}, {WIDTH}, '0')")
}

/// Statement that shows the rejected rows of a channel, for people.
pub(crate) fn error_query(destination: &Destination, channel: &str) -> String {
    let table = match &destination.object {
        Object::Table(name) => table_name(destination, name),
        Object::Pipe(_) => "<table of the pipe>".to_owned(),
    };
    format!("SELECT * FROM ERROR_TABLE({table}) WHERE {CHANNEL} = {}", text(channel))
}

fn table_name(destination: &Destination, name: &str) -> String {
    format!("{}.{}.{}", sql_name(&destination.database), sql_name(&destination.schema), sql_name(name))
}

fn padded(token: Option<&Token>) -> String {
    format!("{:0>WIDTH$}", token.map_or("", Token::as_str))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// `/a/b/0` as `error_data['a']['b'][0]`.
fn path(pointer: &str) -> String {
    let mut sql = "error_data".to_owned();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let is_index = !step.is_empty() && step.len() < 10 && step.bytes().all(|byte| byte.is_ascii_digit());
        let step = if is_index { step } else { text(&step) };
        sql.push_str(&format!("[{step}]"));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_become_paths() {
        for (pointer, sql) in [
            (
                "/kinesisMetadata/shardedSequenceNumber",
                "error_data['kinesisMetadata']['shardedSequenceNumber']",
            ),
            ("/a~1b/0/it's~0", "error_data['a/b'][0]['it''s~']"),
            ("", "error_data"),
        ] {
            assert_eq!(path(pointer), sql);
        }
    }
}
