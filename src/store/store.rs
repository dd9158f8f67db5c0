//! The store itself: what one process knows of one directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use gg_ir::{DecodeError, Kind, Name, Thunk, Tree};

use crate::error::{Result, StoreError};
use crate::layout::Layout;
use crate::object::{Mark, Seen};
use crate::origin::Origins;
use crate::pack::Packs;
use crate::recent::Recent;
use crate::reflink::Reflinks;
use crate::shards::Shards;
use crate::snapshot::Snapshots;
use crate::stamps::Stamps;
use crate::supply::Supplier;

/// Thunks and trees kept decoded, of each kind. A thunk takes some kilobytes.
const DECODED: usize = 4096;

/// The local store, in one directory, which any number of threads and processes may use at once.
pub struct Store {
    pub(crate) layout: Layout,
    pub(crate) stamps: Stamps,
    pub(crate) origins: Origins,
    pub(crate) snapshots: Mutex<Snapshots>,
    /// How many leases this process has begun. What was marked as used counts for the lease that it was marked in.
    pub(crate) generation: AtomicU64,
    /// In which generation objects and reductions were marked as used last.
    pub(crate) touched: Shards<(Mark, Name), u64>,
    /// How many of them were found missing.
    pub(crate) losses: AtomicU64,
    pub(crate) packs: Packs,
    /// Objects whose files this process has read and found right.
    pub(crate) verified: Shards<Name, Seen>,
    pub(crate) reflinks: Reflinks,
    pub(crate) supplier: Supplier,
    thunks: Recent<Name, Thunk>,
    trees: Recent<Name, Tree>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a directory, which is made when it does not exist.
    ///
    /// # Errors
    /// [`StoreError::Version`] for a store of another version of gg, [`StoreError::NotAStore`] when the directory is
    /// something else, [`StoreError::ReadOnly`] and [`StoreError::Denied`] when it cannot be written.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = Layout::open(dir)?;
        Ok(Self {
            stamps: Stamps::new(&layout),
            origins: Origins::new(&layout),
            snapshots: Mutex::default(),
            generation: AtomicU64::new(0),
            touched: Shards::new(),
            losses: AtomicU64::new(0),
            packs: Packs::default(),
            verified: Shards::new(),
            reflinks: Reflinks::default(),
            supplier: Supplier::default(),
            thunks: Recent::new(DECODED),
            trees: Recent::new(DECODED),
            layout,
        })
    }

    /// The store's directory, without symbolic links.
    pub fn dir(&self) -> &Path {
        self.layout.root()
    }

    /// Where the worker keeps prepared directories, each an entry of its own; see [`Store::keep`].
    pub fn farm_dir(&self) -> PathBuf {
        self.layout.dir("farm")
    }

    /// Where the worker keeps trees written out as directories, each an entry of its own; see [`Store::keep`].
    pub fn trees_dir(&self) -> PathBuf {
        self.layout.dir("trees")
    }

    /// Stores a thunk.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_thunk(&self, thunk: &Thunk) -> Result<Name> {
        self.put(Kind::Thunk, &thunk.encode())
    }

    /// Stores a tree; not what it lists.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_tree(&self, tree: &Tree) -> Result<Name> {
        self.put(Kind::Value, &tree.encode())
    }

    /// Reads a thunk.
    ///
    /// # Errors
    /// As [`Store::read`], and [`StoreError::Decode`] when the object is no thunk.
    pub fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>> {
        self.decoded(name, &self.thunks, Thunk::decode)
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// As [`Store::read`], and [`StoreError::Decode`] when the object is no tree.
    pub fn read_tree(&self, name: &Name) -> Result<Arc<Tree>> {
        self.decoded(name, &self.trees, Tree::decode)
    }

    fn decoded<T>(
        &self,
        name: &Name,
        cache: &Recent<Name, T>,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<Arc<T>> {
        if let Some(known) = cache.get(name) {
            // Others may need the object while this lease lasts.
            self.touch(name);
            return Ok(known);
        }
        let bytes = self.read(name)?;
        let decoded = decode(&bytes).map_err(|source| StoreError::Decode { name: *name, source })?;
        Ok(cache.insert(*name, decoded))
    }

    /// Writes the stamp cache to disk, merged with what other processes have written there. Worth doing at the end of a
    /// build; without it the next one only hashes more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_stamps(&self) -> Result<()> {
        self.stamps.save(&self.layout)
    }

    /// Forgets everything remembered about what is on disk.
    pub(crate) fn forget_all(&self) {
        self.unmark_all();
        self.packs.forget_all();
        self.verified.clear();
        self.thunks.clear();
        self.trees.clear();
        crate::shards::lock(&self.snapshots).clear();
        self.origins.clear();
    }
}
