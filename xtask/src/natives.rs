//! The native library, where Maven expects it.
//!
//! The library's *name* carries the operating system and the architecture, so that one NAR can hold several.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Error, Result, io};
use crate::glibc;
use crate::licences;
use crate::place::Place;

/// Builds the workspace and puts the library and the licences of what it links into `nar-packaging/native`.
pub fn build(place: &Place) -> Result<PathBuf> {
    // `./dev` has just built everything.
    if std::env::var_os("SHARDFLOW_BUILT").is_none() {
        // The whole workspace in one selection: a selection of one package would resolve features of shared
        // dependencies differently and compile them again.
        command::run(cargo().current_dir(&place.root).args(["build", "--workspace", "--quiet"]))?;
    }
    let library = pack(place, &place.program("xtask")?.with_file_name(library_file("bridge")))?;
    if let Some(problem) = glibc::too_new(needed(&library)?) {
        // It runs here, which is enough for it.
        eprintln!("note: not to be handed out, {problem}");
    }
    Ok(library)
}

/// As [`build`], with the optimised library for a NAR that is handed out.
pub fn build_release(place: &Place) -> Result<PathBuf> {
    command::run(cargo().current_dir(&place.root).args(["build", "--release", "-p", "bridge"]))?;
    let profile = place.program("xtask")?;
    let target = profile.parent().and_then(Path::parent).unwrap_or(&place.root);
    let library = pack(place, &target.join("release").join(library_file("bridge")))?;
    match glibc::too_new(needed(&library)?) {
        Some(problem) => Err(Error::Other(problem)),
        None => Ok(library),
    }
}

fn needed(library: &Path) -> Result<Option<glibc::Version>> {
    let content = fs::read(library).map_err(io(format!("reading {}", library.display())))?;
    glibc::needed(&content)
}

fn pack(place: &Place, built: &Path) -> Result<PathBuf> {
    let folder = place.root.join("nar-packaging/native");
    fs::create_dir_all(&folder).map_err(io(format!("creating {}", folder.display())))?;
    let library =
        folder.join(library_file(&format!("shardflow-{}-{}", std::env::consts::OS, std::env::consts::ARCH)));
    let content = without_local_paths(stripped(built, &folder)?, &place.root);
    write_if_changed(&library, &content)?;
    write_licences(place, &folder)?;
    Ok(library)
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn library_file(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The library without debug information, where the platform's `strip` is at hand: NiFi makes a copy at every start.
fn stripped(library: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let copy = scratch.join(format!(".unstripped-{}", std::process::id()));
    fs::copy(library, &copy).map_err(io(format!("copying {}", library.display())))?;
    if command::is_there("strip", &["--version"]) {
        command::run_quietly(Command::new("strip").arg("--strip-debug").arg(&copy))?;
    }
    let content = fs::read(&copy).map_err(io(format!("reading {}", copy.display())))?;
    fs::remove_file(&copy).map_err(io(format!("removing {}", copy.display())))?;
    Ok(content)
}

/// Replaces the paths of this machine in the places of panics by relative ones of the same length, so that the library
/// tells nothing of where it was built: `/home/me/.cargo/registry` becomes `.////////////////registry`. The compiler's
/// own way (`trim-paths`) is not in a stable release yet, and `--remap-path-prefix` would have to be given to every
/// build by hand.
fn without_local_paths(mut content: Vec<u8>, root: &Path) -> Vec<u8> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(home.as_ref()?.join(".cargo")));
    for folder in [Some(root.to_owned()), cargo_home, home].into_iter().flatten() {
        let prefix = format!("{}/", folder.to_string_lossy().trim_end_matches('/')).into_bytes();
        if prefix.len() > 2 {
            replace(&mut content, &prefix);
        }
    }
    content
}

fn replace(content: &mut [u8], prefix: &[u8]) {
    let mut from = 0;
    while let Some(found) = content[from..].windows(prefix.len()).position(|window| window == prefix) {
        let at = from + found;
        content[at] = b'.';
        content[at + 1..at + prefix.len()].fill(b'/');
        from = at + prefix.len();
    }
}

fn write_licences(place: &Place, folder: &Path) -> Result<()> {
    let failed = |error: Box<dyn std::error::Error>| Error::Other(format!("collecting licences: {error}"));
    let scratch = folder.join(format!(".licences-{}", std::process::id()));
    licences::write(&place.root, env!("SHARDFLOW_TARGET"), &scratch).map_err(failed)?;
    let text = fs::read(&scratch).map_err(io(format!("reading {}", scratch.display())))?;
    fs::remove_file(&scratch).map_err(io(format!("removing {}", scratch.display())))?;
    write_if_changed(&folder.join("THIRD-PARTY-LICENSES"), &text)
}

/// Leaves an equal file alone, so that what depends on it by time stays up to date.
fn write_if_changed(file: &Path, content: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|existing| existing == content) {
        return Ok(());
    }
    fs::write(file, content).map_err(io(format!("writing {}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_paths_become_relative_ones_of_the_same_length() {
        let mut content = b"\0/home/me/.cargo/registry/a.rs\0/home/me/.cargo/b\0/home/you/c".to_vec();
        let length = content.len();
        replace(&mut content, b"/home/me/.cargo/");
        assert_eq!(content.len(), length);
        assert_eq!(content, b"\0.///////////////registry/a.rs\0.///////////////b\0/home/you/c");
    }
}
