//! Files and directories of the host that stand for values, fit to be mounted in a sandbox.
//!
//! A value with the right permission bits is often there already: a file or directory of the system that the store knows
//! as its origin, or an object's own file. Otherwise it is written out once, below the store's farm directory, and kept:
//!
//! ```text
//! farm/NAME/tree        the tree NAME, whole
//! farm/NAME/manifest    what its files' stamps were when it was finished
//! farm/NAME-thin/tree   the tree NAME, where large files are empty
//! farm/NAME-thin/over   what is to be mounted on those
//! farm/NAME-MODE/tree   the value NAME as a file with the permission bits MODE (octal)
//! ```
//!
//! A compiler is some hundred megabytes, most of it in a few programs and libraries: in a thin tree these are not copied.
//!
//! An entry appears at once, by rename. Its files were checked against their names when they were copied; at its first use by a
//! process the manifest tells whether anything has been changed since, and then it is made again.

use std::collections::HashMap;
use std::ffi::OsString;
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

use crate::codec::{Reader, Writer};
use crate::error::{Result, at};

/// Files longer than this are mounted over a thin tree: a mount costs each sandbox about 30 us, as much as copying 50 kB,
/// and a copy is made once for many sandboxes. Each use looks whether the file that is mounted is still what it was.
const LARGE: u64 = 4 << 20;

/// What is asked for: a tree, or a value as a file with these permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Tree(Name),
    File(Name, u32),
}

/// A place that one thread fills while others wait for it: where it is, and how many leases had begun when it was last
/// marked as used. What was used under an earlier lease may have been collected since.
type Slot = Arc<Mutex<Option<(PathBuf, u64)>>>;

/// A file that is mounted over a place in a thin tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// The place, relative to the tree.
    pub place: OsString,
    pub content: Name,
    /// The permission bits.
    pub mode: u32,
}

