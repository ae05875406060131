//! What a caller decides when it starts the server.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;

/// Settings of one server. Start from [`Options::default`] and change what matters.
#[derive(Clone, Debug)]
pub struct Options {
    /// Account identifier as `<organization>-<account>`, in any case.
    pub account: String,
    /// Host that `GET /v2/streaming/hostname` answers and that a token's scope must name; without a port.
    pub ingest_host: String,
    /// User that may log in.
    pub user: String,
    /// The user's default role. It is created with the right to create databases, and [`crate::Snowflake::sql`]
    /// runs as this role.
    pub role: String,
    /// Public keys of the user, each PEM text of a SubjectPublicKeyInfo.
    pub public_keys_pem: Vec<String>,
    /// Bearer tokens accepted without an exchange: programmatic access tokens, and the tokens of a managed runtime
    /// (with or without the prefix `WIF.OIDC.`).
    pub access_tokens: Vec<String>,
    /// The account's time. Commits, tokens, idle channels and time stamps go by it. What a client dates itself, its
    /// key-pair JWT, is judged by the system's clock, for that is the client's.
    pub clock: Clock,
    /// Time between the acknowledgement of an append and its rows being visible in the table.
    pub commit_delay: Duration,
    /// Life of the token that `POST /oauth/token` hands out.
    pub token_lifetime: Duration,
    /// Limits of the service.
    pub limits: Limits,
    /// Deviations seen of some accounts or described in the documentation.
    pub quirks: Quirks,
    /// Appends advance the offset token, but their rows are neither decoded nor stored, nor counted: what a client costs
    /// can be measured with next to no server behind it.
    pub discard_rows: bool,
    /// Rows in one partition of an answer of the SQL API; the service chooses by size, and tells nobody how.
    pub partition_rows: usize,
    /// What the journal keeps.
    pub journal: JournalOptions,
    /// SQLite file that keeps tables, channels and grants over a restart; in memory when absent.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            account: "LOCAL-ACCOUNT".into(),
            ingest_host: "localhost".into(),
            user: "LOCAL_USER".into(),
            role: "LOCAL_ROLE".into(),
            public_keys_pem: Vec::new(),
            access_tokens: Vec::new(),
            clock: Clock::system(),
            commit_delay: Duration::from_millis(500),
            token_lifetime: Duration::from_secs(3600),
            limits: Limits::default(),
            quirks: Quirks::default(),
            discard_rows: false,
            partition_rows: 10_000,
            journal: JournalOptions::default(),
            state: None,
        }
    }
}

/// Limits that Snowflake documents for high-performance Snowpipe Streaming.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body of an append as sent (compressed), in bytes.
    pub body_bytes: usize,
    /// Whether the two limits per channel and second below are enforced (HTTP 429).
    pub rates: bool,
    /// Requests per channel and second.
    pub requests_per_second: u32,
    /// Uncompressed bytes per channel and second.
    pub bytes_per_second: u64,
    /// Named channels per pipe.
    pub channels_per_pipe: usize,
    /// A named channel that was neither opened nor written to for this long is deleted with its offset token.
    pub idle_channel: Duration,
    /// Uncompressed bytes that wait for their commit in the whole server before appends are answered 429.
    pub pending_bytes: u64,
    /// Columns that schema evolution may add in one step.
    pub evolved_columns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 4 * 1024 * 1024,
            rates: true,
            requests_per_second: 10,
            bytes_per_second: 20_000_000,
            channels_per_pipe: 2000,
            idle_channel: Duration::from_secs(30 * 24 * 3600),
            pending_bytes: 1 << 30,
            evolved_columns: 100,
        }
    }
}

/// Ways in which the service answers at times; all off by default.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// Hostname and token come as JSON (`{"hostname": …}`, `{"token": …}`), as the documentation says, rather than as
    /// bare text.
    pub json_login: bool,
    /// Opening a channel of a missing pipe is answered 200 with a `channel_status_code` other than `SUCCESS`.
    pub missing_pipe_as_status: bool,
    /// Appends are answered with an `x-snowflake-session` header.
    pub session_header: bool,
}

/// What the journal keeps.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Requests kept; the oldest leave first.
    pub requests: usize,
    /// Bytes of decoded append bodies kept in all; the oldest leave first. Zero keeps none.
    pub body_bytes: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        JournalOptions { requests: 10_000, body_bytes: 0 }
    }
}
