//! Keeping the scratch space from filling up: what was not used for longest goes first.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use gg_store::{Result, Store};

/// So much is kept free for outputs and for what a request brings: a toolchain is some 200 MB.
const RESERVE: u64 = 512 << 20;
/// With a limit of one's own, the store is measured after so much has come in: measuring lists all of it.
const UNMEASURED: u64 = 64 << 20;

/// What is known of the scratch space.
#[derive(Debug)]
pub(super) struct Space {
    limit: Option<u64>,
    /// Bytes that have come in since the store was measured.
    grown: AtomicU64,
}

/// The file system's bytes: all, and those free.
fn file_system(path: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some((found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize))
}

/// How many bytes are taken where the store is.
pub(super) fn taken(store: &Store) -> u64 {
    file_system(store.dir()).map_or(0, |(all, free)| all.saturating_sub(free))
}

impl Space {
    /// A store that may take so much; by default, all but a reserve of its file system.
    pub fn new(limit: Option<u64>) -> Self {
        // What an earlier process has left has not been measured.
        Self { limit, grown: AtomicU64::new(u64::MAX / 2) }
    }

    /// So many bytes have come in.
    pub fn grew(&self, bytes: u64) {
        self.grown.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Makes room where it has become scarce. To be called before the request takes its lease, or nothing can go.
    ///
    /// # Errors
    /// As [`Store::gc`].
    pub fn tidy(&self, store: &Store) -> Result<()> {
        if let Some(limit) = self.limit
            && self.grown.load(Ordering::Relaxed) >= UNMEASURED.min(limit / 8)
        {
            // Down to less than the limit: the next requests bring something too.
            let report = store.gc(limit - limit / 8, false)?;
            self.grown.store(0, Ordering::Relaxed);
            if report.after > limit {
                // All of it is in use; nothing to be done.
                return Ok(());
            }
        }
        match file_system(store.dir()) {
            Some((all, free)) if free < RESERVE.min(all / 4) => self.free(store, 2 * RESERVE.min(all / 4) - free),
            _ => Ok(()),
        }
    }

    /// Frees so many bytes, as far as that is possible.
    ///
    /// # Errors
    /// As [`Store::gc`].
    pub fn free(&self, store: &Store, bytes: u64) -> Result<()> {
        let held = store.gc(u64::MAX, true)?.before;
        store.gc(held.saturating_sub(bytes), false).map(drop)
    }
}
