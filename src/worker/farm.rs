//! Files and directories of the host that stand for values, fit to be mounted in a sandbox.
//!
//! A value with the right permission bits is often there already: a file or directory of the system that the store knows
//! as its origin, or an object's own file. Otherwise it is written out once, below the store's farm directory, and kept:
//!
//! ```text
//! farm/NAME/tree        the tree NAME, whole
//! farm/NAME/manifest    what its files' stamps were when it was finished
//! farm/NAME-MODE/tree   the value NAME as a file with the permission bits MODE (octal)
//! ```
//!
//! An entry appears at once, by rename. Its files were checked against their names when they were copied; at its first use by a
//! process the manifest tells whether anything has been changed since, and then it is made again.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gg_ir::{Entry, Name, Tree};
use gg_store::Store;

use crate::error::{Result, at};

/// What is asked for: a tree, or a value as a file with these permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tree(Name),
    File(Name, u32),
}

/// A place that one thread fills while others wait for it: where it is, and how many leases had begun when it was last
/// marked as used. What was used under an earlier lease may have been collected since.
type Slot = Arc<Mutex<Option<(PathBuf, u64)>>>;

/// The farm of one store.
#[derive(Debug)]
pub(crate) struct Farm {
    store: Arc<Store>,
    ready: Mutex<HashMap<Key, Slot>>,
    count: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is whole at every moment, also when a thread that held one panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Farm {
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, ready: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// A tree, decoded.
    pub fn tree(&self, name: &Name) -> Result<Arc<Tree>> {
        Ok(self.store.read_tree(name)?)
    }

    /// A directory that holds exactly this tree.
    pub fn directory(&self, name: &Name) -> Result<PathBuf> {
        self.at(Key::Tree(*name), || match self.store.origin_of_tree(name) {
            Some(origin) => Ok(origin),
            None => self.entry(&name.to_string(), |place| self.write_tree(name, place)),
        })
    }

    /// Whether some file holds this value with these permission bits already.
    pub fn has_file(&self, name: &Name, mode: u32) -> Result<bool> {
        Ok(permissions(&self.store.file(name)?)? == mode)
    }

    /// A file that holds exactly this value, with these permission bits.
    pub fn file(&self, name: &Name, mode: u32) -> Result<PathBuf> {
        let path = self.store.file(name)?;
        if permissions(&path)? == mode {
            return Ok(path);
        }
        self.at(Key::File(*name, mode), || {
            self.entry(&format!("{name}-{mode:o}"), |place| {
                self.store.copy_out(name, place, mode, None)?;
                Ok(())
            })
        })
    }

    fn at(&self, key: Key, make: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
        let slot = lock(&self.ready).entry(key).or_default().clone();
        let mut held = lock(&slot);
        let leases = self.store.leases_begun();
        if let Some((path, marked)) = &mut *held
            && (*marked == leases || self.keep(path))
        {
            *marked = leases;
            return Ok(path.clone());
        }
        let path = make()?;
        *held = Some((path.clone(), leases));
        Ok(path)
    }

    /// Marks what a path belongs to as used; `false` when it is gone. What is not in the farm is nobody's to collect.
    fn keep(&self, path: &Path) -> bool {
        match path.parent() {
            Some(place) if place.starts_with(self.store.farm_dir()) => self.store.keep(place),
            _ => true,
        }
    }

    /// The farm's entry of this name, made with `write` unless it is there and whole.
    fn entry(&self, name: &str, write: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
        let place = self.store.farm_dir().join(name);
        // Once more where another process has put the entry there first, and it is not whole either.
        for _ in 0..3 {
            if self.store.keep(&place) && is_whole(&place) {
                return Ok(place.join("tree"));
            }
            self.make(&place, &write)?;
        }
        Err(at("keep", &place)(io::Error::other("its files change while gg uses them")))
    }

    fn make(&self, place: &Path, write: impl Fn(&Path) -> Result<()>) -> Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        // Named as the store names what it writes, so that what a killed process leaves is swept up with the rest.
        let tmp = self.store.dir().join(format!("tmp/{}-farm-{:p}-{number:x}", std::process::id(), self));
        let made = make_dir(&tmp).map_err(at("create", &tmp)).and_then(|()| {
            write(&tmp.join("tree"))?;
            let manifest = manifest(&tmp.join("tree")).map_err(at("list", &tmp))?;
            fs::write(tmp.join("manifest"), manifest).map_err(at("write", &tmp))?;
            if fs::symlink_metadata(place).is_ok() && !is_whole(place) {
                discard(place, &tmp.with_extension("old"));
            }
            match fs::rename(&tmp, place) {
                // Another process was faster.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => Ok(()),
                renamed => renamed.map_err(at("write", place)),
            }
        });
        let _ = fs::remove_dir_all(&tmp);
        made
    }

