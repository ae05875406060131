//! Where a shard is begun and where it is resumed. Decided once, never re-evaluated from the settings.

use crate::config::InitialPosition;
use record::{Position, SequenceNumber};
use std::fmt;
use std::str::FromStr;

/// A decided beginning, stored before the first read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The oldest stored record.
    TrimHorizon,
    /// Records that arrived at or after this epoch millisecond.
    AtTimestamp(i64),
    /// "Now" at the time of the decision, epoch milliseconds by the service's clock.
    Latest(i64),
}

impl Anchor {
    /// Turns the user's setting into a decision; `now_ms` is the service's clock.
    pub(crate) fn decide(initial: InitialPosition, now_ms: i64) -> Self {
        match initial {
            InitialPosition::TrimHorizon => Anchor::TrimHorizon,
            InitialPosition::Latest => Anchor::Latest(now_ms),
            InitialPosition::AtTimestamp(ms) => Anchor::AtTimestamp(ms),
        }
    }

    /// The beginning of a shard that has no position yet. A child of a shard this application reads or has read
    /// starts at its own beginning, whatever the stream's anchor says: nothing written to it was delivered before.
    pub(crate) fn of_shard(stream: Anchor, child_of_known: bool) -> Self {
        if child_of_known { Anchor::TrimHorizon } else { stream }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anchor::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Anchor::AtTimestamp(ms) => write!(f, "AT_TIMESTAMP:{ms}"),
            Anchor::Latest(ms) => write!(f, "LATEST:{ms}"),
        }
    }
}

impl FromStr for Anchor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let millis = |t: &str| t.parse::<i64>().map_err(|_| ());
        match text.split_once(':') {
            None if text == "TRIM_HORIZON" => Ok(Anchor::TrimHorizon),
            Some(("AT_TIMESTAMP", ms)) => Ok(Anchor::AtTimestamp(millis(ms)?)),
            Some(("LATEST", ms)) => Ok(Anchor::Latest(millis(ms)?)),
            _ => Err(()),
        }
    }
}

/// How an iterator is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the oldest stored record.
    TrimHorizon,
    /// At this epoch millisecond.
    AtTimestamp(i64),
    /// At this record, which is done in whole or in part; see [`Done::drop_through`].
    At(SequenceNumber),
    /// Behind this number, which need not be that of a record: how a subscription is renewed.
    After(SequenceNumber),
}

/// A place in the shard up to which everything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Last position that is done.
    pub(crate) position: Position,
    /// Sub-records after `position` in the same Kinesis record are still to be read.
    pub(crate) within_record: bool,
}

impl Done {
    /// All of a Kinesis record is done.
    pub(crate) fn whole(position: Position) -> Self {
        Self { position, within_record: false }
    }

    /// Positions up to this one are left out when the shard is opened at the record again.
    pub(crate) fn drop_through(&self) -> Position {
        // The number of sub-records may be unknown: Apache NiFi's own processor stores sequence numbers only.
        let sub = if self.within_record { self.position.sub_sequence } else { u64::MAX };
        Position::new(self.position.sequence.clone(), sub)
    }
}

/// Where to open the shard. A shard with a position is opened *at* the record and not behind it: when the first record
/// that comes back is another one, the position has left the retention time, which must not go unnoticed.
pub(crate) fn start(done: Option<&Done>, anchor: Anchor) -> Start {
    match (done, anchor) {
        (Some(d), _) => Start::At(d.position.sequence.clone()),
        (None, Anchor::TrimHorizon) => Start::TrimHorizon,
        // LATEST was resolved when it was decided; asking the service for LATEST again would skip what came since.
        (None, Anchor::AtTimestamp(ms) | Anchor::Latest(ms)) => Start::AtTimestamp(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(sequence: &str, sub: u64) -> Position {
        Position::new(SequenceNumber::new(sequence).unwrap(), sub)
    }

    #[test]
    fn an_anchor_survives_storage() {
        for anchor in [Anchor::TrimHorizon, Anchor::AtTimestamp(-5), Anchor::Latest(1_700_000_000_123)] {
            assert_eq!(anchor.to_string().parse(), Ok(anchor));
        }
        for text in ["", "LATEST", "LATEST:", "LATEST:x", "TRIM_HORIZON:1", "SHARD_END"] {
            assert!(text.parse::<Anchor>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_service_is_never_asked_for_latest() {
        assert_eq!(start(None, Anchor::decide(InitialPosition::Latest, 7)), Start::AtTimestamp(7));
        assert_eq!(start(None, Anchor::decide(InitialPosition::AtTimestamp(5), 7)), Start::AtTimestamp(5));
        assert_eq!(start(None, Anchor::decide(InitialPosition::TrimHorizon, 7)), Start::TrimHorizon);
    }

    #[test]
    fn a_position_wins_over_the_anchor() {
        let done = Done::whole(position("42", 3));
        assert_eq!(start(Some(&done), Anchor::Latest(7)), Start::At(SequenceNumber::new("42").unwrap()));
        assert!(position("42", 900) < done.drop_through() && done.drop_through() < position("43", 0));
        let done = Done { within_record: true, ..done };
        assert_eq!(done.drop_through(), position("42", 3));
    }

    #[test]
    fn children_of_known_shards_start_at_their_beginning() {
        assert_eq!(Anchor::of_shard(Anchor::Latest(7), true), Anchor::TrimHorizon);
        assert_eq!(Anchor::of_shard(Anchor::Latest(7), false), Anchor::Latest(7));
    }
}
