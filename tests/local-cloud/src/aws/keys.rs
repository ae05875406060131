//! Access keys that the services know.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use super::policy::Policy;
use crate::sync::{read, write};

/// An access key and what it may do.
#[derive(Clone)]
pub struct AccessKey {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token that requests must carry, for temporary credentials.
    pub session_token: Option<String>,
    /// End of temporary credentials, milliseconds since 1970.
    pub expires_ms: Option<i64>,
    /// IAM user that denials name.
    pub user: String,
    /// Allowed actions; `None` allows everything.
    pub policy: Option<Policy>,
}

impl AccessKey {
    /// A long-lived key; a policy limits it.
    pub fn new(id: impl Into<String>, secret: impl Into<String>, user: &str, policy: Option<Policy>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            session_token: None,
            expires_ms: None,
            user: user.into(),
            policy,
        }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

/// The keys of one local cloud. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyring {
    keys: Arc<RwLock<HashMap<String, AccessKey>>>,
}

impl Keyring {
    pub(crate) fn add(&self, key: AccessKey) {
        write(&self.keys).insert(key.id.clone(), key);
    }

    pub(crate) fn remove(&self, id: &str) {
        write(&self.keys).remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<AccessKey> {
        read(&self.keys).get(id).cloned()
    }
}
