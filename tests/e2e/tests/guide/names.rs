//! Names and messages of the guide, looked up where they come from.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{book, flow};

/// Words of NiFi's own user interface.
const NIFI: &[&str] = &[
    "Process Group",
    "Controller Settings",
    "Parameter Providers",
    "Fetch Parameters",
    "Inheritance",
    "Apply",
    "Verify",
    "Download Flow Definition",
    "Concurrent Tasks",
    "Offload",
    "Start",
    "Stop",
    "Terminate",
    "Kinesis to Snowflake Parameters",
];

/// The files under `folder` that end in `ending`, each as one text.
fn sources(folder: &str, ending: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![book::file(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

const JAVA: &str = "java-shim/src/main/java";

#[test]
fn the_ten_parameters_and_the_others_are_those_of_the_flow() {
    let rows = book::tables(&book::text(), "parameter");
    let named: Vec<String> = rows.iter().map(|row| book::code(&row[0]).to_owned()).collect();
    let flow = flow::parameters();
    assert_eq!(named.iter().collect::<BTreeSet<_>>(), flow.iter().collect::<BTreeSet<_>>());
    let required: BTreeSet<&str> = named[..10].iter().map(String::as_str).collect();
    let ten = [
        "AWS Access Key ID",
        "AWS Secret Access Key",
        "AWS Kinesis Region",
        "AWS Kinesis Application Name",
        "AWS Kinesis Consumer Type",
        "AWS Kinesis Initial Stream Position",
        "AWS Kinesis Stream Name",
        "Snowflake Destination Database",
        "Snowflake Destination Schema",
        "Snowflake Destination Table",
    ];
    assert_eq!(required, BTreeSet::from(ten));
}

#[test]
fn properties_in_italics_exist() {
    let java = sources(JAVA, ".java").join("\n");
    let names = book::italics(&book::prose(&book::text()));
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let known = NIFI.contains(&name.as_str())
            || java.contains(&format!(".name(\"{name}\")"))
            || java.contains(&format!("name(\"{name}\")"));
        assert!(known, "no property is called {name:?}");
    }
}

#[test]
fn attributes_counters_and_relationships_exist() {
    let java = sources(JAVA, ".java").join("\n");
    let rust = sources("rust-core/kinesis/src", ".rs").join("\n");
    let prose = book::prose(&book::text());
    let words: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
    let attributes =
        ["aws.kinesis.", "kinesis.millis", "channel.status.", "snowpipe.streaming.", "record.error."];
    let mut seen = 0;
    for word in words.iter().filter(|word| attributes.iter().any(|start| word.starts_with(start))) {
        assert!(java.contains(&format!("\"{word}\"")) || rust.contains(&format!("\"{word}\"")), "{word}");
        seen += 1;
    }
    assert!(seen >= 5, "attributes were found");
    for name in ["parse-failure", "failure", "invalid", "success", "Records Parse Failure"] {
        assert!(java.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn the_counters_are_those_that_are_counted() {
    let sources = [sources(JAVA, ".java"), sources("rust-core/kinesis/src", ".rs")].concat().join("\n");
    let rows = book::tables(&book::text(), "counter of ConsumeKinesis");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let name = book::code(&row[0]);
        assert!(sources.contains(&format!("\"{name}\"")), "no counter is called {name:?}");
    }
}

/// String literals that go over several lines, joined.
fn joined(source: &str) -> String {
    let mut out = String::new();
    let mut lines = source.lines().map(str::trim_start).peekable();
    while let Some(line) = lines.next() {
        match line.strip_suffix('\\') {
            Some(line) => out.push_str(line),
            // Java joins literals with a plus at the beginning of the next line.
            None if lines.peek().is_some_and(|next| next.starts_with("+ \"")) => {
                out.push_str(line.strip_suffix('"').unwrap_or(line));
                if let Some(next) = lines.next() {
                    out.push_str(&next[3..]);
                }
                out.push('\n');
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out.replace("\\\"", "\"")
}

#[test]
fn every_message_of_the_guide_is_one_of_the_product() {
    let mut texts = sources("rust-core/kinesis/src", ".rs");
    texts.extend(sources("rust-core/snowpipe/src", ".rs"));
    texts.extend(sources(JAVA, ".java"));
    let texts: Vec<String> = texts.iter().map(|text| joined(text)).collect();
    let rows = book::tables(&book::text(), "message");
    assert!(rows.len() > 30, "messages were found");
    let unknown: Vec<&str> = rows
        .iter()
        .map(|row| book::code(&row[0]))
        .filter(|message| !texts.iter().any(|text| holds(text, message)))
        .collect();
    assert!(unknown.is_empty(), "the product says none of {unknown:#?}");
}

/// Whether one line of `text` has the parts of a message between its `…`, in their order.
fn holds(text: &str, message: &str) -> bool {
    let parts: Vec<&str> = message.split('…').map(str::trim).filter(|part| part.len() > 2).collect();
    assert!(!parts.is_empty(), "{message} says nothing");
    text.lines().any(|line| {
        parts.iter().try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..])).is_some()
    })
}

#[test]
fn links_lead_somewhere() {
    let text = book::text();
    let anchors: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
        })
        .collect();
    let mut seen = 0;
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        seen += 1;
        match link.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "{anchor} is none of {anchors:?}"),
            None if link.starts_with("https://") => {}
            None => assert!(Path::new(&book::file("docs")).join(link).exists(), "{link}"),
        }
    }
    assert!(seen > 15, "links were found");
    assert!(book::file("flow-definitions/kinesis-to-snowflake.json").exists());
    // The ways in that the tests with a real NiFi use, too.
    let rest = sources("tests/nifi/src", ".rs").join("\n");
    for word in ["controller/nar-manager/nars/content", "Filename", "--enable-native-access=ALL-UNNAMED"] {
        assert!(text.contains(word) && rest.to_lowercase().contains(&word.to_lowercase()), "{word}");
    }
}
