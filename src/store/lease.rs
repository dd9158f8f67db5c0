//! Leases: a running build holds one, and garbage collection spares what is used since.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Result, at};
use crate::layout::{Layout, make_dir, random};
use crate::stamp::Stamp;
use crate::store::Store;

/// Held while a build runs. As long as it is, a garbage collection of any process deletes nothing that was written or
/// used since it began. It ends when it is dropped, and when the process dies however it does.
#[derive(Debug)]
pub struct Lease {
    /// Its lock is what says that the process lives.
    _file: File,
    path: PathBuf,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The lock goes with the file; a file left behind is swept up by the next garbage collection.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Begins a lease.
    ///
    /// # Errors
    /// When its file cannot be created or locked.
    pub fn lease(&self) -> Result<Lease> {
        let directory = self.layout.dir("leases");
        loop {
            let path = directory.join(format!("{}-{:016x}", std::process::id(), random()));
            let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let file = match create() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    make_dir(&directory).and_then(|()| create())
                }
                created => created,
            };
            let file = file.map_err(at("create the lease", &path))?;
            flock(&file, FlockOperation::LockExclusive).map_err(at("lock", &path))?;
            // A garbage collection that looked between these two calls has taken it for a dead one.
            if file.metadata().map_err(at("read", &path))?.nlink() == 0 {
                continue;
            }
            // What was marked before the lease began must be marked again.
            self.generation.fetch_add(1, Ordering::SeqCst);
            return Ok(Lease { _file: file, path });
        }
    }

    /// How many leases this process has begun. What was marked as used before the last of them began is not protected by
    /// it.
    pub fn leases_begun(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

/// The leases of living processes.
pub(crate) struct Leases {
    /// How many there are.
    pub live: usize,
    /// When the oldest began, nanoseconds since 1970.
    pub oldest: Option<i64>,
    /// How many were left behind by processes that died.
    pub dead: usize,
}

/// Looks through the leases; removes the dead ones if told to.
pub(crate) fn survey(layout: &Layout, remove: bool) -> Result<Leases> {
    let directory = layout.dir("leases");
    let mut leases = Leases { live: 0, oldest: None, dead: 0 };
    let listed = match fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(leases),
        listed => listed.map_err(at("list", &directory))?,
    };
    for entry in listed.flatten() {
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            leases.dead += 1;
            if remove {
                let _ = fs::remove_file(&path);
            }
        } else {
            leases.live += 1;
            let began = Stamp::of_file(&file).map_err(at("read", &path))?.mtime_ns;
            leases.oldest = Some(leases.oldest.map_or(began, |oldest| oldest.min(began)));
        }
    }
    Ok(leases)
}
