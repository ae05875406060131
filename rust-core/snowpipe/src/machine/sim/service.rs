//! Model of the service.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::*;

/// A node, and which of its lives.
pub(super) type Publisher = (usize, u64);

/// An append that is taken and not committed.
struct Accepted {
    by: Publisher,
    rows: Vec<u64>,
    end: Token,
    /// Its rejections are counted, its token is not committed.
    counted: bool,
}

/// The service's side of one channel, after the public documentation and what live tests of others report.
#[derive(Default)]
pub(super) struct Service {
    /// Rows that do not fit the table.
    bad: BTreeSet<u64>,
    pub(super) table: Vec<u64>,
    /// The same, to look up.
    pub(super) stored: BTreeSet<u64>,
    /// Rows that were rejected when they would have been committed, and who published them.
    pub(super) rejected: BTreeMap<u64, Publisher>,
    client: u64,
    row: u64,
    consumed: Option<String>,
    accepted: VecDeque<Accepted>,
    committed: Option<Token>,
    /// What is wrong with the channel until it is opened anew.
    broken: Option<FaultClass>,
    /// Counted all the life of the channel, whoever opens it.
    row_errors: u64,
    error_bound: Option<Token>,
}

impl Service {
    pub(super) fn new(bad: BTreeSet<u64>) -> Self {
        Self { bad, ..Self::default() }
    }

    fn token(&self) -> String {
        format!("{}_{}", self.client, self.row)
    }

    pub(super) fn open(&mut self, force: bool) -> Result<Opened, Fault> {
        if !self.accepted.is_empty() && !force {
            return Err(fault(FaultClass::Uncommitted));
        }
        self.accepted.clear();
        self.broken = None;
        self.client += 1;
        self.row = 1;
        self.consumed = None;
        Ok(Opened { continuation: self.token(), status: self.status(), former: None })
    }

    pub(super) fn append(
        &mut self,
        by: Publisher,
        continuation: &str,
        rows: Vec<u64>,
        end: Token,
    ) -> Result<String, Fault> {
        if self.consumed.as_deref() == Some(continuation) {
            return Ok(self.token());
        }
        if let Some(class) = self.broken {
            return Err(fault(class));
        }
        if continuation != self.token() {
            return Err(fault(FaultClass::Stale));
        }
        self.accepted.push_back(Accepted { by, rows, end, counted: false });
        self.consumed = Some(continuation.to_owned());
        self.row += 1;
        Ok(self.token())
    }

    pub(super) fn status(&self) -> ChannelStatus {
        let invalid = self.broken == Some(FaultClass::ChannelInvalid);
        ChannelStatus {
            code: Some(if invalid { "ERR_CHANNEL_MUST_BE_REOPENED" } else { "SUCCESS" }.into()),
            committed: self.committed.as_ref().map(ToString::to_string),
            row_errors: self.row_errors,
            last_error_bound: self.error_bound.as_ref().map(ToString::to_string),
            last_error_message: self.error_bound.as_ref().map(|_| "not a number".to_owned()),
        }
    }

    /// Commits the oldest append; what is wrong with its rows may be counted before.
    pub(super) fn commit_one(&mut self, count_only: bool) {
        let Some(oldest) = self.accepted.front_mut() else { return };
        if !std::mem::replace(&mut oldest.counted, true) {
            let rejected = oldest.rows.iter().filter(|row| self.bad.contains(row)).count() as u64;
            if rejected > 0 {
                self.row_errors += rejected;
                self.error_bound = Some(oldest.end.clone());
            }
        }
        if count_only {
            return;
        }
        if let Some(Accepted { by, rows, end, .. }) = self.accepted.pop_front() {
            self.committed = Some(end);
            for row in rows {
                if self.bad.contains(&row) {
                    self.rejected.insert(row, by);
                } else {
                    self.stored.insert(row);
                    self.table.push(row);
                }
            }
        }
    }

    /// The channel has to be opened anew; of what is not committed only `keep` appends will be.
    pub(super) fn break_channel(&mut self, class: FaultClass, keep: usize) {
        self.broken = Some(class);
        self.accepted.truncate(keep);
    }

    pub(super) fn uncommitted(&self) -> usize {
        self.accepted.len()
    }
}

pub(super) fn fault(class: FaultClass) -> Fault {
    Fault { class, detail: format!("{class:?}"), retry_after: None }
}
