//! The guide as data: its fenced blocks in order, its tables, its names.

use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Words after the opening fence: the language, then what the block is for.
    pub words: Vec<String>,
    /// Lines between the fences, without the last line feed.
    pub text: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
}

impl Block {
    /// Whether the first words are these.
    pub fn is(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && words.iter().zip(&self.words).all(|(a, b)| a == b)
    }

    /// A word by its place, empty when there is none.
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// A file of the repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The guide's text.
pub fn text() -> String {
    std::fs::read_to_string(file("docs/guide.md")).unwrap()
}

/// All blocks.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                let words = info.split_whitespace().map(str::to_owned).collect();
                open = Some(Block { words, text: String::new(), line: at + 1 });
            }
            (Some(_), Some(mut block)) => {
                block.text.truncate(block.text.trim_end_matches('\n').len());
                blocks.push(block);
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// The text without fenced blocks.
pub fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Rows of the table whose header's first cell is `header`, cells trimmed.
pub fn tables(text: &str, header: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    // The line of dashes belongs to the header.
    for line in text.lines().filter(|line| !line.starts_with("|-")) {
        let Some(row) = line.strip_prefix("| ") else {
            inside = false;
            continue;
        };
        let cells: Vec<_> =
            row.trim_end_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        if inside {
            rows.push(cells);
        } else {
            inside = cells[0] == header;
        }
    }
    rows
}

/// The text between the first pair of backticks of a cell; empty when there is none.
pub fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_default()
}

/// Everything between single asterisks.
pub fn italics(prose: &str) -> Vec<String> {
    let flat = prose.replace("**", "").split_whitespace().collect::<Vec<_>>().join(" ");
    // A code span may hold an asterisk of its own.
    let plain: Vec<&str> = flat.split('`').step_by(2).collect();
    plain.join("").split('*').skip(1).step_by(2).map(str::to_owned).collect()
}
