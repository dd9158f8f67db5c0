//! An open remote store.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use gg_ir::{Name, Reduction};
use tokio::sync::Semaphore;

use super::backend::{Backend, Mode};
use super::counters::Counters;
use super::credentials::Credentials;
use super::error::{RemoteError, Result};
use super::key::Key;
use super::names::look_up_without_plugins;
use super::pack::{self, Index, PackId};
use super::uri::RemoteUri;
use crate::error::at;
use crate::shards::lock;
use crate::{Store, StoreError, reductions};

/// Larger objects are compressed into a file instead of memory.
const IN_MEMORY: u64 = 8 << 20;
/// Memory for what is under way, in KiB.
const MEMORY_KIB: usize = 96 << 10;

/// A remote store, to be used by any number of tasks at once. Cheap to clone.
///
/// Its methods need a tokio runtime with time and I/O; what blocks (disk, compression, hashing) runs on the runtime's
/// blocking threads.
#[derive(Clone)]
pub struct Remote(pub(super) Arc<Inner>);

pub(super) struct Inner {
    digest: String,
    pub backend: Backend,
    /// Bounds the memory that transfers take.
    pub memory: Semaphore,
    /// What is being fetched, so that nothing is fetched twice at the same time.
    pub flights: Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>,
    /// Thunks whose records in the store were found damaged, and are written over.
    damaged: Mutex<HashSet<Name>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.0.backend.store()).finish()
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(RemoteError::Interrupted))
}

/// A pack that has been uploaded.
#[derive(Clone, Debug)]
pub(super) struct Uploaded {
    pub id: PackId,
    pub size: u64,
    pub index: Arc<Index>,
}

/// An object or a pack, compressed and ready to be sent.
pub(super) enum Parcel {
    Memory(Bytes),
    File(crate::Staged, u64),
}

impl Remote {
    /// Opens a store, without connecting to it. Credentials come from the environment:
    ///
    /// - S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; web identity
    ///   (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`); a container's or an instance's metadata service. Profiles are
    ///   not read: see [`Remote::open_with`]. The region is the URI's, else `AWS_REGION`, else `AWS_DEFAULT_REGION`, else
    ///   us-east-1.
    /// - GCS: `GOOGLE_APPLICATION_CREDENTIALS`, the user's application default credentials, or the metadata service.
    /// - Azure: `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_KEY`, or a client (`AZURE_CLIENT_ID` ...), or a managed
    ///   identity.
    /// - Redis: `GG_REDIS_PASSWORD`, where the URI has none.
    ///
    /// # Errors
    /// [`RemoteError::Config`] when something needed is missing or makes no sense.
    pub fn open(uri: &RemoteUri) -> Result<Self> {
        Self::open_with(uri, None)
    }

    /// As [`Remote::open`], with S3's keys from somewhere else: the profiles in `~/.aws`, single sign-on.
    ///
    /// # Errors
    /// As [`Remote::open`].
    pub fn open_with(uri: &RemoteUri, credentials: Option<Arc<dyn Credentials>>) -> Result<Self> {
        look_up_without_plugins();
        Ok(Self(Arc::new(Inner {
            digest: uri.digest(),
            backend: Backend::open(uri, credentials)?,
            memory: Semaphore::new(MEMORY_KIB),
            flights: Mutex::default(),
            damaged: Mutex::default(),
        })))
    }

    /// The store's URI, without credentials: what a worker is told.
    pub fn uri(&self) -> &str {
        self.0.backend.store()
    }

    /// What was asked of the store so far, and how many bytes were moved.
    pub fn counters(&self) -> Counters {
        self.0.backend.meter.read()
    }

    /// The name of the folder for what is remembered of this store.
    pub(super) fn digest(&self) -> &str {
        &self.0.digest
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// Memory for a transfer of so many bytes, held until it is dropped.
    pub(super) async fn memory(&self, bytes: u64) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let kib = (bytes >> 10).clamp(1, MEMORY_KIB as u64 / 2) as u32;
        self.0.memory.acquire_many(kib).await.map_err(|_| RemoteError::Interrupted)
    }

    /// Uploads one object of the local store to `objects/NAME`, over whatever is there: what is there cannot be anything
    /// else unless it is damaged.
    ///
    /// # Errors
    /// [`RemoteError::Local`] when the local store does not have it; [`RemoteError::Denied`],
    /// [`RemoteError::Unreachable`], [`RemoteError::Service`].
    pub async fn put_object(&self, store: &Arc<Store>, name: &Name) -> Result<()> {
        let _memory = self.memory(2 * name.length().min(IN_MEMORY)).await?;
        let (from, name) = (store.clone(), *name);
        let parcel = blocking(move || Ok(compressed(&from, &name)?)).await?;
        self.send(&Key::Object(name), parcel, Mode::Over).await
    }

    /// Whether `objects/NAME` is there.
    ///
    /// # Errors
    /// As [`Remote::put_object`].
    pub async fn has_object(&self, name: &Name) -> Result<bool> {
        self.backend().exists(&Key::Object(*name)).await
    }

    pub(super) async fn send(&self, key: &Key, parcel: Parcel, mode: Mode) -> Result<()> {
        match parcel {
            Parcel::Memory(bytes) => self.backend().put(key, bytes, mode).await,
            Parcel::File(staged, size) => self.backend().put_file(key, staged.path.clone(), size).await,
        }
    }

