//! What must hold: at each settlement, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::World;
use super::node::Begun;
use super::plan::{FlowFile, Plan};
use super::service::{Publisher, Service};
use crate::config::GapStrategy;

/// What became of FlowFiles that have left their queue.
#[derive(Default)]
pub(super) struct Ledger {
    /// Rows that the service rejected and whose FlowFile was settled as invalid.
    invalid: BTreeSet<u64>,
    /// Rows of which it was told that they may have been rejected.
    doubtful: BTreeSet<u64>,
    /// Rows that fit into no request, which was told.
    refused: BTreeSet<u64>,
    /// Rows of FlowFiles that failed and do not come back.
    failed: BTreeSet<u64>,
    /// The first promise that was broken.
    broken: Option<String>,
}

impl Ledger {
    /// Takes an outcome; says whether the FlowFile goes back to its queue.
    pub(super) fn settle(
        &mut self,
        plan: &Plan,
        service: &Service,
        by: Publisher,
        begun: &Begun,
        outcome: &Settled,
    ) -> bool {
        let rows = &begun.flow_file.rows;
        let bad = || rows.iter().filter(|row| plan.bad.contains(row)).copied();
        match outcome {
            Settled::Retry(_) => return true,
            Settled::Failed(reason) if begun.told.is_empty() || !reason.contains("no row fits") => {
                if !plan.losing {
                    return true;
                }
                self.failed.extend(rows);
                return false;
            }
            Settled::Failed(_) => {
                self.refused.extend(&begun.told);
                return false;
            }
            Settled::Committed { .. } => {
                // What another node published is told there.
                if let Some(row) = bad().find(|row| service.rejected.get(row) == Some(&by)) {
                    self.breach(format!(
                        "row {row} was rejected, and its FlowFile {rows:?} is plain success"
                    ));
                }
            }
            Settled::Invalid { certain: true, .. } => self.invalid.extend(bad()),
            Settled::Invalid { .. } => self.doubtful.extend(bad()),
        }
        self.refused.extend(&begun.told);
        if let Some(row) = rows.iter().find(|row| plan.is_good(**row) && !service.stored.contains(row)) {
            self.breach(format!("row {row} is not in the table, and its FlowFile {rows:?} is {outcome:?}"));
        }
        false
    }

    fn breach(&mut self, text: String) {
        self.broken.get_or_insert(text);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }
}

/// Rows of all seeds, by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) stored: u64,
    pub(super) rejected: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) missing: u64,
    /// Where they are promised not to be.
    pub(super) duplicated: u64,
    pub(super) unaccounted: u64,
}

/// The end of a seed.
pub(super) fn judge(world: &World, sum: &mut Sum) -> Result<(), String> {
    let World { plan, service, ledger, .. } = world;
    if let Some(breach) = &ledger.broken {
        sum.unaccounted += 1;
        return Err(breach.clone());
    }
    let mut copies: BTreeMap<u64, u64> = BTreeMap::new();
    for row in &service.table {
        *copies.entry(*row).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for row in &plan.rows {
        let copies = copies.get(row).copied().unwrap_or(0);
        if copies > 1 && plan.once {
            sum.duplicated += copies - 1;
            wrong.push(format!("row {row} is in the table {copies} times"));
        }
        let told = match row {
            _ if copies > 0 => &mut sum.stored,
            row if ledger.invalid.contains(row) || ledger.doubtful.contains(row) => &mut sum.rejected,
            row if ledger.refused.contains(row) => &mut sum.refused,
            row if ledger.failed.contains(row) || !comes(plan, *row) => &mut sum.failed,
            row if plan.bad.contains(row) => {
                wrong.push(format!("row {row} was rejected and nobody told"));
                &mut sum.unaccounted
            }
            row => {
                wrong.push(format!("row {row} is missing"));
                &mut sum.missing
            }
        };
        *told += 1;
    }
    if plan.once
        && let Some(pair) = service.table.windows(2).find(|pair| pair[0] >= pair[1])
    {
        wrong.push(format!("rows {} and {} follow each other in the table", pair[0], pair[1]));
    }
    if !world.is_done() {
        wrong.push(stuck(world));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}

/// Whether a FlowFile with the row ever came.
fn comes(plan: &Plan, row: u64) -> bool {
    plan.gap_strategy == GapStrategy::Wait
        || plan.queues.iter().flatten().any(|flow_file| flow_file.rows.contains(&row))
}

fn stuck(world: &World) -> String {
    let nodes = world.nodes.iter().map(|node| {
        let held: Vec<&FlowFile> = node.begun.values().map(|begun| &begun.flow_file).collect();
        let (link, committed) = (node.machine.link_name(), node.machine.committed());
        format!("{link} {committed:?}, {} queued, begun {held:?}", node.queue.len())
    });
    format!("stuck: {}", nodes.collect::<Vec<_>>().join("; "))
}
