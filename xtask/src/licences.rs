//! The licences of everything that is linked into the native library, as one text for the NAR.
//!
//! Facts come from `cargo metadata`: the packages that `bridge` reaches by normal dependencies on the targets that the NAR
//! serves, each with its version, its licence expression and the licence files that its source holds.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// Writes the licences of what `bridge` links on `target` (a Rust target triple) to `file`; returns how many packages it
/// names.
///
/// # Errors
/// When `cargo metadata` fails, a package states no licence, or the file cannot be written.
pub fn write(root: &Path, target: &str, file: &Path) -> Result<usize, Box<dyn Error>> {
    let metadata = metadata(root, target)?;
    let linked = linked_packages(&metadata)?;
    let text = document(&linked)?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)?;
    Ok(linked.len())
}

fn metadata(root: &Path, target: &str) -> Result<Metadata, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packages from registries that end up in the library: normal dependencies only, no build scripts, no tests.
fn linked_packages(metadata: &Metadata) -> Result<Vec<&Package>, Box<dyn Error>> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|p| (p.id.as_str(), p)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let bridge = metadata
        .packages
        .iter()
        .find(|p| p.name == "bridge" && p.source.is_none())
        .ok_or("the workspace has no package called bridge")?;
    let mut seen = BTreeSet::new();
    let mut open = vec![bridge.id.as_str()];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(node) = nodes.get(id) else { continue };
        open.extend(
            node.deps
                .iter()
                .filter(|d| d.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                .map(|d| d.pkg.as_str()),
        );
    }
    let mut linked: Vec<&Package> =
        seen.iter().filter_map(|id| packages.get(id).copied()).filter(|p| p.source.is_some()).collect();
    linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(linked)
}

/// A list of the packages, then each distinct licence text once with the packages that ship it.
fn document(linked: &[&Package]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from(
        "Rust packages linked into the native library of this NAR\n========================================================\n\n",
    );
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in linked {
        let label = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its licence file below");
        let files = licence_files(package)?;
        if package.license.is_none() && files.is_empty() {
            return Err(format!("{label} states no licence and ships no licence file").into());
        }
        text.push_str(&format!("{label}: {licence} {}\n", package.repository.as_deref().unwrap_or("")));
        for content in files {
            texts.entry(content).or_default().insert(label.clone());
        }
    }
    for (content, packages) in texts {
        let names: Vec<String> = packages.into_iter().collect();
        text.push_str(&format!("\n{}\n{}\n\n{}\n", "-".repeat(80), names.join(", "), content));
    }
    Ok(text)
}

fn licence_files(package: &Package) -> Result<Vec<String>, Box<dyn Error>> {
    let Some(folder) = Path::new(&package.manifest_path).parent() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_licence =
            ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"].iter().any(|p| name.starts_with(p));
        if is_licence && entry.file_type()?.is_file() {
            found.push(
                String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n").trim().to_owned(),
            );
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, source: Option<&str>) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT".to_owned()),
            repository: None,
            source: source.map(str::to_owned),
            manifest_path: String::new(),
        }
    }

    fn node(id: &str, deps: &[(&str, Option<&str>)]) -> Node {
        let deps = deps
            .iter()
            .map(|(pkg, kind)| Dependency {
                pkg: (*pkg).to_owned(),
                dep_kinds: vec![DependencyKind { kind: kind.map(str::to_owned) }],
            })
            .collect();
        Node { id: id.to_owned(), deps }
    }

    #[test]
    fn only_what_is_linked_is_listed() {
        let registry = Some("registry");
        let metadata = Metadata {
            packages: vec![
                package("bridge", None),
                package("kinesis", None),
                package("bytes", registry),
                package("cc", registry),
                package("proptest", registry),
                package("unrelated", registry),
            ],
            resolve: Resolve {
                nodes: vec![
                    node("bridge", &[("kinesis", None), ("cc", Some("build"))]),
                    node("kinesis", &[("bytes", None), ("proptest", Some("dev"))]),
                    node("bytes", &[]),
                    node("unrelated", &[]),
                ],
            },
        };
        let names: Vec<&str> =
            linked_packages(&metadata).unwrap().iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["bytes"]);
    }
}
