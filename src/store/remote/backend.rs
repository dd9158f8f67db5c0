//! What every kind of store can do.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;

use super::cloud::Cloud;
use super::counters::Meter;
use super::credentials::Credentials;
use super::error::{RemoteError, Result};
use super::key::Key;
use super::redis::Redis;
use super::uri::{Place, RemoteUri};

/// Why one request failed, after the retries.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// There is nothing under that key.
    NotFound,
    /// What is there is shorter than the part that was asked for.
    Short,
    /// What was to be new is there.
    Exists,
    /// Not allowed, or not who we say we are.
    Denied(String),
    /// No connection, or it broke.
    Unreachable(String),
    /// The store's own failure.
    Service(String),
    /// The store cannot be used as it is configured.
    Config(String),
}

/// How something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only where nothing is.
    New,
    /// Over what is there.
    Over,
}

/// Bytes as they arrive.
pub(super) type Stream = BoxStream<'static, Result<Bytes, Fault>>;

/// A store of one kind, with its prefix.
#[derive(Debug)]
pub(super) struct Backend {
    kind: Kind,
    /// The URI without credentials, for messages.
    store: String,
    prefix: String,
    pub meter: Arc<Meter>,
}

#[derive(Debug)]
enum Kind {
    Cloud(Cloud),
    Redis(Redis),
}

impl Backend {
    pub fn open(uri: &RemoteUri, credentials: Option<Arc<dyn Credentials>>) -> Result<Self> {
        let (store, meter) = (uri.to_string(), Arc::<Meter>::default());
        let opened = match &uri.place {
            Place::Redis { .. } => Redis::open(uri, &meter).map(Kind::Redis),
            _ => Cloud::open(uri, &meter, credentials).map(Kind::Cloud),
        };
        let kind = opened.map_err(|reason| RemoteError::Config { store: store.clone(), reason })?;
        Ok(Self { kind, store, prefix: uri.prefix.clone(), meter })
    }

    pub fn store(&self) -> &str {
        &self.store
    }

    fn at(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The error of the public API for a fault. What is not found becomes [`RemoteError::Missing`].
    pub fn error(&self, action: &'static str, key: &Key, fault: Fault) -> RemoteError {
        let (store, key) = (self.store.clone(), key.to_string());
        match fault {
            Fault::NotFound => {
                RemoteError::Missing { store, missing: super::Missing::of_key(&key).unwrap_or_default() }
            }
            Fault::Denied(reason) => RemoteError::Denied { store, action, key, reason },
            Fault::Unreachable(reason) => RemoteError::Unreachable { store, action, key, reason },
            Fault::Short => RemoteError::Corrupt { store, key, reason: "it is cut short".to_owned() },
            Fault::Exists => RemoteError::Service { store, action, key, reason: "it exists already".to_owned() },
            Fault::Service(reason) => RemoteError::Service { store, action, key, reason },
            Fault::Config(reason) => RemoteError::Config { store, reason },
        }
    }

    pub fn corrupt(&self, key: &Key, reason: impl ToString) -> RemoteError {
        RemoteError::Corrupt { store: self.store.clone(), key: key.to_string(), reason: reason.to_string() }
    }

    /// All bytes of a key, or a part of them, in memory.
    pub async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Bytes> {
        let got = match &self.kind {
            Kind::Cloud(cloud) => cloud.get(&self.at(key), range).await,
            Kind::Redis(redis) => redis.get(&self.at(key), range).await,
        };
        got.map_err(|fault| self.error("read", key, fault))
    }

    /// As [`Backend::get`], piece by piece.
    pub async fn stream(&self, key: &Key, range: Option<Range<u64>>) -> Result<Stream> {
        let got = match &self.kind {
            Kind::Cloud(cloud) => cloud.stream(&self.at(key), range).await,
            Kind::Redis(redis) => redis.stream(&self.at(key), range).await,
        };
        got.map_err(|fault| self.error("read", key, fault))
    }

    /// Whether there is something under a key.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        let found = match &self.kind {
            Kind::Cloud(cloud) => cloud.head(&self.at(key)).await,
            Kind::Redis(redis) => redis.head(&self.at(key)).await,
        };
        match found {
            Ok(()) => Ok(true),
            Err(Fault::NotFound) => Ok(false),
            Err(fault) => Err(self.error("look for", key, fault)),
        }
    }

    /// Writes a key. With [`Mode::New`], what is there already is left and counts as written.
    pub async fn put(&self, key: &Key, bytes: Bytes, mode: Mode) -> Result<()> {
        let put = match &self.kind {
            Kind::Cloud(cloud) => cloud.put(&self.at(key), bytes, mode).await,
            Kind::Redis(redis) => redis.put(&self.at(key), bytes, mode).await,
        };
        self.written(key, put)
    }

    /// Writes a key where nothing is. Whether it was written.
    pub async fn put_new(&self, key: &Key, bytes: Bytes) -> Result<bool> {
        let put = match &self.kind {
            Kind::Cloud(cloud) => cloud.put(&self.at(key), bytes, Mode::New).await,
            Kind::Redis(redis) => redis.put(&self.at(key), bytes, Mode::New).await,
        };
        let written = !matches!(put, Err(Fault::Exists));
        self.written(key, put).map(|()| written)
    }

    /// As [`Backend::put`], from a file, in parts. Nothing is to be seen under the key before all of it is there.
    pub async fn put_file(&self, key: &Key, file: PathBuf, size: u64) -> Result<()> {
        let put = match &self.kind {
            Kind::Cloud(cloud) => cloud.put_file(&self.at(key), file, size).await,
            Kind::Redis(redis) => redis.put_file(&self.at(key), file, size).await,
        };
        self.written(key, put)
    }

    fn written(&self, key: &Key, put: Result<(), Fault>) -> Result<()> {
        match put {
            Ok(()) | Err(Fault::Exists) => Ok(()),
            // The bucket itself, then.
            Err(Fault::NotFound) => {
                let reason = "there is no such bucket: create it, or correct its name".to_owned();
                Err(RemoteError::Config { store: self.store.clone(), reason })
            }
            Err(fault) => Err(self.error("write", key, fault)),
        }
    }
}
