//! What is inside the NAR: everything that NiFi needs of it, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests end a test as the tests themselves do"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

const NATIVE: &str = "META-INF/bundled-dependencies/native/";
const JARS: &str = "META-INF/bundled-dependencies/";
const PROCESSORS: [&str; 2] =
    ["io.shardflow.nifi.processors.ConsumeKinesis", "io.shardflow.nifi.processors.PublishSnowpipeStreaming"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if entry.is_file() {
            files.insert(entry.name().unwrap().into_owned(), content);
        }
    }
    files
}

fn nar() -> BTreeMap<String, Vec<u8>> {
    let name = format!("nar-packaging/target/shardflow-nar-{}.nar", env!("CARGO_PKG_VERSION"));
    let path = root().join(name);
    let bytes =
        std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: run ./dev nar", path.display()));
    unpack(&bytes)
}

fn jar(nar: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let name = format!("{JARS}shardflow-processors-{}.jar", env!("CARGO_PKG_VERSION"));
    unpack(&nar[&name])
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    let content =
        files.get(name).unwrap_or_else(|| panic!("{name} is missing; there are {:?}", files.keys()));
    String::from_utf8(content.clone()).unwrap()
}

#[test]
fn the_manifest_names_this_nar_and_its_parent() {
    let manifest = text(&nar(), "META-INF/MANIFEST.MF");
    for line in ["Nar-Group: io.shardflow", "Nar-Id: shardflow-nar"] {
        assert!(manifest.lines().any(|l| l.trim_end() == line), "{line} is not in\n{manifest}");
    }
    let version = format!("Nar-Version: {}", env!("CARGO_PKG_VERSION"));
    assert!(manifest.contains(&version), "{manifest}");
    assert!(manifest.contains("Nar-Dependency-Id: nifi-aws-service-api-nar"), "{manifest}");
}

#[test]
fn both_processors_are_announced_and_documented() {
    let nar = nar();
    let jar = jar(&nar);
    let services = text(&jar, "META-INF/services/org.apache.nifi.processor.Processor");
    let announced: Vec<&str> =
        services.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let manifest = text(&nar, "META-INF/docs/extension-manifest.xml");
    for class in PROCESSORS {
        assert!(announced.contains(&class), "{class} is not in {announced:?}");
        assert!(jar.contains_key(&format!("{}.class", class.replace('.', "/"))));
        assert!(manifest.contains(class), "{class} is not in the extension manifest");
        let page = text(&jar, &format!("docs/{class}/additionalDetails.md"));
        assert!(page.len() > 500, "the page of {class} says little");
    }
    assert_eq!(announced.len(), PROCESSORS.len());
}

#[test]
fn licences_are_inside() {
    let nar = nar();
    assert!(text(&nar, "META-INF/LICENSE").contains("Apache License"));
    assert!(text(&nar, "META-INF/NOTICE").contains("Shardflow"));
    let linked = text(&nar, "META-INF/THIRD-PARTY-LICENSES");
    for package in ["tokio", "aws-sdk-kinesis", "aws-lc-rs", "jni", "zstd"] {
        assert!(linked.contains(&format!("\n{package} ")), "{package} is not listed");
    }
}

#[test]
fn nothing_is_inside_that_nifi_provides() {
    let nar = nar();
    let jars: Vec<&String> = nar.keys().filter(|name| name.ends_with(".jar")).collect();
    assert_eq!(jars.len(), 1, "{jars:?}");
    let foreign = |name: &&String| name.ends_with(".class") && !name.starts_with("io/shardflow/");
    let jar = jar(&nar);
    let foreign: Vec<&String> = jar.keys().filter(foreign).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn the_classes_run_on_java_21() {
    for (name, content) in jar(&nar()).iter().filter(|(name, _)| name.ends_with(".class")) {
        let major = u16::from_be_bytes([content[6], content[7]]);
        assert!(major <= 65, "{name} is for a newer Java than 21 (class file version {major})");
    }
}

#[test]
fn there_is_one_library_whose_name_tells_the_platform_and_no_path_of_this_machine() {
    let nar = nar();
    let libraries: Vec<&String> = nar.keys().filter(|name| name.starts_with(NATIVE)).collect();
    let platform = format!("shardflow-{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let expected = format!("{NATIVE}{prefix}{platform}{suffix}");
    assert_eq!(libraries, [&expected]);

    let library = &nar[&expected];
    let home = std::env::var("HOME").unwrap_or_default();
    let repository = root().canonicalize().unwrap().to_string_lossy().into_owned();
    for path in [format!("{}/", repository), format!("{home}/.cargo/"), format!("{home}/.rustup/")] {
        if path.len() > 10 {
            let found = library.windows(path.len()).position(|window| window == path.as_bytes());
            assert!(found.is_none(), "the library contains {path}");
        }
    }
}
