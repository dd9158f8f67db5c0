//! Directories, names, and which file a name means: what one thread's scans know of the file system.
//!
//! The scans of a build look for the same names in the same directories. So the paths are put together once, and a scan
//! only has to ask whether what an earlier one found still holds: each file that it meets is looked at once, and each
//! directory; a directory whose names are known ([`Folder::names`](crate::Folder::names)) then tells by itself what it lacks.
//!
//! - `directories`: which one a path leads to, and what it lacks
//! - `searches`: names that are looked for in several

mod directories;
mod searches;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Syntax;
use super::cache::{Cache, Lexed, Name};
use super::chart::Charts;
use super::hash::QuickMap;
use super::reached::Reached;
use crate::{FileKind, Glance, Header, Names, World};

/// A directory, as it is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DirId(u32);

/// A file, as it is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(u32);

/// What a name in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Nothing, or a directory: the search goes on.
    Missing,
    /// A regular file.
    File(FileId),
    /// A device: it is opened, but cannot be sealed.
    Device,
}

/// A directory, there or not.
#[derive(Debug)]
struct Dir {
    path: Arc<Path>,
    /// The files seen in it.
    files: QuickMap<Box<[u8]>, FileId>,
    /// The directories below it by their names in `#include` lines, which do not go back by `..`.
    folders: QuickMap<Box<[u8]>, DirId>,
    /// The names in it when they were last known, and how many times they were others.
    names: Option<Arc<Names>>,
    version: u32,
    /// The scan in which the rest was found.
    scan: u32,
    exists: bool,
    /// The version of the names if they are known in this scan.
    known: Option<u32>,
    /// As long as this is the same, its files are ([`Folder::changes`](crate::Folder::changes)).
    changes: Option<u64>,
}

/// What a file asked for when it was read last.
#[derive(Debug)]
struct Reading {
    /// The state in which it did, where that vouches for the content.
    state: Option<crate::State>,
    lexed: Arc<Lexed>,
    /// What the names that it asks for are in its own directory, in their order.
    beside: Box<[Option<Spot>]>,
    /// What they led to, with the lists of directories searched last first.
    reached: Vec<Arc<Reached>>,
}

#[derive(Debug)]
struct File {
    path: Arc<Path>,
    dir: DirId,
    /// By syntax.
    read: [Option<Reading>; 2],
    /// The scan in which the rest was found.
    scan: u32,
    now: Glance,
    /// The changes of its directory with which that lasts.
    changes: Option<u64>,
    /// The syntaxes in which this scan has queued it.
    queued: [bool; 2],
}

/// A directory that lacks something, and what shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lacking {
    dir: DirId,
    by: Proof,
}

/// What shows that a directory lacks a name, as long as it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// The version of its names.
    Names(u32),
    /// [`Folder::changes`](crate::Folder::changes).
    Changes(u64),
}

/// What a name in a directory was found to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub found: Probe,
    /// The scan that found it.
    scan: u32,
    /// Why it is missing, where that can be told again without looking for it.
    pub lacking: Option<Lacking>,
    /// It has to be looked for anew in each scan.
    pub winding: bool,
}

/// What the scans of one thread know of the file system.
#[derive(Debug, Default)]
pub(super) struct Atlas {
    dirs: Vec<Dir>,
    by_path: QuickMap<OsString, DirId>,
    files: Vec<File>,
    charts: Charts,
    /// The number of the scan under way; what follows is of that scan.
    scan: u32,
    /// Directories whose paths go back, by what they resolve to, and by where they were asked for.
    real: QuickMap<OsString, DirId>,
    winding: QuickMap<(DirId, Box<[u8]>), Option<DirId>>,
    roots: Vec<DirId>,
    /// Directories that the call names.
    own: Vec<DirId>,
    found: Vec<FileId>,
    crossed: Vec<PathBuf>,
    buffer: Vec<u8>,
}

impl Atlas {
    /// Begins a scan: nothing that is known is believed before it has been looked at.
    pub fn begin(&mut self) {
        self.scan += 1;
        self.charts.begin();
        self.real.clear();
        self.winding.clear();
        self.roots.clear();
        self.own.clear();
        self.found.clear();
        self.crossed.clear();
    }

