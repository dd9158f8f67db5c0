//! Snapshots: directories of the system as trees, whose files stay where they are.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use gg_ir::{Entry, Name, Tree};

use crate::error::{Result, StoreError, at};
use crate::origin::Note;
use crate::shards::lock;
use crate::stamp::Stamp;
use crate::store::Store;

/// No real directory is nested deeper.
const DEEPEST: usize = 200;

/// What is known of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    name: Name,
    /// Whether the directory holds nothing that the tree does not list, and can stand in for it.
    exact: bool,
}

/// The directories looked through by this process, and in which lease: a later one looks again, which marks the trees
/// as used.
pub(crate) type Snapshots = HashMap<PathBuf, (u64, Snapshot)>;

impl Store {
    /// The tree of a whole directory of the system. The tree objects are stored, the files are only hashed and noted as
    /// the origins of their values. Files that cannot be read, sockets, pipes and devices are left out.
    ///
    /// A directory is looked through once per process and lease; what changes in it later is not seen. Files whose stamps are
    /// known are not read.
    ///
    /// # Errors
    /// When the directory itself cannot be read, or a file in it keeps changing; and as [`Store::put`].
    pub fn snapshot(&self, dir: &Path) -> Result<Name> {
        Ok(self.snapshot_of(dir)?.name)
    }

    /// The same without what `leaves_out` says of a path seen from the directory, and without what is below that. It is looked
    /// through at each call; what becomes of it is for the caller to remember.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn snapshot_without(&self, dir: &Path, leaves_out: &dyn Fn(&Path) -> bool) -> Result<Name> {
        let dir = std::path::absolute(dir).map_err(at("resolve", dir))?;
        let generation = self.generation.load(Ordering::SeqCst);
        let choice = Choice { root: &dir, leaves_out };
        Ok(self.walked(&dir, generation, Some(choice))?.name)
    }

    /// Whether the directory holds exactly this tree.
    pub(crate) fn is_exactly(&self, dir: &Path, name: &Name) -> bool {
        self.snapshot_of(dir).is_ok_and(|found| found.exact && found.name == *name)
    }

    fn snapshot_of(&self, dir: &Path) -> Result<Snapshot> {
        let dir = std::path::absolute(dir).map_err(at("resolve", dir))?;
        let generation = self.generation.load(Ordering::SeqCst);
        if let Some(known) = self.known_snapshot(&dir, generation) {
            return Ok(known);
        }
        self.walked(&dir, generation, None)
    }

    fn walked(&self, dir: &Path, generation: u64, choice: Option<Choice<'_>>) -> Result<Snapshot> {
        let mut walk = Walk { store: self, generation, choice, notes: Vec::new(), found: HashMap::new() };
        let snapshot = walk.directory(dir, 0)?;
        let Walk { notes, found, .. } = walk;
        self.origins.note(notes)?;
        lock(&self.snapshots).extend(found);
        Ok(snapshot)
    }

    fn known_snapshot(&self, dir: &Path, generation: u64) -> Option<Snapshot> {
        lock(&self.snapshots).get(dir).filter(|(when, _)| *when == generation).map(|(_, snapshot)| *snapshot)
    }
}

/// What of a directory is left out.
struct Choice<'a> {
    root: &'a Path,
    leaves_out: &'a dyn Fn(&Path) -> bool,
}

struct Walk<'a> {
    store: &'a Store,
    generation: u64,
    choice: Option<Choice<'a>>,
    notes: Vec<Note>,
    found: Snapshots,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &Path, depth: usize) -> Result<Snapshot> {
        if depth > DEEPEST {
            return Err(StoreError::TooDeep { path: dir.to_owned(), limit: DEEPEST });
        }
        let listed =
            fs::read_dir(dir).and_then(|list| list.collect::<io::Result<Vec<_>>>()).map_err(at("list", dir))?;
        let mut tree = Tree::new();
        let mut exact = true;
        for entry in listed {
            let (path, name) = (entry.path(), entry.file_name());
            if self.leaves_out(&path) {
                exact = false;
                continue;
            }
            let made = match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.subdirectory(&path, depth, &mut exact)?,
                Ok(kind) if kind.is_symlink() => fs::read_link(&path).ok().map(|to| Entry::Symlink(to.into())),
                Ok(kind) if kind.is_file() => match entry.metadata() {
                    Ok(meta) => self.file(path, &meta, &mut exact)?,
                    Err(_) => None,
                },
                _ => None,
            };
            exact &= made.is_some();
            if let Some(made) = made {
                tree.insert(name, made);
            }
        }
        let name = self.store.put_tree(&tree)?;
        if exact {
            self.notes.push(Note::Tree(name, dir.to_owned()));
        }
        let snapshot = Snapshot { name, exact };
        // What something was left out of is not what the directory is.
        if exact || self.choice.is_none() {
            self.found.insert(dir.to_owned(), (self.generation, snapshot));
        }
        Ok(snapshot)
    }

    fn leaves_out(&self, path: &Path) -> bool {
        self.choice.as_ref().is_some_and(|it| path.strip_prefix(it.root).is_ok_and(|path| (it.leaves_out)(path)))
    }

    fn subdirectory(&mut self, path: &Path, depth: usize, exact: &mut bool) -> Result<Option<Entry>> {
        let known = match self.choice {
            None => self.store.known_snapshot(path, self.generation),
            Some(_) => None,
        };
        let snapshot = match known.map_or_else(|| self.directory(path, depth + 1), Ok) {
            Ok(snapshot) => snapshot,
            Err(StoreError::Denied { path: at, .. } | StoreError::NoFile { path: at, .. }) if at == path => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        *exact &= snapshot.exact;
        Ok(Some(Entry::Tree(snapshot.name)))
    }

    fn file(&mut self, path: PathBuf, meta: &fs::Metadata, exact: &mut bool) -> Result<Option<Entry>> {
        let mode = meta.mode() & 0o7777;
        let stamp = Stamp::from(meta);
        if let Some(content) = self.store.stamps.get(&stamp) {
            self.notes.push(Note::File(content, path, stamp));
            return Ok(Some(Entry::File { content, mode }));
        }
        match self.store.hash_settled(&path) {
            Ok(Some((content, stamp))) => {
                self.notes.push(Note::File(content, path, stamp));
                Ok(Some(Entry::File { content, mode: stamp.mode & 0o7777 }))
            }
            // Its stamp will never vouch for it, so keep its content.
            Ok(None) => {
                *exact = false;
                let (content, stamp) = self.store.import(&path)?;
                Ok(Some(Entry::File { content, mode: stamp.mode & 0o7777 }))
            }
            Err(StoreError::Denied { path: at, .. } | StoreError::NoFile { path: at, .. }) if at == path => Ok(None),
            Err(error) => Err(error),
        }
    }
}
