//! Directories: which one a path leads to, whether it is there, and what it is sure to lack.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::{Atlas, Dir, DirId, Lacking, Proof};
use crate::scan::hash::QuickMap;
use crate::{FileKind, World};

/// How deep a path may be before the scanner suspects a symlink that leads into itself.
const DEEP: usize = 64;

impl Atlas {
    /// An existing directory by its absolute path; `system` when what is below it belongs to the system.
    pub(in crate::scan) fn directory(&mut self, world: &dyn World, path: &Path, system: bool) -> Option<DirId> {
        let plain = !path.components().any(|part| part == Component::ParentDir);
        let dir = if plain { self.plain(path) } else { self.wind(world, path)? };
        if !self.exists(world, dir) {
            return None;
        }
        let named = if system { &mut self.roots } else { &mut self.own };
        if !named.contains(&dir) {
            named.push(dir);
        }
        Some(dir)
    }

    /// The innermost system directory that a directory is or lies below. One that the call names, further in, belongs to the
    /// project all the same.
    pub(super) fn root(&self, dir: DirId) -> Option<DirId> {
        let path = &self.get(dir).path;
        let innermost = |named: &[DirId]| {
            let above = named.iter().copied().filter(|&root| path.starts_with(&self.get(root).path));
            above.max_by_key(|&root| self.get(root).path.as_os_str().len())
        };
        let length = |root: DirId| self.get(root).path.as_os_str().len();
        let (root, own) = (innermost(&self.roots)?, innermost(&self.own));
        own.is_none_or(|own| length(own) <= length(root)).then_some(root)
    }

    /// Whether there is a directory in this scan.
    pub(super) fn exists(&mut self, world: &dyn World, dir: DirId) -> bool {
        let known = &mut self.dirs[dir.0 as usize];
        if known.scan != self.scan {
            known.scan = self.scan;
            let folder = world.folder(&known.path);
            known.exists = folder.is_some();
            let folder = folder.unwrap_or_default();
            known.changes = folder.changes;
            known.known = folder.names.map(|names| {
                if !known.names.as_ref().is_some_and(|old| Arc::ptr_eq(old, &names)) {
                    known.version += 1;
                    known.names = Some(names);
                }
                known.version
            });
        }
        known.exists
    }

    /// Where a name is surely not, if the names of the directory are known in this scan and it is not among them.
    pub(super) fn lacks(&self, dir: DirId, name: &[u8]) -> Option<Lacking> {
        let known = self.get(dir);
        let (names, version) = (known.names.as_ref()?, known.known?);
        // Names of other letters may be listed in another form.
        let lacks = name.is_ascii() && !names.contains(OsStr::from_bytes(name));
        lacks.then_some(Lacking { dir, by: Proof::Names(version) })
    }

    /// What shows that `folder`, a part of a name that does not go back, leads nowhere from `dir`.
    pub(super) fn lacks_way(&mut self, world: &dyn World, dir: DirId, folder: &[u8]) -> Option<Lacking> {
        if folder.starts_with(b"/") {
            return None;
        }
        let mut at = dir;
        for part in folder.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
            if !self.exists(world, at) {
                return None;
            }
            let lacking = self.lacks(at, part);
            if lacking.is_some() {
                return lacking;
            }
            let path = self.put_together(at, part);
            let now = world.glance(&path);
            match now.kind {
                None => return Some(Lacking { dir: at, by: Proof::Changes(now.lasts?) }),
                // What winding paths led to in this scan need not be what they lead to in the next.
                Some(FileKind::Directory) if self.real.is_empty() => at = self.plain(&path),
                Some(_) => return None,
            }
        }
        None
    }

    /// The directory that the leading part of a name, with its last slash, leads to from `dir`, there or not; an error
    /// where there is none, with the directory that is sure to lack it.
    pub(super) fn folder(&mut self, world: &dyn World, dir: DirId, name: &[u8]) -> Result<DirId, Option<Lacking>> {
        if let Some(&known) = self.get(dir).folders.get(name) {
            return Ok(known);
        }
        let relative = Path::new(OsStr::from_bytes(name));
        let path = self.get(dir).path.join(relative);
        if goes_back(name) || path.components().count() > DEEP {
            let key = (dir, Box::from(name));
            if let Some(&known) = self.winding.get(&key) {
                return known.ok_or(None);
            }
            let found = self.wind(world, &path);
            self.winding.insert(key, found);
            return found.ok_or(None);
        }
        if !relative.is_absolute() && self.exists(world, dir) {
            let first = memchr::memchr(b'/', name).map_or(name, |slash| &name[..slash]);
            let lacking = if first == b"." { None } else { self.lacks(dir, first) };
            if lacking.is_some() {
                return Err(lacking);
            }
        }
        let found = self.plain(&path);
        // What winding paths led to in this scan need not be what they lead to in the next.
        if self.real.is_empty() {
            self.dirs[dir.0 as usize].folders.insert(name.into(), found);
        }
        Ok(found)
    }

    /// A directory, there or not, whose path does not go back; `.` and doubled slashes are taken out.
    fn plain(&mut self, path: &Path) -> DirId {
        let path: PathBuf = path.components().collect();
        let known = self.real.get(path.as_os_str()).or_else(|| self.by_path.get(path.as_os_str()));
        known.copied().unwrap_or_else(|| self.add(path))
    }

    /// An existing directory whose path goes back by `..`, or may go in circles. `a/../b` is taken for `b` where that is
    /// the same directory (symlinks can make it another), so that two headers that include each other as `../x/y.h` come
    /// to an end. Otherwise it keeps its path, but is one with the directory that the path leads to.
    fn wind(&mut self, world: &dyn World, path: &Path) -> Option<DirId> {
        if world.kind(path) != Some(FileKind::Directory) {
            return None;
        }
        let real = world.resolve(path).ok()?;
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
        if !deep && world.resolve(&straight).is_ok_and(|other| other == real) {
            return Some(self.plain(&straight));
        }
        if let Some(&known) = self.real.get(real.as_os_str()) {
            return Some(known);
        }
        // One that this scan has met under its own name, if there is one.
        let met = self.by_path.get(real.as_os_str()).copied().filter(|&dir| self.get(dir).scan == self.scan);
        let dir = match met.or_else(|| self.by_path.get(spelled.as_os_str()).copied()) {
            Some(dir) => dir,
            None => self.add(spelled),
        };
        self.real.insert(real.into(), dir);
        Some(dir)
    }

    fn add(&mut self, path: PathBuf) -> DirId {
        let id = DirId(self.dirs.len() as u32);
        self.by_path.insert(path.clone().into(), id);
        self.dirs.push(Dir {
            path: path.into(),
            files: QuickMap::default(),
            folders: QuickMap::default(),
            names: None,
            version: 0,
            scan: 0,
            exists: false,
            known: None,
            changes: None,
        });
        id
    }

    /// Finds every file directly in a directory that `dir` has under this name, if it has one.
    pub(in crate::scan) fn all_in(&mut self, world: &dyn World, dir: DirId, name: &[u8]) {
        let path = self.get(dir).path.join(OsStr::from_bytes(name));
        // Most are not there, and not worth a place here.
        if world.kind(&path) != Some(FileKind::Directory) {
            return;
        }
        let Ok(folder) = self.folder(world, dir, &[name, b"/"].concat()) else { return };
        for entry in world.list(self.dir_path(folder)).unwrap_or_default() {
            self.probe(world, folder, entry.as_bytes());
        }
    }
}

/// Whether a name goes back by `..`.
fn goes_back(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'/').any(|part| part == b"..")
}