    /// Uploads objects of the local store in one pack.
    ///
    /// # Errors
    /// As [`Remote::put_object`].
    pub async fn put_pack(&self, store: &Arc<Store>, names: &[Name]) -> Result<PackId> {
        Ok(self.upload_pack(store, names.to_vec(), Mode::New).await?.id)
    }

    pub(super) async fn upload_pack(&self, store: &Arc<Store>, names: Vec<Name>, mode: Mode) -> Result<Uploaded> {
        let raw = names.iter().map(Name::length).fold(0, u64::saturating_add);
        let _memory = self.memory(2 * raw.min(IN_MEMORY)).await?;
        let from = store.clone();
        let (parcel, uploaded) = blocking(move || Ok(packed(&from, &names, raw)?)).await?;
        let key = Key::Pack(uploaded.id);
        // What is large may well be there, from another machine; asking costs less than sending.
        if matches!(parcel, Parcel::File(..)) && mode == Mode::New && self.backend().exists(&key).await? {
            return Ok(uploaded);
        }
        self.send(&key, parcel, mode).await?;
        Ok(uploaded)
    }

    /// What the thunk evaluated to, if somebody has recorded it here. That its outputs are still there is not checked. A
    /// damaged record counts as none.
    ///
    /// # Errors
    /// [`RemoteError::Denied`], [`RemoteError::Unreachable`], [`RemoteError::Service`].
    pub async fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>> {
        let bytes = match self.backend().get(&Key::Reduction(*thunk), None).await {
            Err(RemoteError::Missing { .. }) => return Ok(None),
            got => got?,
        };
        let reduction = reductions::unseal(thunk, &bytes);
        if reduction.is_none() {
            lock(&self.0.damaged).insert(*thunk);
        }
        Ok(reduction)
    }

    /// Records what a thunk evaluated to, once all its outputs are in this store. Where a record is there already, it
    /// stays.
    ///
    /// # Errors
    /// As [`Remote::reduction`].
    pub async fn record(&self, reduction: &Reduction) -> Result<()> {
        let damaged = lock(&self.0.damaged).remove(&reduction.thunk);
        self.write_record(reduction, if damaged { Mode::Over } else { Mode::New }).await
    }

    /// As [`Remote::record`], in place of a record that has turned out to be of no use: its outputs are gone.
    ///
    /// # Errors
    /// As [`Remote::reduction`].
    pub async fn replace(&self, reduction: &Reduction) -> Result<()> {
        self.write_record(reduction, Mode::Over).await
    }

    async fn write_record(&self, reduction: &Reduction, mode: Mode) -> Result<()> {
        let record = reductions::seal(reduction.encode());
        self.backend().put(&Key::Reduction(reduction.thunk), record.into(), mode).await
    }
}

/// Reads an object into memory and compresses it, or, when it is large, compresses it into a file.
fn compressed(store: &Store, name: &Name) -> Result<Parcel, StoreError> {
    let failed = |error: std::io::Error| StoreError::io("compress", store.dir(), error);
    if name.length() <= IN_MEMORY {
        return Ok(Parcel::Memory(pack::compress(&store.read(name)?).map_err(failed)?.into()));
    }
    let (mut file, path) = open(store, name)?;
    let mut staged = store.stage()?;
    let written = pack::compress_file(&mut file, name.kind(), name.length(), &mut staged.file);
    let found = written.map_err(at("compress", &path))?;
    same(name, found, &path)?;
    let size = staged.file.metadata().map_err(at("read", &staged.path))?.len();
    Ok(Parcel::File(staged, size))
}

fn open(store: &Store, name: &Name) -> Result<(std::fs::File, std::path::PathBuf), StoreError> {
    let path = store.file(name)?;
    let file = std::fs::File::open(&path).map_err(at("open", &path))?;
    Ok((file, path))
}

/// What was read from a file that stands in for an object was the object.
fn same(name: &Name, found: Name, path: &std::path::Path) -> Result<(), StoreError> {
    if found == *name { Ok(()) } else { Err(StoreError::Changing { path: path.to_owned() }) }
}

/// Packs objects, in memory or, when they are many, in a file.
fn packed(store: &Store, names: &[Name], raw: u64) -> Result<(Parcel, Uploaded), StoreError> {
    if raw <= IN_MEMORY {
        let done = fill(pack::Writer::new(Vec::new(), pack::SMALL_LEVEL), store, names)?;
        let uploaded = Uploaded { id: done.id, size: done.size, index: Arc::new(done.index) };
        return Ok((Parcel::Memory(done.out.into()), uploaded));
    }
    let staged = store.stage()?;
    let uploaded = {
        let out = std::io::BufWriter::with_capacity(1 << 20, &staged.file);
        let done = fill(pack::Writer::new(out, pack::LARGE_LEVEL), store, names)?;
        Uploaded { id: done.id, size: done.size, index: Arc::new(done.index) }
    };
    Ok((Parcel::File(staged, uploaded.size), uploaded))
}

fn fill<W: Write>(mut writer: pack::Writer<W>, store: &Store, names: &[Name]) -> Result<pack::Written<W>, StoreError> {
    let failed = |error: std::io::Error| StoreError::io("write a pack in", store.dir(), error);
    for name in names {
        if name.length() <= pack::BLOCK {
            writer.add(name, &store.read(name)?).map_err(failed)?;
        } else {
            let (mut file, path) = open(store, name)?;
            let found = writer.add_file(name, &mut file).map_err(failed)?;
            same(name, found, &path)?;
        }
    }
    writer.finish().map_err(failed)
}
