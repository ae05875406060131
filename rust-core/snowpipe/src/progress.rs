//! What a caller sees of an upload.

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The channel opens, a gap in front is not closed, another upload is first, or memory is short. Ask again.
    Waiting,
    /// Its turn: hand the FlowFile's content over with `write` and `finish_data`.
    WantData,
    /// All data handed over (or none needed), the commit is outstanding.
    InFlight,
    /// Every row is in the table. Final.
    Committed,
    /// Committed, but the service or this crate rejected some of the rows. Final.
    Invalid,
    /// Nothing is known to be in the table beyond the committed offset token: roll the FlowFile back and begin again. Final.
    Retry,
    /// Cannot be published; route to failure with the message. Final.
    Failed,
}

impl State {
    /// Whether the upload has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Committed | Self::Invalid | Self::Retry | Self::Failed)
    }
}

impl State {
    /// Stable number for the bridge: 0 waiting, 1 want data, 2 in flight, 3 committed, 4 invalid, 5 retry, 6 failed.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Waiting => 0,
            Self::WantData => 1,
            Self::InFlight => 2,
            Self::Committed => 3,
            Self::Invalid => 4,
            Self::Retry => 5,
            Self::Failed => 6,
        }
    }
}

/// Rows of an upload that take another way than the rest: bytes of its content, which is plain NDJSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// [`State::Failed`] for a row that fits into no request, known as soon as all data was handed over;
    /// [`State::Invalid`] for rows among which the service rejected some, known at the end.
    pub kind: State,
    /// First byte.
    pub offset: u64,
    /// Bytes, line feed included.
    pub length: u64,
    /// Rows.
    pub rows: u64,
    /// Offset tokens of the first and the last row, as narrow as they are known.
    pub tokens: Option<(String, String)>,
    /// For the user.
    pub reason: String,
}

/// Answer of [`crate::Sink::advance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Where the upload stands.
    pub state: State,
    /// Rows put into request bodies so far.
    pub rows_sent: u64,
    /// Rows left out because the channel had them already. For an upload that was skipped whole: the `Records` of the request.
    pub rows_skipped: u64,
    /// Rows rejected by the service after the commit, or by this crate because they fit in no request. Rows that several
    /// uploads may hold are counted by one of them, so 0 with [`State::Invalid`] is possible.
    pub row_errors: u64,
    /// Why, for `Invalid`, `Retry`, `Failed` and for a long `Waiting`.
    pub message: Option<String>,
    /// URI of the channel, for the provenance event.
    pub transit_uri: String,
    /// Rows that go elsewhere. Where there are some, the end of the upload is about the other rows.
    pub pieces: Vec<Piece>,
}
