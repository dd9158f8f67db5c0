//! Garbage collection: the least recently used goes first, what a running build uses never goes.
//!
//! # How nothing is lost that a build needs
//!
//! A build holds a [`crate::Lease`] and marks what it finds as used, by the file's time of access. The collection spares
//! what was written or used since the oldest lease began, or since the collection itself did. To close the gap between
//! looking and deleting, an object is first moved to `trash`, looked at again there, and put back when it has been
//! marked meanwhile; and whoever misses an object looks in `trash` and takes it back.
//!
//! A pack goes as a whole, by its own last use, which is that of any of its objects; only its data is moved, so that
//! whoever misses one of them still finds in the index where it was. One that a process is writing is locked and
//! stays.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gg_ir::Name;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Result, at};
use crate::lease;
use crate::object::mark_used;
use crate::pack::{self, PackId};
use crate::stamp::{Stamp, last_use, now_ns};
use crate::store::Store;

/// Spared beyond what is certain, for clocks that tick: one tick is 10 ms at most.
const TICK_NS: i64 = 20_000_000;
/// A temporary file that was not written for so long belongs to nobody.
const STALE_NS: i64 = 3_600_000_000_000;

/// What a garbage collection did, or would do. Sizes are in bytes as they are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// The size of everything that counts: objects, reductions, kept directories.
    pub before: u64,
    /// The same, afterwards.
    pub after: u64,
    /// Objects deleted.
    pub deleted_objects: u64,
    /// Reductions deleted.
    pub deleted_reductions: u64,
    /// Directories of the worker deleted.
    pub deleted_directories: u64,
    /// Temporary files deleted that dead processes had left behind.
    pub deleted_temporaries: u64,
    /// Damaged files deleted from the quarantine.
    pub deleted_quarantined: u64,
    /// Leases removed that dead processes had left behind.
    pub dead_leases: u64,
    /// Builds that are running.
    pub live_leases: u64,
    /// Things that would have gone for their age and size, and stayed because a running build uses them.
    pub kept_in_use: u64,
}

/// One thing that can be deleted.
struct Candidate {
    path: PathBuf,
    kind: Class,
    size: u64,
    used: i64,
    /// How many objects, reductions or directories go with it.
    count: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Object,
    Pack,
    Reduction,
    Directory,
}

impl Class {
    fn last_use(self, meta: &Metadata) -> i64 {
        if self == Class::Directory { Stamp::from(meta).mtime_ns } else { last_use(meta) }
    }
}

impl Candidate {
    fn pack(&self) -> Option<pack::Held> {
        (self.kind == Class::Pack).then(|| pack::Held::at(&self.path))?
    }

    /// Whether no process writes it.
    fn is_free(&self) -> bool {
        self.pack().is_none_or(|pack| pack.lock().is_some())
    }
}

/// The size on disk. Some file systems do not say, and then the length has to do.
fn size(meta: &Metadata) -> u64 {
    if meta.blocks() == 0 { meta.len() } else { meta.blocks() * 512 }
}

/// The size of a directory and all below it; links are not followed.
fn size_below(path: &Path) -> u64 {
    let Ok(listed) = fs::read_dir(path) else { return 0 };
    let one = |entry: fs::DirEntry| {
        let Ok(meta) = entry.metadata() else { return 0 };
        size(&meta) + if meta.is_dir() { size_below(&entry.path()) } else { 0 }
    };
    listed.flatten().map(one).sum()
}

/// The entries of a directory, none when it is not there.
pub(crate) fn list(path: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(path) {
        Ok(listed) => Ok(listed.flatten().collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at("list", path)(error)),
    }
}

/// Removes a file, or a directory with all below it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

impl Store {
    /// Marks a directory under `farm` or `trees` as used; `false` when it is not there. A garbage collection deletes
    /// such directories whole, by their last use, under the same protection as objects.
    pub fn keep(&self, directory: &Path) -> bool {
        // By the time of modification: merely listing a directory is an access.
        let mark = || File::open(directory).and_then(|opened| opened.set_modified(SystemTime::now())).is_ok();
        mark() || self.trash(directory).is_some_and(|trash| fs::rename(trash, directory).is_ok()) && mark()
    }

    /// Where a kept directory goes on its way out. Two of the same name in `farm` and `trees` must not be mixed up.
    fn trash(&self, directory: &Path) -> Option<PathBuf> {
        let mut name = directory.parent()?.file_name()?.to_owned();
        name.push("-");
        name.push(directory.file_name()?);
        Some(self.layout.dir("trash").join(name))
    }

    /// Deletes the least recently used until the store takes no more than `max_size` bytes on disk, or nothing is left
    /// that no running build uses. Always removes what dead processes left behind, and the quarantine. With `dry_run`
    /// only says what it would do.
    ///
    /// # Errors
    /// When the store cannot be listed. What cannot be deleted is left.
    pub fn gc(&self, max_size: u64, dry_run: bool) -> Result<GcReport> {
        let (_lock, began) = self.lock_gc()?;
        // What this process has written is protected by a lease, if it is.
        self.packs.close();
        let leases = lease::survey(&self.layout, !dry_run)?;
        let spared_since = leases.oldest.unwrap_or(began).min(began) - TICK_NS;
        let mut report =
            GcReport { dead_leases: leases.dead as u64, live_leases: leases.live as u64, ..GcReport::default() };
        self.sweep(spared_since, leases.live > 0, dry_run, &mut report)?;
        let mut candidates = self.candidates()?;
        candidates.sort_unstable_by_key(|candidate| candidate.used);
        report.before = candidates.iter().map(|candidate| candidate.size).sum();
        report.after = report.before;
        for candidate in candidates {
            if report.after <= max_size {
                break;
            }
            let deleted = || if dry_run { candidate.is_free() } else { self.delete(&candidate, spared_since) };
            if candidate.used >= spared_since || !deleted() {
                report.kept_in_use += 1;
                continue;
            }
            report.after = report.after.saturating_sub(candidate.size);
            match candidate.kind {
                Class::Object | Class::Pack => report.deleted_objects += candidate.count,
                Class::Reduction => report.deleted_reductions += candidate.count,
                Class::Directory => report.deleted_directories += candidate.count,
            }
        }
        if !dry_run {
            self.unmark_all();
            // The log only stays longer than need be when this fails.
            let _ = self.origins.prune();
        }
        Ok(report)
    }

