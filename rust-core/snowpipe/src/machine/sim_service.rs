//! Model of the service for the simulation.

use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::StdRng;

use super::*;

/// The service's side of one channel, after the public documentation and what live tests of others report.
#[derive(Default)]
pub(super) struct Service {
    client: u64,
    row: u64,
    consumed: Option<String>,
    pub(super) accepted: VecDeque<Vec<u64>>,
    committed: Option<u64>,
    pub(super) table: Vec<u64>,
    pub(super) invalid: bool,
}

impl Service {
    fn token(&self) -> String {
        format!("{}_{}", self.client, self.row)
    }

    pub(super) fn open(&mut self, force: bool) -> Result<Opened, Fault> {
        if !self.accepted.is_empty() && !force {
            return Err(fault(FaultClass::Uncommitted));
        }
        self.accepted.clear();
        self.invalid = false;
        self.client += 1;
        self.row = 1;
        self.consumed = None;
        Ok(Opened { continuation: self.token(), status: self.status() })
    }

    pub(super) fn append(&mut self, continuation: &str, rows: Vec<u64>) -> Result<String, Fault> {
        if self.consumed.as_deref() == Some(continuation) {
            return Ok(self.token());
        }
        if self.invalid {
            return Err(fault(FaultClass::ChannelInvalid));
        }
        if continuation != self.token() {
            return Err(fault(FaultClass::Stale));
        }
        self.accepted.push_back(rows);
        self.consumed = Some(continuation.to_owned());
        self.row += 1;
        Ok(self.token())
    }

    pub(super) fn status(&self) -> ChannelStatus {
        ChannelStatus {
            code: Some(if self.invalid { "ERR_CHANNEL_MUST_BE_REOPENED" } else { "SUCCESS" }.into()),
            committed: self.committed.map(|n| n.to_string()),
            ..ChannelStatus::default()
        }
    }

    pub(super) fn commit_one(&mut self) {
        if let Some(rows) = self.accepted.pop_front() {
            self.committed = rows.last().copied().or(self.committed);
            self.table.extend(rows);
        }
    }
}

pub(super) fn fault(class: FaultClass) -> Fault {
    Fault { class, detail: format!("{class:?}"), retry_after: None }
}

#[derive(Clone, Debug)]
pub(super) struct FlowFile {
    pub(super) rows: Vec<u64>,
    pub(super) previous: u64,
}

/// Cuts rows into FlowFiles, each knowing the row before it.
pub(super) fn flow_files(rows: &[u64], mut previous: u64, rng: &mut StdRng) -> Vec<FlowFile> {
    let mut rest = rows;
    let mut cut = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rng.random_range(1..=rest.len().min(9)));
        cut.push(FlowFile { rows: head.to_vec(), previous });
        previous = *head.last().unwrap();
        rest = tail;
    }
    cut
}
