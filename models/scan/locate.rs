//! Directories, names, and which file a name means.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::cache::Name;
use super::hash::QuickMap;
use crate::{FileKind, Read, World};

/// How deep a path may be before the scanner suspects a symlink that leads into itself.
const DEEP: usize = 64;

/// A directory of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DirId(u32);

/// A file of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    /// The system directory that it is or lies below.
    root: Option<DirId>,
    folders: QuickMap<Box<[u8]>, Option<DirId>>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    dir: DirId,
}

/// Finds files, and remembers for one scan what it was told.
pub(super) struct Locator<'w> {
    world: &'w dyn World,
    dirs: Vec<Dir>,
    by_path: QuickMap<OsString, DirId>,
    files: Vec<File>,
    /// The files by directory and last part of their name.
    by_name: QuickMap<(DirId, Box<[u8]>), FileId>,
    /// What names were found to be, by the directory and the address of the name.
    probes: QuickMap<(DirId, usize), Probe>,
    roots: Vec<DirId>,
    crossed: Vec<PathBuf>,
    buffer: Vec<u8>,
}

impl<'w> Locator<'w> {
    /// One that knows nothing yet.
    pub fn new(world: &'w dyn World) -> Self {
        Self {
            world,
            dirs: Vec::with_capacity(32),
            by_path: QuickMap::default(),
            files: Vec::with_capacity(256),
            by_name: QuickMap::default(),
            probes: QuickMap::default(),
            roots: Vec::new(),
            crossed: Vec::new(),
            buffer: Vec::with_capacity(256),
        }
    }

    /// An existing directory by its absolute path; `system` when what is below it belongs to the system.
    pub fn directory(&mut self, path: &Path, system: bool) -> Option<DirId> {
        let plain = !path.components().any(|part| part == Component::ParentDir);
        let dir = if plain { self.plain(path.into(), None) } else { self.winding(path) }?;
        if system && self.get(dir).root.is_none() {
            self.dirs[dir.0 as usize].root = Some(dir);
            self.roots.push(dir);
        }
        Some(dir)
    }

    fn get(&self, dir: DirId) -> &Dir {
        &self.dirs[dir.0 as usize]
    }

    /// The path of a directory.
    pub fn dir_path(&self, dir: DirId) -> &Path {
        &self.get(dir).path
    }

    /// The path of a file.
    pub fn path(&self, file: FileId) -> &Path {
        &self.files[file.0 as usize].path
    }

    /// The directory of a file, as the file was named.
    pub fn dir_of(&self, file: FileId) -> DirId {
        self.files[file.0 as usize].dir
    }

    /// Whether a file belongs to the system.
    pub fn is_system(&self, file: FileId) -> bool {
        self.get(self.dir_of(file)).root.is_some()
    }

    /// The files found, and the directories that were left by `..`.
    pub fn finish(self) -> (Vec<Read>, Vec<PathBuf>) {
        let roots: Vec<Option<PathBuf>> =
            self.dirs.iter().map(|dir| dir.root.map(|root| self.get(root).path.clone())).collect();
        let read = |file: File| match &roots[file.dir.0 as usize] {
            Some(root) => Read::System { path: file.path, root: root.clone() },
            None => Read::File(file.path),
        };
        let mut crossed = self.crossed;
        crossed.sort();
        crossed.dedup();
        (self.files.into_iter().map(read).collect(), crossed)
    }

    /// What `name` is, looked up in `dir`, or wherever it says when it is absolute.
    pub fn probe(&mut self, dir: DirId, name: &Name) -> Probe {
        if let Some(&known) = self.probes.get(&(dir, name.address())) {
            return known;
        }
        let found = self.probe_bytes(dir, name);
        self.probes.insert((dir, name.address()), found);
        found
    }

