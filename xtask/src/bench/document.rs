//! The document with the results: each command writes its own part of it, between two markers.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result, io};

/// Puts `content` between the markers of `section`, in place of what was there; at the end when they are not there.
pub fn refresh(file: &Path, section: &str, content: &str) -> Result<()> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Performance\n".to_owned(),
        Err(error) => return Err(Error::Io(format!("reading {}", file.display()), error)),
    };
    let text = replaced(&text, section, content).ok_or_else(|| {
        Error::Other(format!("{}: the section {section} begins and does not end", file.display()))
    })?;
    fs::write(file, text).map_err(io(format!("writing {}", file.display())))
}

fn replaced(text: &str, section: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {section}: begin -->"), format!("<!-- {section}: end -->"));
    let block = format!("{begin}\n{}\n{end}", content.trim_end());
    let Some((before, rest)) = text.split_once(&begin) else {
        return Some(format!("{}\n\n{block}\n", text.trim_end()));
    };
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{block}{after}"))
}

/// A table in Markdown, its columns as wide as they must be.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
    };
    let rule =
        format!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|"));
    let mut lines = vec![line(head.iter().map(|&cell| cell.to_owned()).collect()), rule];
    lines.extend(rows.iter().cloned().map(line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_once_and_then_replaced() {
        let first = replaced("# Title\n\nText.\n", "a", "one\n").unwrap();
        assert_eq!(first, "# Title\n\nText.\n\n<!-- a: begin -->\none\n<!-- a: end -->\n");
        let both = replaced(&first, "b", "two").unwrap();
        let again = replaced(&both, "a", "three").unwrap();
        assert_eq!(
            again,
            "# Title\n\nText.\n\n<!-- a: begin -->\nthree\n<!-- a: end -->\n\n<!-- b: begin -->\ntwo\n<!-- b: end -->\n"
        );
        assert_eq!(replaced("<!-- a: begin -->\nno end", "a", "x"), None);
    }

    #[test]
    fn a_table_has_aligned_columns() {
        let rows = vec![vec!["1".to_owned(), "12–14".to_owned()]];
        assert_eq!(
            table(&["shards", "MB/s"], &rows),
            "| shards | MB/s  |\n|--------|-------|\n| 1      | 12–14 |"
        );
    }
}
