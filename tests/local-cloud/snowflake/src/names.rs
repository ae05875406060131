//! Snowflake's identifier rules: an unquoted name is upper-case, a quoted one is taken as written.

/// Suffix of the pipe that exists for every table.
pub(crate) const DEFAULT_PIPE_SUFFIX: &str = "-STREAMING";

/// Resolves an identifier as written in SQL or in a request path.
pub(crate) fn resolve(written: &str) -> String {
    match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => written.to_uppercase(),
    }
}

/// Writes a stored name so that [`resolve`] gives it back, with quotes only when it needs them.
pub(crate) fn quote(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Splits a written, possibly qualified name (`db.schema."My table"`) into its resolved parts.
pub(crate) fn split(written: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    for c in written.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                part.push(c);
            }
            '.' if !quoted => parts.push(resolve(&std::mem::take(&mut part))),
            _ => part.push(c),
        }
    }
    parts.push(resolve(&part));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_names_fold_and_quoted_names_do_not() {
        for (written, stored) in [
            ("orders", "ORDERS"),
            ("Orders-streaming", "ORDERS-STREAMING"),
            ("\"orders\"", "orders"),
            ("\"My \"\"t\"\"\"", "My \"t\""),
        ] {
            assert_eq!(resolve(written), stored, "{written}");
        }
        assert_eq!(split("db.\"a.b\".T"), ["DB", "a.b", "T"]);
        for stored in ["ORDERS", "orders", "A B", "1A", "A$1", "ö", "My \"t\""] {
            assert_eq!(resolve(&quote(stored)), stored);
        }
    }
}
