//! What the user is told about a migration.

use super::lease::{Lease, Sorted};
use crate::api::ShardInfo;
use crate::config::InitialPosition;
use crate::core::Core;
use crate::store::Rows;
use bulletin::Level;
use std::collections::BTreeSet;

/// The main table belongs to something else.
pub(super) fn foreign_main(core: &Core, keys: &str) -> String {
    format!(
        "Table \"{}\" exists and has other keys ({keys}) than a checkpoint table (streamName, shardId). It is left \
         alone. Use another Application Name.",
        core.config.application_name
    )
}

/// The side table belongs to something else.
pub(super) fn foreign_side(core: &Core, why: &str) -> String {
    let table = &core.config.application_name;
    format!(
        "The positions in table \"{table}\", a lease table of the Kinesis Client Library, cannot be taken over: table \
         \"{table}_migration\" is needed for it and belongs to something else ({why}). Both are left alone. Rename or \
         remove that application's table, or use another Application Name."
    )
}

/// Why a legacy table is not to be taken over, if so.
pub(super) fn not_ours(core: &Core, sorted: &Sorted, shards: &[ShardInfo]) -> Option<String> {
    let (table, stream) = (&core.config.application_name, &core.config.stream_name);
    if !sorted.others.is_empty() {
        let names: Vec<&str> = sorted.others.iter().take(5).map(String::as_str).collect();
        return Some(format!(
            "The lease table \"{table}\" of the Kinesis Client Library has leases of {} other streams ({}), which \
             would be lost with it. It is left alone. Delete those leases when nobody needs them, or use another \
             Application Name.",
            sorted.others.len(),
            names.join(", ")
        ));
    }
    let known = sorted.ours.keys().any(|id| shards.iter().any(|s| s.id == *id));
    (!sorted.ours.is_empty() && !known).then(|| {
        format!(
            "None of the {} shards in the lease table \"{table}\" of the Kinesis Client Library is a shard of stream \
             \"{stream}\". It is left alone. Check the Stream Name; when the positions are not needed any more, delete \
             the table or use another Application Name.",
            sorted.ours.len()
        )
    })
}

/// Somebody still works with the legacy table.
pub(super) fn busy(core: &Core, leases: &[Lease]) -> String {
    let workers: BTreeSet<&str> = leases.iter().filter_map(|l| l.owner.as_deref()).take(5).collect();
    let workers: Vec<&str> = workers.into_iter().collect();
    format!(
        "The positions in the lease table \"{}\" of the Kinesis Client Library are taken over when its workers ({}) have \
         been quiet for 20 seconds. Stop them if they still run.",
        core.config.application_name,
        workers.join(", ")
    )
}

/// It begins.
pub(super) fn begins(core: &Core, leases: usize) -> String {
    let table = &core.config.application_name;
    format!(
        "Taking over {leases} leases of the Kinesis Client Library from table \"{table}\", by way of table \
         \"{table}_migration\"."
    )
}

/// Another migration deleted the legacy table too early.
pub(super) fn incomplete(core: &Core) -> String {
    let table = &core.config.application_name;
    format!(
        "Table \"{table}\" was deleted by a migration that had not finished; the positions that are in \
         \"{table}_migration\" are taken over. Shards without a position start as Initial Stream Position says."
    )
}

/// Leases of a stream that is gone.
pub(super) fn earlier(core: &Core, sorted: &Sorted) {
    if sorted.earlier > 0 {
        core.messages.once(
            Level::Warn,
            format!(
                "{} leases in table \"{}\" are of an earlier stream \"{}\" and are not taken over.",
                sorted.earlier, core.config.application_name, core.config.stream_name
            ),
        );
    }
}

/// A beginning that only the properties know.
pub(super) fn timestamps(core: &Core, sorted: &Sorted) {
    let word = |lease: &&Lease| lease.checkpoint.as_deref() == Some("AT_TIMESTAMP");
    let count = sorted.ours.values().filter(word).count();
    if count > 0 && !matches!(core.config.initial_position, InitialPosition::AtTimestamp(_)) {
        core.messages.once(
            Level::Warn,
            format!(
                "{count} shards of stream \"{}\" were to start at a timestamp that is not in the properties; they are \
                 read from their oldest record.",
                core.config.stream_name
            ),
        );
    }
}

/// It is done.
pub(super) fn done(core: &Core, rows: &Rows) -> String {
    let ended = rows.shards.values().filter(|r| r.ended).count();
    let positions = rows.shards.values().filter(|r| !r.ended && r.sequence.is_some()).count();
    format!(
        "Migrated {} rows from the lease table of the Kinesis Client Library into table \"{}\": {positions} positions, \
         {ended} finished shards, {} at their beginning.",
        rows.shards.len(),
        core.config.application_name,
        rows.shards.len() - ended - positions
    )
}

/// The side table could not be deleted.
pub(super) fn side_stays(core: &Core, why: &str) -> String {
    let table = &core.config.application_name;
    format!(
        "The migration is done, but table \"{table}_migration\" is still there and can be deleted by hand. {why}"
    )
}
