//! The folder of one running NiFi: configuration, repositories, logs. The installation itself is shared.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::home::NifiHome;
use crate::{Error, Result, cache};

/// The folder of one instance and the port that its configuration names.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub root: PathBuf,
    pub port: u16,
}

impl Instance {
    /// Writes a fresh instance into `root`, which must not hold one yet.
    pub fn create(home: &NifiHome, root: &Path, port: u16, nars: &[PathBuf]) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io(format!("resolving {}", root.display())))?;
        for folder in ["conf", "extensions", "logs", "tmp", "nar_repository", "assets"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
        }
        let port = if port == 0 { free_port()? } else { port };
        let properties = include_str!("conf/nifi.properties")
            .replace("@lib@", &home.lib().to_string_lossy())
            .replace("@port@", &port.to_string())
            .replace("@sensitive_key@", &uuid::Uuid::new_v4().simple().to_string());
        let instance = Self { root, port };
        instance.write("conf/nifi.properties", &properties)?;
        instance.write("conf/state-management.xml", include_str!("conf/state-management.xml"))?;
        instance.write("conf/logback.xml", include_str!("conf/logback.xml"))?;
        instance.write("conf/authorizers.xml", "<authorizers></authorizers>\n")?;
        instance.write(
            "conf/login-identity-providers.xml",
            "<loginIdentityProviders></loginIdentityProviders>\n",
        )?;
        for nar in nars {
            let name = nar.file_name().unwrap_or_default();
            let to = instance.root.join("extensions").join(name);
            fs::copy(nar, &to).map_err(Error::io(format!("copying {}", nar.display())))?;
        }
        if home.unpacked().is_dir() {
            cache::link_tree(&home.unpacked(), &instance.unpacked(), &|_| true)?;
        }
        Ok(instance)
    }

    /// Removes the copies of native libraries that NiFi leaves in its temporary folder at every start.
    pub fn sweep(&self) -> Result<()> {
        let tmp = self.root.join("tmp");
        let failed = || Error::io(format!("sweeping {}", tmp.display()));
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(failed())?;
        }
        fs::create_dir_all(&tmp).map_err(failed())
    }

    /// Keeps the installation's NARs as this instance unpacked them, so that the next instance starts sooner.
    pub fn keep_unpacked(&self, home: &NifiHome) -> Result<()> {
        let own: Vec<String> = home
            .nars()?
            .iter()
            .filter_map(|nar| Some(format!("{}-unpacked", nar.file_name()?.to_string_lossy())))
            .collect();
        let unpacked = self.unpacked();
        let keep = |path: &Path| {
            let Ok(inside) = path.strip_prefix(&unpacked) else { return false };
            let mut parts = inside.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
            match (parts.next().as_deref(), parts.next()) {
                (Some("extensions"), Some(nar)) => own.contains(&nar),
                (Some("docs" | "assembly"), _) => false,
                _ => true,
            }
        };
        cache::make_once(&home.unpacked(), |unfinished| cache::link_tree(&unpacked, unfinished, &keep))
    }

    fn unpacked(&self) -> PathBuf {
        self.root.join("work/nar")
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(Error::io(format!("writing {}", path.display())))
    }
}

/// A port that nothing listens on, below the range from which systems take the local ports of outgoing connections:
/// NiFi binds it seconds later, and binds it again after a restart.
pub(crate) fn free_port() -> Result<u16> {
    let (first, count) = (20_000_u16, 12_000_u16);
    let random = uuid::Uuid::new_v4().as_u128();
    let start = u16::try_from(random % u128::from(count)).unwrap_or(0);
    (0..count)
        .map(|step| first + (start + step) % count)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .ok_or_else(|| Error::Unexpected(format!("no free port from {first} on")))
}
