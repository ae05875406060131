//! The folder outside the repository that keeps what is slow to make, and locks around making it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// `$XDG_CACHE_HOME/shardflow`, or `~/.cache/shardflow`.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("shardflow"))
        .ok_or_else(|| Error::Unexpected("neither XDG_CACHE_HOME nor HOME is set".to_owned()))
}

/// Makes `target` once, however many processes ask at the same time: `make` fills a temporary folder beside it, which
/// is renamed into place when it is complete. Leftovers of an interrupted attempt are removed.
pub fn make_once(target: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if target.is_dir() {
        return Ok(());
    }
    let parent = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::io(format!("creating {}", parent.display())))?;
    let lock_path = with_suffix(target, ".lock");
    let lock = File::create(&lock_path).map_err(Error::io(format!("creating {}", lock_path.display())))?;
    lock.lock().map_err(Error::io(format!("locking {}", lock_path.display())))?;
    if target.is_dir() {
        return Ok(());
    }
    let unfinished = with_suffix(target, ".tmp");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(Error::io(format!("removing {}", unfinished.display())))?;
    }
    fs::create_dir_all(&unfinished).map_err(Error::io(format!("creating {}", unfinished.display())))?;
    make(&unfinished)?;
    fs::rename(&unfinished, target).map_err(Error::io(format!("renaming to {}", target.display())))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Mirrors the files under `from` into `to` as hard links, or as copies where the file system has none.
pub(crate) fn link_tree(from: &Path, to: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<()> {
    let failed = |path: &Path| Error::io(format!("mirroring {}", path.display()));
    fs::create_dir_all(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let source = entry.map_err(failed(from))?.path();
        let Some(name) = source.file_name() else { continue };
        if !keep(&source) {
            continue;
        }
        let destination = to.join(name);
        if source.is_dir() {
            link_tree(&source, &destination, keep)?;
        } else if fs::hard_link(&source, &destination).is_err() {
            fs::copy(&source, &destination).map_err(failed(&source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_folder_is_made_once_by_concurrent_askers() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("home");
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    make_once(&target, |tmp| {
                        made.fetch_add(1, Ordering::SeqCst);
                        fs::write(tmp.join("file"), "x").map_err(Error::io("writing"))
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "x");
    }

    #[test]
    fn an_interrupted_attempt_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("home");
        let failed = make_once(&target, |tmp| {
            fs::write(tmp.join("half"), "x").map_err(Error::io("writing"))?;
            Err(Error::Unexpected("no network".to_owned()))
        });
        assert!(failed.is_err() && !target.exists());
        make_once(&target, |_| Ok(())).unwrap();
        assert!(!target.join("half").exists());
    }
}
