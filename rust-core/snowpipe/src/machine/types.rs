//! What goes into the channel machine and what comes out.

use std::time::Duration;

use record::ShardedNumber;

use crate::config::GapStrategy;
use bulletin::Level;

/// Number of an upload, unique in the sink.
pub(crate) type Id = u64;
/// Number of a request body, unique in the channel.
pub(crate) type BodyId = u64;
/// Monotonic time since the start of the sink.
pub(crate) type Now = Duration;
/// An offset token.
pub(crate) type Token = ShardedNumber;

/// What of the configuration the machine needs.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How messages name the channel.
    pub(crate) label: String,
    /// Tokens come from the source and mean positions; otherwise they are numbers of this process.
    pub(crate) tracked: bool,
    /// Each row has a token of its own.
    pub(crate) row_tokens: bool,
    pub(crate) insert_timeout: Duration,
    pub(crate) tracking_timeout: Duration,
    pub(crate) gap_strategy: GapStrategy,
    pub(crate) gap_timeout: Duration,
    /// At least this long between two appends.
    pub(crate) request_interval: Duration,
    /// Uncompressed bytes a second.
    pub(crate) byte_rate: u64,
    /// Statement that shows the channel's rejected rows, for messages.
    pub(crate) error_query: String,
}

/// The rows of an upload.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) start: Token,
    pub(crate) end: Token,
    pub(crate) previous: Option<Token>,
    /// Bytes of content.
    pub(crate) size: u64,
}

/// A closed request body, identified by its token range; the shell keeps the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) id: BodyId,
    pub(crate) first: Token,
    pub(crate) last: Token,
    /// Stands for everything before the body, where rows have no tokens of their own.
    pub(crate) before: Token,
    /// Token of its last row's upload: beyond `last` when it ends inside an upload whose rows have no tokens.
    pub(crate) reach: Token,
    /// Uncompressed bytes.
    pub(crate) raw: u64,
    /// Bytes that are sent.
    pub(crate) size: u64,
}

/// A channel has counted all its life; few of those rows are in one upload.
const EARLIER_WEIGHT: u64 = 100;

/// How an error of the service is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FaultClass {
    /// Too many requests or bytes: slow down, keep everything.
    Throttled,
    /// The token or the right is refused after one refresh.
    Auth,
    /// Pipe, table, schema or database missing or not permitted.
    Missing,
    /// Another open took the channel over, or our continuation token is out of sequence.
    Stale,
    /// Accepted rows are not committed yet.
    Uncommitted,
    /// The channel is invalid and must be opened anew.
    ChannelInvalid,
    /// The pipe moved: host, token and channels are void.
    ClientInvalid,
    /// The body is larger than the service takes.
    TooLarge,
    /// The service will never take this request.
    Rejected,
    /// Network trouble, time-out or an error of the service.
    Transient,
}

/// An error of the service, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) class: FaultClass,
    /// For people: status, code and text, without secrets and data.
    pub(crate) detail: String,
    /// The service asked for this pause.
    pub(crate) retry_after: Option<Duration>,
}

/// State of the channel as the service reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ChannelStatus {
    pub(crate) code: Option<String>,
    pub(crate) committed: Option<String>,
    pub(crate) row_errors: u64,
    pub(crate) last_error_bound: Option<String>,
    pub(crate) last_error_message: Option<String>,
}

/// Answer to an open.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) continuation: String,
    pub(crate) status: ChannelStatus,
    /// Committed token of the channel that an earlier connector used for the same rows, when this one has none.
    pub(crate) former: Option<String>,
}

/// Answer of the status poller.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Known(ChannelStatus),
    /// The service does not list the channel.
    Missing,
}

/// Rejections that the service counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Report {
    pub(crate) count: u64,
    /// The rejected rows have offset tokens above this one (with [`Extent::Earlier`] this one at least),
    pub(crate) after: Option<Token>,
    /// and not above this one.
    pub(crate) upto: Option<Token>,
    pub(crate) extent: Extent,
}

impl Report {
    /// Rows that are expected to be found.
    pub(crate) fn weight(&self) -> u64 {
        match self.extent {
            Extent::Exact => self.count,
            Extent::Earlier { .. } => self.count.min(EARLIER_WEIGHT),
        }
    }
}

/// What the count of a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Extent {
    /// The rows of the range, counted between two looks at the channel.
    Exact,
    /// All rows of the channel until this process first looked at it; those of the range are among them, if there are any.
    Earlier {
        /// End of the append with the last rejection, when that is in the range.
        bound: Option<Token>,
    },
}

/// A report that concerns an upload, with the rejections that the upload is charged with.
pub(crate) type Charged = (Report, u64);

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Begin {
        upload: Id,
        span: Span,
    },
    /// Memory for the upload is reserved.
    Memory {
        upload: Id,
    },
    /// A body was closed, by size or as asked. It comes after everything that was told of the rows in it.
    Cut {
        body: Body,
    },
    /// All rows were handed over; `rows` of them are in bodies or were in the channel before, the last ones in the open body
    /// if `open`.
    Finished {
        upload: Id,
        rows: u64,
        open: bool,
        refused_rows: u64,
    },
    /// A row cannot be used; the upload fails.
    Spoiled {
        upload: Id,
        reason: String,
    },
    Abandon {
        upload: Id,
    },
    /// The call that opens has left; so many are made at a time.
    OpenLeft {
        attempt: u64,
    },
    Opened {
        attempt: u64,
        answer: Result<Opened, Fault>,
    },
    Appended {
        body: BodyId,
        attempt: u32,
        answer: Result<String, Fault>,
    },
    /// A body was replaced by smaller ones; none when it holds one row.
    Split {
        body: BodyId,
        parts: Vec<Body>,
    },
    /// `asked` is when the question left.
    Status {
        asked: Now,
        answer: Answer,
    },
    Tick,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    Committed {
        skipped_whole: bool,
    },
    /// `ranges` hold the offset tokens of the rejected rows, as narrow as the service tells; none when it does not.
    /// `reports` are what was counted, none when the rows were not rejected by the service. Unless `certain` there may be
    /// none, and only the error table knows.
    Invalid {
        certain: bool,
        skipped_whole: bool,
        row_errors: u64,
        message: String,
        ranges: Vec<(Token, Token)>,
        reports: Vec<Charged>,
    },
    Retry(String),
    Failed(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// `former`: what waits does not say which rows come before it. The channel of an earlier connector may tell.
    Open {
        attempt: u64,
        force: bool,
        former: bool,
    },
    AskMemory {
        upload: Id,
        bytes: u64,
    },
    CancelMemory {
        upload: Id,
    },
    /// Ask for data. Rows up to `floor` are to be left out; `before` is the token that stands for all before the upload.
    Grant {
        upload: Id,
        floor: Option<Token>,
        before: Token,
    },
    /// The upload needs no data, it waits for a commit.
    Covered {
        upload: Id,
    },
    /// Reason of a long wait.
    Hold {
        upload: Id,
        message: String,
    },
    /// Close the open body.
    Seal,
    Append {
        body: BodyId,
        attempt: u32,
        continuation: String,
        first: Token,
        last: Token,
    },
    /// The bytes of a body are no longer needed.
    DropBody {
        body: BodyId,
    },
    Split {
        body: BodyId,
    },
    /// Forget all bodies, also the open one; rows still coming for the upload in writing are to be thrown away.
    Discard,
    Settle {
        upload: Id,
        outcome: Settled,
    },
    /// Start or stop reporting the channel's status.
    Watch(bool),
    Say {
        level: Level,
        key: String,
        text: String,
    },
}
