//! Names as they go into the paths of requests.
//!
//! Users give names as Snowflake stores them (an unquoted identifier in upper case), or quoted as in SQL. A name that is not
//! a plain upper-case identifier travels in double quotes, and every path segment is percent-encoded (RFC 3986).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::request::{Destination, Object};

/// Suffix of the pipe that every table has by default.
const DEFAULT_PIPE: &str = "-STREAMING";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Longest channel name that is sent; Snowflake's identifiers end at 255 characters.
const CHANNEL_LENGTH: usize = 250;

/// Database, schema and pipe of a destination, as path segments before encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PipePath {
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) pipe: String,
}

impl PipePath {
    /// The pipe that rows for `destination` go through.
    pub(crate) fn of(destination: &Destination) -> Self {
        let pipe = match &destination.object {
            Object::Pipe(pipe) => segment(&stored(pipe)),
            Object::Table(table) => default_pipe(&stored(table)),
        };
        Self {
            database: segment(&stored(&destination.database)),
            schema: segment(&stored(&destination.schema)),
            pipe,
        }
    }

    /// `databases/…/schemas/…/pipes/…`, encoded.
    pub(crate) fn encoded(&self) -> String {
        format!(
            "databases/{}/schemas/{}/pipes/{}",
            encode(&self.database),
            encode(&self.schema),
            encode(&self.pipe)
        )
    }
}

/// Path of the elastic channel of a destination, encoded.
pub(crate) fn elastic_path(destination: &Destination) -> String {
    let pipe = PipePath::of(destination);
    match &destination.object {
        Object::Table(table) => format!(
            "databases/{}/schemas/{}/tables/{}",
            encode(&pipe.database),
            encode(&pipe.schema),
            encode(&segment(&stored(table)))
        ),
        Object::Pipe(_) => format!("{}/channels/ELASTIC", pipe.encoded()),
    }
}

/// What messages call the destination.
pub(crate) fn label(destination: &Destination) -> String {
    let (kind, name) = match &destination.object {
        Object::Table(name) => ("table", name),
        Object::Pipe(name) => ("pipe", name),
    };
    format!("{kind} {}.{}.{name}", destination.database, destination.schema)
}

/// Percent-encodes one path segment or query value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// The channel's name: letters, digits, `_`, `-`, `.` and `$` of the group stay, anything else becomes `_`. When that, or
/// cutting an overlong name, changed it, a checksum of the original is appended, so that different groups never share a
/// channel.
pub(crate) fn channel(group: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    let mut name: String =
        group.chars().map(|c| if plain(c) { c } else { '_' }).take(CHANNEL_LENGTH).collect();
    if name.is_empty() || name != group {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, group.as_bytes());
        name.truncate(CHANNEL_LENGTH - 17);
        name.push('-');
        for byte in digest.as_ref().iter().take(8) {
            name.push_str(&format!("{byte:02x}"));
        }
    }
    name
}

/// The name as Snowflake stores it: quotes of the SQL form removed, doubled quotes inside made single.
pub(crate) fn stored(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if text.len() >= 2 => inner.replace("\"\"", "\""),
        _ => text.to_owned(),
    }
}

/// The name as an identifier in a statement.
pub(crate) fn sql_name(text: &str) -> String {
    quoted(&stored(text))
}

/// The name of a role as an identifier in a statement; without quotes its case does not matter.
pub(crate) fn role(text: &str) -> String {
    match is_plain(&text.to_ascii_uppercase()) {
        true => text.to_owned(),
        false => sql_name(text),
    }
}

/// Plain upper-case identifiers go as they are, everything else quoted.
pub(crate) fn segment(stored: &str) -> String {
    if is_plain(stored) { stored.to_owned() } else { quoted(stored) }
}

fn default_pipe(table: &str) -> String {
    let pipe = format!("{table}{DEFAULT_PIPE}");
    if is_plain(table) { pipe } else { quoted(&pipe) }
}

