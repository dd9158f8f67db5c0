//! What can go wrong with a remote store: whose fault it is, with which key, and what to do about it.

use std::fmt;
use std::sync::Arc;

use gg_ir::Name;
use serde::{Deserialize, Serialize};

use super::key::Key;
use super::pack::{PackError, PackId};
use super::wire;
use crate::StoreError;

/// A result of a remote store.
pub type Result<T, E = RemoteError> = std::result::Result<T, E>;

/// Why a remote store could not do what was asked. No message ever holds a credential.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The text is no URI of a remote store.
    #[error("{uri:?} is no store: {reason}")]
    Uri {
        /// The text, without credentials.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used as it is configured.
    #[error("{store}: {reason}")]
    Config {
        /// The store.
        store: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Objects are not there: the store was emptied, or they never arrived. Uploading them again helps.
    #[error("{store} does not hold {missing}; they have to be uploaded again")]
    Missing {
        /// The store.
        store: String,
        /// What is not there.
        missing: Missing,
    },
    /// What the store holds under the key is not what belongs there, twice in a row.
    #[error("{store} holds damaged bytes under {key} ({reason}); it has to be uploaded again")]
    Corrupt {
        /// The store.
        store: String,
        /// The key, without the store's prefix: `objects/NAME`, `packs/ID`, `reductions/NAME`.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The store's owner does not let us.
    #[error("{store} does not let us {action} {key} ({reason}): check the credentials and their permissions")]
    Denied {
        /// The store.
        store: String,
        /// What was tried.
        action: &'static str,
        /// The key, without the store's prefix.
        key: String,
        /// What the store said.
        reason: String,
    },
    /// The store could not be reached, or the connection broke, also when tried again.
    #[error("cannot {action} {key}: {store} cannot be reached ({reason}); check the network and the endpoint")]
    Unreachable {
        /// The store.
        store: String,
        /// What was tried.
        action: &'static str,
        /// The key, without the store's prefix.
        key: String,
        /// What the system said.
        reason: String,
    },
    /// The store answered with an error of its own, also when tried again: overload, mostly.
    #[error("cannot {action} {key}: {store} failed ({reason}); try again later")]
    Service {
        /// The store.
        store: String,
        /// What was tried.
        action: &'static str,
        /// The key, without the store's prefix.
        key: String,
        /// What the store said.
        reason: String,
    },
    /// A pack handed to us is malformed.
    #[error("malformed pack: {0}")]
    Pack(#[from] PackError),
    /// The local store's side failed.
    #[error(transparent)]
    Local(Arc<StoreError>),
    /// A task of our own ended early: the program is being stopped.
    #[error("interrupted")]
    Interrupted,
}

impl From<StoreError> for RemoteError {
    fn from(error: StoreError) -> Self {
        Self::Local(Arc::new(error))
    }
}

impl RemoteError {
    /// What has to be uploaded again for the same request to succeed: what is missing, or damaged. `None` for other
    /// errors.
    pub fn missing(&self) -> Option<Missing> {
        match self {
            Self::Missing { missing, .. } => Some(missing.clone()),
            Self::Corrupt { key, .. } => Missing::of_key(key),
            _ => None,
        }
    }
}

/// What a remote store does not hold, or holds damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Objects, wherever they were said to be.
    #[serde(with = "wire::names")]
    pub names: Vec<Name>,
    /// Packs.
    pub packs: Vec<PackId>,
}

impl Missing {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.packs.is_empty()
    }

    /// What a key (`objects/NAME`, `packs/ID`) holds. `None` for other keys.
    pub fn of_key(key: &str) -> Option<Self> {
        match Key::parse(key)? {
            Key::Object(name) => Some(Self { names: vec![name], packs: Vec::new() }),
            Key::Pack(id) => Some(Self { names: Vec::new(), packs: vec![id] }),
            Key::Reduction(_) => None,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.packs.extend(other.packs);
        self.names.sort_unstable();
        self.names.dedup();
        self.packs.sort_unstable();
        self.packs.dedup();
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More are only counted.
        const SHOWN: usize = 3;
        let names = self.names.iter().map(|name| Key::Object(*name));
        let all = names.chain(self.packs.iter().map(|id| Key::Pack(*id)));
        for (at, key) in all.take(SHOWN).enumerate() {
            write!(f, "{}{key}", if at > 0 { ", " } else { "" })?;
        }
        match (self.names.len() + self.packs.len()).saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
