//! The table behind a pipe, read from the COPY statement that the pipe was made of.

/// Parts of the name that COPY INTO names, as they are stored: one to three of them. `None` for anything that is not
/// plainly the name of a table.
pub(super) fn copy_target(definition: &str) -> Option<Vec<String>> {
    let rest = keyword(definition, "COPY")?;
    let mut rest = keyword(rest, "INTO")?;
    let mut parts = Vec::new();
    loop {
        let (part, quoted, after) = identifier(skip(rest))?;
        let next = skip(after);
        // A function in place of a name: IDENTIFIER('…') and the like.
        let called = !quoted && parts.is_empty() && next.starts_with('(');
        if called && matches!(part.as_str(), "IDENTIFIER" | "TABLE") {
            return None;
        }
        parts.push(part);
        match next.strip_prefix('.') {
            Some(more) if parts.len() < 3 => rest = more,
            Some(_) => return None,
            None => {
                let ends = next.is_empty() || next.starts_with('(') || next.len() < after.len();
                return ends.then_some(parts);
            }
        }
    }
}

/// What follows a word, which may be written in any case.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = skip(text);
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$'));
    (head.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// An identifier as it is stored, whether it was quoted, and what follows.
fn identifier(text: &str) -> Option<(String, bool, &str)> {
    if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => return (!name.is_empty()).then_some((name, true, after)),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    begins.then(|| (name.to_uppercase(), false, rest))
}

/// `text` without white space and comments in front.
fn skip(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if rest.starts_with("--") || rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_copy_into_names() {
        for (definition, expected) in [
            ("COPY INTO DB.SC.T FROM (SELECT $1 FROM …)", Some(vec!["DB", "SC", "T"])),
            ("copy into db.sc.t from x", Some(vec!["DB", "SC", "T"])),
            ("COPY INTO t FROM x", Some(vec!["T"])),
            ("COPY INTO sc.t\nFROM x", Some(vec!["SC", "T"])),
            ("COPY INTO T", Some(vec!["T"])),
            ("COPY INTO T(A, B) FROM x", Some(vec!["T"])),
            ("COPY INTO \"my db\".\"s.c\".\"a \"\"b\"\"\" FROM x", Some(vec!["my db", "s.c", "a \"b\""])),
            ("COPY INTO \"T\"(A) FROM x", Some(vec!["T"])),
            ("COPY INTO\"t\"FROM x", None),
            ("COPY INTO Db . \"sc\" . T$1 FROM x", Some(vec!["DB", "sc", "T$1"])),
            ("-- made by hand\n/* of us */ COPY // so\nINTO /* the */ T -- table\nFROM x", Some(vec!["T"])),
            ("COPY INTO \u{e4}rger FROM x", Some(vec!["\u{c4}RGER"])),
            ("COPY INTO \"IDENTIFIER\" (A) FROM x", Some(vec!["IDENTIFIER"])),
            ("COPY INTO IDENTIFIER('DB.SC.T') FROM x", None),
            ("COPY INTO TABLE(x) FROM y", None),
            ("COPY INTO @stage FROM x", None),
            ("COPY INTO 's3://bucket' FROM x", None),
            ("COPY INTO DB..T FROM x", None),
            ("COPY INTO A.B.C.D FROM x", None),
            ("COPY INTO \"open FROM x", None),
            ("COPY INTO \"\" FROM x", None),
            ("COPY INTO 1T FROM x", None),
            ("COPY INTO T; DROP", None),
            ("COPY INTO T@x", None),
            ("COPYINTO T", None),
            ("COPY INTOT FROM x", None),
            ("INSERT INTO T", None),
            ("COPY INTO", None),
            ("/* COPY INTO T", None),
            ("\u{e4}", None),
            ("", None),
        ] {
            let found = copy_target(definition);
            let found = found.as_ref().map(|parts| parts.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found, expected, "{definition}");
        }
    }
}