fn quoted(stored: &str) -> String {
    format!("\"{}\"", stored.replace('"', "\"\""))
}

fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Destination {
        Destination { database: "DB".into(), schema: "SC".into(), object: Object::Table(name.into()) }
    }

    #[test]
    fn thirty_table_names_give_their_default_pipe() {
        let cases = [
            ("T", "T-STREAMING"),
            ("ORDERS", "ORDERS-STREAMING"),
            ("ORDERS_2", "ORDERS_2-STREAMING"),
            ("_T", "_T-STREAMING"),
            ("T$1", "T$1-STREAMING"),
            (" ORDERS ", "ORDERS-STREAMING"),
            ("\"ORDERS\"", "ORDERS-STREAMING"),
            ("orders", "\"orders-STREAMING\""),
            ("Orders", "\"Orders-STREAMING\""),
            ("\"orders\"", "\"orders-STREAMING\""),
            ("\"My Table\"", "\"My Table-STREAMING\""),
            ("My Table", "\"My Table-STREAMING\""),
            ("2T", "\"2T-STREAMING\""),
            ("$T", "\"$T-STREAMING\""),
            ("A.B", "\"A.B-STREAMING\""),
            ("A-B", "\"A-B-STREAMING\""),
            ("A/B", "\"A/B-STREAMING\""),
            ("A;B", "\"A;B-STREAMING\""),
            ("A%20B", "\"A%20B-STREAMING\""),
            ("a\"b", "\"a\"\"b-STREAMING\""),
            ("\"a\"\"b\"", "\"a\"\"b-STREAMING\""),
            ("Ä", "\"Ä-STREAMING\""),
            ("日本", "\"日本-STREAMING\""),
            ("T-STREAMING", "\"T-STREAMING-STREAMING\""),
            ("\"T-STREAMING\"", "\"T-STREAMING-STREAMING\""),
            ("SELECT", "SELECT-STREAMING"),
            ("A B", "\"A B-STREAMING\""),
            ("A'B", "\"A'B-STREAMING\""),
            ("A+B", "\"A+B-STREAMING\""),
            ("A?B", "\"A?B-STREAMING\""),
        ];
        for (name, pipe) in cases {
            assert_eq!(PipePath::of(&table(name)).pipe, pipe, "{name}");
        }
    }

    #[test]
    fn pipes_and_paths_are_encoded_by_segment() {
        let destination = Destination {
            database: "my db".into(),
            schema: "\"s/c\"".into(),
            object: Object::Pipe("ORDERS".into()),
        };
        assert_eq!(
            PipePath::of(&destination).encoded(),
            "databases/%22my%20db%22/schemas/%22s%2Fc%22/pipes/ORDERS"
        );
    }

    #[test]
    fn elastic_channels_are_those_of_the_table_or_of_the_pipe() {
        assert_eq!(elastic_path(&table("ORDERS")), "databases/DB/schemas/SC/tables/ORDERS");
        assert_eq!(elastic_path(&table("\"q t\"")), "databases/DB/schemas/SC/tables/%22q%20t%22");
        let pipe = Destination { object: Object::Pipe("P".into()), ..table("T") };
        assert_eq!(elastic_path(&pipe), "databases/DB/schemas/SC/pipes/P/channels/ELASTIC");
    }

    #[test]
    fn different_groups_never_share_a_channel() {
        assert_eq!(channel("stream.0a1b.shardId-000000000000"), "stream.0a1b.shardId-000000000000");
        assert_ne!(channel("a b"), channel("a_b"));
        assert_ne!(channel("a b"), channel("a/b"));
        assert_ne!(channel(""), channel(" "));
        let long = "x".repeat(300);
        assert!(channel(&long).len() <= CHANNEL_LENGTH);
        assert_ne!(channel(&long), channel(&"x".repeat(301)));
    }
}