    /// Waits for its turn; with the lock comes the time by the file system's clock.
    fn lock_gc(&self) -> Result<(File, i64)> {
        let path = self.layout.dir("gc.lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(at("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).map_err(at("lock", &path))?;
        mark_used(&path).map_err(at("write", &path))?;
        let began = last_use(&file.metadata().map_err(at("read", &path))?);
        Ok((file, began))
    }

    fn candidates(&self) -> Result<Vec<Candidate>> {
        let mut all = Vec::new();
        for pack in pack::all(&self.layout)? {
            let Ok(meta) = fs::symlink_metadata(&pack.path) else { continue };
            let size = size(&meta) + fs::symlink_metadata(&pack.index).map_or(0, |meta| self::size(&meta));
            let (kind, count) = (Class::Pack, pack.objects());
            all.push(Candidate { used: kind.last_use(&meta), path: pack.path, kind, size, count });
        }
        let mut add = |entry: &fs::DirEntry, kind: Class| {
            // What vanishes meanwhile was not ours to delete.
            if let Ok(meta) = entry.metadata() {
                let path = entry.path();
                let size = size(&meta) + if meta.is_dir() { size_below(&path) } else { 0 };
                all.push(Candidate { path, kind, size, used: kind.last_use(&meta), count: 1 });
            }
        };
        let records = ["reductions", "failures"].map(|directory| (directory, Class::Reduction));
        for (directory, kind) in [("objects", Class::Object)].into_iter().chain(records) {
            for spread in list(&self.layout.dir(directory))? {
                list(&spread.path())?.iter().for_each(|entry| add(entry, kind));
            }
        }
        for directory in ["farm", "trees"] {
            list(&self.layout.dir(directory))?.iter().for_each(|entry| add(entry, Class::Directory));
        }
        Ok(all)
    }

    /// Deletes one thing, unless it has been marked as used meanwhile; whether it is gone.
    fn delete(&self, candidate: &Candidate, spared_since: i64) -> bool {
        let unused =
            |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| candidate.kind.last_use(&meta) < spared_since);
        let lock = candidate.pack().map(|pack| (pack.id, pack.lock()));
        if let Some((_, None)) = lock {
            return false;
        }
        if candidate.kind == Class::Reduction {
            // Whoever has read it does not need the file any more.
            return unused(&candidate.path) && fs::remove_file(&candidate.path).is_ok();
        }
        let trash = match candidate.kind {
            Class::Directory => self.trash(&candidate.path),
            _ => candidate.path.file_name().map(|name| self.layout.dir("trash").join(name)),
        };
        let Some(trash) = trash else { return false };
        if self.layout.install(&candidate.path, &trash).is_err() {
            return false;
        }
        if unused(&trash) {
            // Not there any more: somebody has just taken it back.
            let gone = remove(&trash).is_ok();
            if let (true, Some((id, _))) = (gone, lock) {
                let _ = fs::remove_file(self.layout.pack(&id.index()));
                self.packs.forget(&self.layout, id);
            }
            return gone;
        }
        let _ = fs::rename(&trash, &candidate.path);
        false
    }

    /// Removes what was left behind.
    fn sweep(&self, spared_since: i64, builds: bool, dry_run: bool, report: &mut GcReport) -> Result<()> {
        let gone = |path: &Path| dry_run || remove(path).is_ok();
        for entry in list(&self.layout.dir("quarantine"))? {
            report.deleted_quarantined += u64::from(gone(&entry.path()));
        }
        let oldest = if builds { spared_since.min(now_ns() - STALE_NS) } else { now_ns() - STALE_NS };
        let mut alive = HashSet::new();
        for entry in list(&self.layout.dir("tmp"))? {
            let Ok(meta) = entry.metadata() else { continue };
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.split_once('-')?.0.parse::<u32>().ok());
            let lives = owner.is_some_and(|owner| {
                alive.contains(&owner) || Path::new(&format!("/proc/{owner}")).exists() && alive.insert(owner)
            });
            if last_use(&meta) < oldest && !lives {
                report.deleted_temporaries += u64::from(gone(&entry.path()));
            }
        }
        // A collection that was killed has left what it was deleting.
        for entry in list(&self.layout.dir("trash"))? {
            let Ok(meta) = entry.metadata() else { continue };
            let file = entry.file_name();
            let place = file.to_str().and_then(|name| match name.parse::<Name>() {
                Ok(name) => Some(self.layout.object(&name)),
                Err(_) => PackId::of_data(name).map(|id| self.layout.pack(&id.data())),
            });
            match place {
                _ if dry_run => {}
                Some(place) if last_use(&meta) >= spared_since => {
                    let _ = self.layout.install(&entry.path(), &place);
                }
                _ => {
                    let _ = remove(&entry.path());
                }
            }
        }
        if dry_run { Ok(()) } else { pack::sweep(&self.layout) }
    }
}
