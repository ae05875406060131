//! What a level of compression costs and gains.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::document::table;
use super::peer;
use crate::error::Result;
use crate::place::Place;

/// One kind of rows at one level, on one thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compression {
    pub kind: String,
    pub level: i32,
    /// Uncompressed to compressed.
    pub ratio: f64,
    /// Uncompressed.
    pub mb_per_second: f64,
}

/// Measures all kinds and levels.
pub async fn measure(place: &Place) -> Result<Vec<Compression>> {
    let mut command = Command::new(place.program("bench-peer")?);
    command.arg("compress");
    peer::run(command, Duration::from_secs(120)).await
}

/// One row a level, two columns a kind.
pub fn shown(all: &[Compression]) -> String {
    let (mut kinds, mut levels): (Vec<&str>, Vec<i32>) = (Vec::new(), Vec::new());
    for one in all {
        if !kinds.contains(&one.kind.as_str()) {
            kinds.push(&one.kind);
        }
        if !levels.contains(&one.level) {
            levels.push(one.level);
        }
    }
    let heads: Vec<String> =
        kinds.iter().flat_map(|kind| [format!("{kind}: ratio"), "MB/s".to_owned()]).collect();
    let head: Vec<&str> = std::iter::once("level").chain(heads.iter().map(String::as_str)).collect();
    let row = |level: &i32| {
        let cells = kinds.iter().flat_map(|kind| {
            let one = all.iter().find(|one| one.kind == *kind && one.level == *level);
            one.map_or_else(Default::default, |one| {
                [format!("{:.2}", one.ratio), format!("{:.0}", one.mb_per_second)]
            })
        });
        std::iter::once(level.to_string()).chain(cells).collect()
    };
    table(&head, &levels.iter().map(row).collect::<Vec<Vec<String>>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_row() {
        let one = |kind: &str, level| Compression {
            kind: kind.to_owned(),
            level,
            ratio: 4.0,
            mb_per_second: 300.0,
        };
        let text = shown(&[one("a", 1), one("a", 3), one("b", 1), one("b", 3)]);
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().all(|line| line.matches('|').count() == 6), "{text}");
    }
}
