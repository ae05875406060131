//! Answers that are bare text in practice and JSON in the documentation.

use serde_json::Value;

/// The text of `body`: as it is, unquoted, or the named member of a JSON object.
pub(super) fn text(body: &str, members: &[&str]) -> Option<String> {
    let body = body.trim();
    let found = match serde_json::from_str::<Value>(body) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(map)) => {
            members.iter().find_map(|name| map.get(*name)?.as_str().map(str::to_owned))?
        }
        Ok(_) => return None,
        Err(_) => body.to_owned(),
    };
    let found = found.trim().to_owned();
    (!found.is_empty() && !found.contains(char::is_whitespace)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_the_text() {
        let members = ["hostname", "token"];
        for (body, expected) in [
            ("host.example", Some("host.example")),
            (" host.example\n", Some("host.example")),
            ("\"host.example\"", Some("host.example")),
            ("{\"hostname\":\"host.example\"}", Some("host.example")),
            ("{\"token\": \"a.b.c\"}", Some("a.b.c")),
            ("{\"other\":1}", None),
            ("", None),
            ("<html> sorry </html>", None),
            ("[1]", None),
        ] {
            assert_eq!(text(body, &members).as_deref(), expected, "{body}");
        }
    }
}