    fn get(&self, dir: DirId) -> &Dir {
        &self.dirs[dir.0 as usize]
    }

    fn file(&self, file: FileId) -> &File {
        &self.files[file.0 as usize]
    }

    /// The path of a directory.
    pub fn dir_path(&self, dir: DirId) -> &Path {
        &self.get(dir).path
    }

    /// The path of a file.
    pub fn path(&self, file: FileId) -> &Path {
        &self.file(file).path
    }

    /// The directory of a file, as the file was named.
    pub fn dir_of(&self, file: FileId) -> DirId {
        self.file(file).dir
    }

    /// Whether a file belongs to the system.
    pub fn is_system(&self, file: FileId) -> bool {
        self.root(self.dir_of(file)).is_some()
    }

    /// The files found in this scan, and the directories that were left by `..`.
    pub fn finish(&mut self) -> (Vec<Header>, Vec<PathBuf>) {
        let mut roots: QuickMap<DirId, Option<DirId>> = QuickMap::default();
        let mut header = |&file: &FileId| {
            let File { path, dir, now, .. } = self.file(file);
            let root = *roots.entry(*dir).or_insert_with(|| self.root(*dir));
            Header {
                path: Arc::clone(path),
                directory: Arc::clone(&self.get(*dir).path),
                state: now.state.filter(|_| now.plain),
                root: root.map(|root| Arc::clone(&self.get(root).path)),
            }
        };
        let reads = self.found.iter().map(&mut header).collect();
        let mut crossed = std::mem::take(&mut self.crossed);
        crossed.sort();
        crossed.dedup();
        (reads, crossed)
    }

    /// Whether this is the first time that the scan queues a file in this syntax.
    pub fn queue(&mut self, file: FileId, syntax: Syntax) -> bool {
        !std::mem::replace(&mut self.files[file.0 as usize].queued[syntax as usize], true)
    }

    /// What a file asks for.
    ///
    /// # Errors
    /// When the world cannot read it.
    pub fn lexed(&mut self, world: &dyn World, cache: &Cache, file: FileId, syntax: Syntax) -> io::Result<Arc<Lexed>> {
        let file = &mut self.files[file.0 as usize];
        let known = &mut file.read[syntax as usize];
        if let Some(known) = known
            && file.now.state.is_some()
            && file.now.state == known.state
        {
            return Ok(Arc::clone(&known.lexed));
        }
        let lexed = cache.lexed(&file.path, world.read(&file.path)?, syntax);
        let state = file.now.state.filter(|state| world.steady(&file.path, state));
        if state.is_none() {
            // It is not in the state in which it was found.
            (file.now.state, file.changes) = (None, None);
        }
        match known {
            Some(known) if Arc::ptr_eq(&known.lexed, &lexed) => known.state = state,
            _ => {
                let beside = vec![None; lexed.names.len()].into();
                *known = Some(Reading { state, lexed: Arc::clone(&lexed), beside, reached: Vec::new() });
            }
        }
        Ok(lexed)
    }

    /// What the name that a file has read in this scan asks for at `at` is, looked up in the file's directory.
    pub fn beside(&mut self, world: &dyn World, file: FileId, syntax: Syntax, at: usize, name: &Name) -> Probe {
        let spot = |atlas: &Self| atlas.file(file).read[syntax as usize].as_ref()?.beside[at];
        if let Some(spot) = spot(self)
            && (spot.scan == self.scan || self.holds(world, &spot))
        {
            return spot.found;
        }
        let spot = self.look(world, self.dir_of(file), name);
        if let Some(read) = &mut self.files[file.0 as usize].read[syntax as usize] {
            read.beside[at] = Some(spot);
        }
        spot.found
    }

    /// What `name` is, looked up in `dir`, or wherever it says when it is absolute.
    pub fn probe(&mut self, world: &dyn World, dir: DirId, name: &[u8]) -> Probe {
        self.look(world, dir, name).found
    }

    /// Whether a directory is sure to lack what it lacked.
    pub fn lacks_still(&mut self, world: &dyn World, Lacking { dir, by }: Lacking) -> bool {
        self.exists(world, dir)
            && match by {
                Proof::Names(version) => self.get(dir).known == Some(version),
                Proof::Changes(changes) => self.get(dir).changes == Some(changes),
            }
    }