/// The farm of one store.
#[derive(Debug)]
pub(crate) struct Farm {
    store: Arc<Store>,
    /// Whether mounts can be put over one another, so that trees may be thin.
    thin: bool,
    ready: Mutex<HashMap<Key, Slot>>,
    over: Mutex<HashMap<PathBuf, Arc<[Over]>>>,
    count: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is whole at every moment, also when a thread that held one panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Farm {
    pub fn new(store: Arc<Store>, thin: bool) -> Self {
        Self { store, thin, ready: Mutex::default(), over: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// A tree, decoded.
    pub fn tree(&self, name: &Name) -> Result<Arc<Tree>> {
        Ok(self.store.read_tree(name)?)
    }

    /// A directory that holds exactly this tree, once the rest has been mounted over it.
    pub fn directory(&self, name: &Name) -> Result<(PathBuf, Arc<[Over]>)> {
        let path = self.at(Key::Tree(*name), || match self.store.origin_of_tree(name) {
            Some(origin) => Ok(origin),
            None if self.thin => self.entry(&format!("{name}-thin"), |place| {
                let mut over = Vec::new();
                self.write_thin(name, place, Path::new(""), &mut over)?;
                let list = place.with_file_name("over");
                fs::write(&list, encode(&over)).map_err(at("write", &list))
            }),
            None => self.entry(&name.to_string(), |place| self.write_tree(name, place)),
        })?;
        let over = self.over(&path)?;
        Ok((path, over))
    }

    /// What is to be mounted over the tree at a path.
    fn over(&self, path: &Path) -> Result<Arc<[Over]>> {
        if !self.thin || !path.starts_with(self.store.farm_dir()) {
            return Ok(Arc::default());
        }
        if let Some(known) = lock(&self.over).get(path) {
            return Ok(known.clone());
        }
        let list = path.with_file_name("over");
        let over: Arc<[Over]> = fs::read(&list).and_then(|bytes| decode(&bytes)).map_err(at("read", &list))?.into();
        lock(&self.over).insert(path.to_owned(), over.clone());
        Ok(over)
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
            let manifest = manifest(&tmp).map_err(at("list", &tmp))?;
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

    /// Writes a tree out but for large files; they are left empty and added to `over`.
    fn write_thin(&self, name: &Name, place: &Path, shown: &Path, over: &mut Vec<Over>) -> Result<()> {
        make_dir(place).map_err(at("create", place))?;
        for (entry_name, entry) in self.tree(name)?.entries() {
            let (path, shown) = (place.join(entry_name), shown.join(entry_name));
            match entry {
                Entry::File { content, mode } if content.length() > LARGE => {
                    fs::write(&path, b"").map_err(at("create", &path))?;
                    over.push(Over { place: shown.into(), content: *content, mode: *mode });
                }
                Entry::File { content, mode } => drop(self.store.copy_out(content, &path, *mode, None)?),
                Entry::Symlink(target) => symlink(target, &path).map_err(at("link", &path))?,
                Entry::Tree(below) => self.write_thin(below, &path, &shown, over)?,
            }
        }
        Ok(())
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
    let read = || Ok::<_, io::Error>(fs::read(place.join("manifest"))? == manifest(place)?.as_bytes());
    read().unwrap_or(false)
}

/// One hash over the stamps of everything in an entry. Nobody can change a file without its time of change showing.
fn manifest(entry: &Path) -> io::Result<String> {
    let mut text = String::new();
    list(&entry.join("tree"), Path::new(""), &mut text)?;
    let over = entry.join("over");
    if over.exists() {
        list(&over, Path::new("over"), &mut text)?;
    }
    Ok(Name::of_value(text.as_bytes()).to_string())
}

fn encode(over: &[Over]) -> Vec<u8> {
    let mut w = Writer::default();
    w.list(over.iter(), |w, Over { place, content, mode }| {
        w.text(place);
        w.text(content.to_string());
        w.small(*mode);
    });
    w.0
}

fn decode(bytes: &[u8]) -> io::Result<Vec<Over>> {
    Reader(bytes).list(|r| {
        let (place, content, mode) = (r.text()?, r.text()?, r.small()?);
        let Some(content) = content.to_str().and_then(|name| name.parse().ok()) else { return r.invalid() };
        Ok(Over { place, content, mode })
    })
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
        (dir, store.clone(), Farm::new(store, false))
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

        let path = farm.directory(&name).unwrap().0;
        assert_eq!(fs::read(path.join("d/f\n")).unwrap(), b"text");
        assert_eq!(permissions(&path.join("d/f\n")).unwrap(), 0o755);
        assert_eq!(fs::read_link(path.join("l")).unwrap(), Path::new("d/f"));
        assert_eq!(farm.directory(&name).unwrap().0, path);

        let inode = |path: &Path| fs::metadata(path.join("d/f\n")).unwrap().ino();
        let before = inode(&path);
        let again = Farm::new(store.clone(), false);
        assert_eq!(inode(&again.directory(&name).unwrap().0), before, "a whole entry is kept");

        fs::write(path.join("d/f\n"), b"evil").unwrap();
        let again = Farm::new(store, false);
        assert_eq!(fs::read(again.directory(&name).unwrap().0.join("d/f\n")).unwrap(), b"text");
    }

    #[test]
    fn what_is_large_is_not_copied_into_a_thin_tree() {
        let (_dir, store, _) = farm();
        let large = vec![7; LARGE as usize + 1];
        let content = store.put(Kind::Value, &large).unwrap();
        let mut below = Tree::new();
        below.insert("lib\n", Entry::File { content, mode: 0o755 });
        below.insert("small", Entry::File { content: store.put(Kind::Value, b"text").unwrap(), mode: 0o644 });
        let mut tree = Tree::new();
        tree.insert("d", Entry::Tree(store.put_tree(&below).unwrap()));
        let name = store.put_tree(&tree).unwrap();

        let thin = Farm::new(store.clone(), true);
        let (path, over) = thin.directory(&name).unwrap();
        assert_eq!(*over, [Over { place: "d/lib\n".into(), content, mode: 0o755 }]);
        assert_eq!(fs::read(path.join("d/lib\n")).unwrap(), b"");
        assert_eq!(fs::read(path.join("d/small")).unwrap(), b"text");

        // The list is as trustworthy as the files.
        fs::write(path.with_file_name("over"), encode(&[])).unwrap();
        let (again, over) = Farm::new(store, true).directory(&name).unwrap();
        assert_eq!((again, over.len()), (path, 1));
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
