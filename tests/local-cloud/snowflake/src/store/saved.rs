//! What a state file keeps beside rows: definitions and the progress of channels.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Path};
use crate::streaming::{Channel, Key, Origin, Progress};

#[derive(Serialize, Deserialize)]
struct SavedChannel {
    pipe: Path,
    name: String,
    generation: i64,
    table_id: i64,
    created_ms: i64,
    #[serde(default)]
    last_used_ms: Option<i64>,
    progress: Progress,
}

/// The state of an earlier run.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) catalog: Option<Catalog>,
    /// Each with its progress and its last use.
    pub(crate) channels: Vec<(Channel, Progress, Option<i64>)>,
    pub(crate) last_commit: i64,
}

impl Saved {
    /// Reads what the file has. Channels continue with client sequencer `first_client`.
    pub(crate) fn load(connection: &Connection, first_client: u64) -> rusqlite::Result<Saved> {
        let catalog: Option<String> =
            connection.query_row("SELECT content FROM _catalog", [], |row| row.get(0)).optional()?;
        let catalog =
            catalog.map(|content| serde_json::from_str(&content).map_err(unreadable)).transpose()?;
        let mut select = connection.prepare("SELECT id, content FROM _channels")?;
        let mut rows = select.query([])?;
        let mut channels = Vec::new();
        while let Some(row) = rows.next()? {
            let content: String = row.get(1)?;
            let saved: SavedChannel = serde_json::from_str(&content).map_err(unreadable)?;
            let SavedChannel { pipe, name, generation, table_id, created_ms, last_used_ms, progress } = saved;
            let origin = Origin { generation, table_id, created_ms };
            let key = Key::new(pipe, &name);
            let channel = Channel::new(row.get(0)?, key, name, origin, first_client);
            channels.push((channel, progress, last_used_ms));
        }
        let last_commit =
            connection.query_row("SELECT coalesce(max(id), 0) FROM _commits", [], |row| row.get(0))?;
        Ok(Saved { catalog, channels, last_commit })
    }
}

fn unreadable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

pub(crate) fn save_catalog(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let content = serde_json::to_string(catalog).map_err(unreadable)?;
    connection.execute("INSERT OR REPLACE INTO _catalog VALUES (0, ?)", [content])?;
    Ok(())
}

pub(crate) fn save_channel(
    connection: &Connection,
    channel: &Channel,
    progress: &Progress,
) -> rusqlite::Result<()> {
    let saved = SavedChannel {
        pipe: channel.key.pipe.clone(),
        name: channel.name.clone(),
        generation: channel.generation,
        table_id: channel.table_id,
        created_ms: channel.created_ms,
        last_used_ms: Some(channel.state().last_used_ms),
        progress: progress.clone(),
    };
    let content = serde_json::to_string(&saved).map_err(unreadable)?;
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO _channels VALUES (?, ?)")?;
    insert.execute(params![channel.id, content])?;
    Ok(())
}

pub(crate) fn forget_channel(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM _channels WHERE id = ?", [id])?;
    Ok(())
}