    /// The same for a name that will hardly come again.
    pub fn probe_bytes(&mut self, dir: DirId, name: &[u8]) -> Probe {
        let slash = memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1);
        let (folder, base) = name.split_at(slash);
        if matches!(base, b"" | b"." | b"..") {
            return Probe::Missing;
        }
        let dir = match folder {
            b"" => dir,
            _ => match self.folder(dir, folder) {
                Some(dir) => dir,
                None => return Probe::Missing,
            },
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(self.dirs[dir.0 as usize].path.as_os_str().as_bytes());
        if self.buffer.last() != Some(&b'/') {
            self.buffer.push(b'/');
        }
        self.buffer.extend_from_slice(base);
        let path = Path::new(OsStr::from_bytes(&self.buffer));
        match self.world.kind(path) {
            Some(FileKind::File) => {
                let files = &mut self.files;
                let id = *self.by_name.entry((dir, base.into())).or_insert_with(|| {
                    files.push(File { path: path.into(), dir });
                    FileId(files.len() as u32 - 1)
                });
                Probe::File(id)
            }
            Some(FileKind::Other) => Probe::Device,
            Some(FileKind::Directory) | None => Probe::Missing,
        }
    }

    /// The directory that the leading part of a name, with its last slash, leads to from `dir`.
    fn folder(&mut self, dir: DirId, name: &[u8]) -> Option<DirId> {
        if let Some(&known) = self.get(dir).folders.get(name) {
            return known;
        }
        let relative = Path::new(OsStr::from_bytes(name));
        let path = self.get(dir).path.join(relative);
        let winding =
            relative.components().any(|part| part == Component::ParentDir) || path.components().count() > DEEP;
        let root = if relative.is_absolute() { self.root_of(&path) } else { self.get(dir).root };
        let found = if winding { self.winding(&path) } else { self.plain(path, root) };
        self.dirs[dir.0 as usize].folders.insert(name.into(), found);
        found
    }

    /// A directory whose path does not go back; `.` and doubled slashes are taken out.
    fn plain(&mut self, path: PathBuf, root: Option<DirId>) -> Option<DirId> {
        let path: PathBuf = path.components().collect();
        if let Some(&known) = self.by_path.get(path.as_os_str()) {
            return Some(known);
        }
        (self.world.kind(&path) == Some(FileKind::Directory)).then(|| self.add(path.clone(), path, root))
    }

    /// A directory whose path goes back by `..`, or may go in circles. `a/../b` is taken for `b` where that is the same
    /// directory (symlinks can make it another), so that two headers that include each other as `../x/y.h` come to an
    /// end. Otherwise it keeps its path, but is one with the directory that the path leads to.
    fn winding(&mut self, path: &Path) -> Option<DirId> {
        if self.world.kind(path) != Some(FileKind::Directory) {
            return None;
        }
        let real = self.world.resolve(path).ok()?;
        let mut straight = PathBuf::new();
        let mut spelled = PathBuf::new();
        for part in path.components() {
            if part == Component::ParentDir {
                if spelled.components().next_back() != Some(Component::ParentDir) {
                    self.crossed.push(spelled.clone());
                }
                straight.pop();
            } else {
                straight.push(part);
            }
            spelled.push(part);
        }
        let deep = straight.components().count() > DEEP;
        let same = !deep && self.world.resolve(&straight).is_ok_and(|other| other == real);
        let (path, key) = if same { (straight.clone(), straight) } else { (spelled, real) };
        if let Some(&known) = self.by_path.get(key.as_os_str()) {
            return Some(known);
        }
        let root = self.root_of(&path);
        Some(self.add(path, key, root))
    }

    fn root_of(&self, path: &Path) -> Option<DirId> {
        self.roots.iter().copied().find(|&root| path.starts_with(&self.get(root).path))
    }

    fn add(&mut self, path: PathBuf, key: PathBuf, root: Option<DirId>) -> DirId {
        let id = DirId(self.dirs.len() as u32);
        self.dirs.push(Dir { path, root, folders: QuickMap::default() });
        self.by_path.insert(key.into(), id);
        id
    }

    /// The file at an absolute path.
    pub fn file(&mut self, path: PathBuf) -> Probe {
        match self.directory(Path::new("/"), false) {
            Some(top) => self.probe_bytes(top, &path.into_os_string().into_vec()),
            None => Probe::Missing,
        }
    }

    /// Every file directly in a directory that `dir` has under this name.
    pub fn all_in(&mut self, dir: DirId, name: &[u8]) {
        let Some(folder) = self.folder(dir, &[name, b"/"].concat()) else { return };
        for entry in self.world.list(self.dir_path(folder)).unwrap_or_default() {
            self.probe_bytes(folder, entry.as_bytes());
        }
    }
}