    fn write_tree(&self, name: &Name, place: &Path) -> Result<()> {
        make_dir(place).map_err(at("create", place))?;
        for (entry_name, entry) in self.tree(name)?.entries() {
            let path = place.join(entry_name);
            match entry {
                Entry::File { content, mode } => drop(self.store.copy_out(content, &path, *mode, None)?),
                Entry::Symlink(target) => symlink(target, &path).map_err(at("link", &path))?,
                Entry::Tree(below) => self.write_tree(below, &path)?,
            }
        }
        Ok(())
    }
}

fn permissions(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path).map_err(at("read", path))?.permissions().mode() & 0o7777)
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

/// Takes a damaged entry away. Whether that works shows when the new one is put in its place.
fn discard(place: &Path, aside: &Path) {
    if fs::rename(place, aside).is_ok() {
        let _ = fs::remove_dir_all(aside);
    }
}

fn is_whole(place: &Path) -> bool {
    let read = || Ok::<_, io::Error>(fs::read(place.join("manifest"))? == manifest(&place.join("tree"))?.as_bytes());
    read().unwrap_or(false)
}

/// One hash over the stamps of everything below a path. Nobody can change a file without its time of change showing.
fn manifest(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    list(path, Path::new(""), &mut text)?;
    Ok(Name::of_value(text.as_bytes()).to_string())
}

fn list(path: &Path, shown: &Path, text: &mut String) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    note(shown, &meta, text);
    if meta.is_dir() {
        let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            list(&path.join(&name), &shown.join(&name), text)?;
        }
    }
    Ok(())
}

fn note(shown: &Path, meta: &Metadata, text: &mut String) {
    let name = shown.as_os_str().as_bytes().escape_ascii();
    // A directory's own times change when the entry is renamed into place; what it lists is noted by itself.
    let stamp = match meta.is_dir() {
        true => [0; 4],
        false => [meta.ino() as i64, meta.size() as i64, meta.ctime(), meta.ctime_nsec()],
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name} {:o} {stamp:?}", meta.mode());
}

#[cfg(test)]
mod tests {
    use gg_ir::Kind;

    use super::*;

    fn farm() -> (tempfile::TempDir, Arc<Store>, Farm) {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        (dir, store.clone(), Farm::new(store))
    }

    #[test]
    fn a_tree_is_written_out_once_and_again_when_damaged() {
        let (_dir, store, farm) = farm();
        let content = store.put(Kind::Value, b"text").unwrap();
        let mut inner = Tree::new();
        inner.insert("f\n", Entry::File { content, mode: 0o755 });
        let mut tree = Tree::new();
        tree.insert("d", Entry::Tree(store.put_tree(&inner).unwrap()));
        tree.insert("l", Entry::Symlink("d/f".into()));
        let name = store.put_tree(&tree).unwrap();

        let path = farm.directory(&name).unwrap();
        assert_eq!(fs::read(path.join("d/f\n")).unwrap(), b"text");
        assert_eq!(permissions(&path.join("d/f\n")).unwrap(), 0o755);
        assert_eq!(fs::read_link(path.join("l")).unwrap(), Path::new("d/f"));
        assert_eq!(farm.directory(&name).unwrap(), path);

        let inode = |path: &Path| fs::metadata(path.join("d/f\n")).unwrap().ino();
        let before = inode(&path);
        let again = Farm::new(store.clone());
        assert_eq!(inode(&again.directory(&name).unwrap()), before, "a whole entry is kept");

        fs::write(path.join("d/f\n"), b"evil").unwrap();
        let again = Farm::new(store);
        assert_eq!(fs::read(again.directory(&name).unwrap().join("d/f\n")).unwrap(), b"text");
    }

    #[test]
    fn files_have_the_mode_asked_for() {
        let (_dir, store, farm) = farm();
        let name = store.put(Kind::Value, b"#!/bin/sh\n").unwrap();
        for mode in [0o444, 0o644, 0o755, 0o444] {
            let path = farm.file(&name, mode).unwrap();
            assert_eq!(permissions(&path).unwrap(), mode);
            assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        }
        let missing = Name::of_value(b"nowhere");
        assert!(matches!(farm.file(&missing, 0o644), Err(crate::WorkerError::Missing(name)) if name == missing));
    }
}