    /// Whether what an earlier scan found is so in this one, as far as that is quickly told.
    fn holds(&mut self, world: &dyn World, spot: &Spot) -> bool {
        // The directories on a winding way count as well.
        match (spot.found, spot.lacking.filter(|_| !spot.winding)) {
            (Probe::File(file), _) => !spot.winding && self.glance(world, file) == Some(FileKind::File),
            (Probe::Missing, Some(lacking)) => self.lacks_still(world, lacking),
            _ => false,
        }
    }

    fn look(&mut self, world: &dyn World, dir: DirId, name: &[u8]) -> Spot {
        let mut spot = Spot { found: Probe::Missing, scan: self.scan, lacking: None, winding: false };
        let slash = memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1);
        let (folder, base) = name.split_at(slash);
        if matches!(base, b"" | b"." | b"..") {
            return spot;
        }
        let mut inner = dir;
        if !folder.is_empty() {
            match self.folder(world, dir, folder) {
                Ok(found) => inner = found,
                // Only of a winding way it is not known why it leads nowhere.
                Err(lacking) => return Spot { lacking, winding: lacking.is_none(), ..spot },
            }
            spot.winding = !self.get(dir).folders.contains_key(folder);
        }
        if !self.exists(world, inner) {
            if !spot.winding {
                spot.lacking = self.lacks_way(world, dir, folder);
            }
            return spot;
        }
        spot.lacking = self.lacks(inner, base);
        if spot.lacking.is_some() {
            return spot;
        }
        let (file, now) = match self.get(inner).files.get(base) {
            Some(&file) => {
                self.glance(world, file);
                (file, self.file(file).now)
            }
            None => {
                let path = self.put_together(inner, base);
                let now = world.glance(&path);
                let file = (now.kind == Some(FileKind::File)).then(|| self.add_file(inner, base, path));
                (file.unwrap_or(FileId(u32::MAX)), now)
            }
        };
        spot.found = match now.kind {
            Some(FileKind::File) if self.glance(world, file) == now.kind => Probe::File(file),
            Some(FileKind::Other) => Probe::Device,
            Some(_) | None => Probe::Missing,
        };
        if now.kind.is_none() {
            spot.lacking = now.lasts.map(|changes| Lacking { dir: inner, by: Proof::Changes(changes) });
        }
        spot
    }

    fn put_together(&mut self, dir: DirId, base: &[u8]) -> PathBuf {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(self.dirs[dir.0 as usize].path.as_os_str().as_bytes());
        if buffer.last() != Some(&b'/') {
            buffer.push(b'/');
        }
        buffer.extend_from_slice(base);
        Path::new(OsStr::from_bytes(buffer)).into()
    }

    fn add_file(&mut self, dir: DirId, base: &[u8], path: PathBuf) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.files.push(File {
            path: path.into(),
            dir,
            read: [None, None],
            scan: 0,
            now: Glance::default(),
            changes: None,
            queued: [false; 2],
        });
        self.dirs[dir.0 as usize].files.insert(base.into(), id);
        id
    }

    /// What a file is in this scan.
    fn glance(&mut self, world: &dyn World, file: FileId) -> Option<FileKind> {
        let known = self.file(file);
        if known.scan == self.scan {
            return known.now.kind;
        }
        let dir = known.dir;
        let changes = if self.exists(world, dir) { self.get(dir).changes } else { None };
        let known = &mut self.files[file.0 as usize];
        known.scan = self.scan;
        known.queued = [false; 2];
        if changes.is_none() || known.changes != changes {
            known.now = world.glance(&known.path);
            known.changes = known.now.lasts;
        }
        if known.now.kind == Some(FileKind::File) {
            self.found.push(file);
        }
        known.now.kind
    }

    /// The file at an absolute path.
    pub fn at(&mut self, world: &dyn World, path: PathBuf) -> Probe {
        match self.directory(world, Path::new("/"), false) {
            Some(top) => self.probe(world, top, &path.into_os_string().into_vec()),
            None => Probe::Missing,
        }
    }
}
