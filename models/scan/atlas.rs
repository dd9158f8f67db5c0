//! Directories, names, and which file a name means: what one thread's scans know of the file system.
//!
//! The scans of a build look for the same names in the same directories. So the paths are put together once, and a scan
//! only has to ask whether what an earlier one found still holds: each file that it meets is looked at once, and each
//! directory; a directory whose names are known ([`Folder::names`](crate::Folder::names)) then tells by itself what it lacks.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::Syntax;
use super::cache::{Cache, Lexed, Name};
use super::chart::{ChartId, Charts, Route, Step};
use super::facts::Use;
use super::hash::QuickMap;
use super::reached::{Reached, way};
use crate::{FileKind, Glance, Header, Names, World};

/// How deep a path may be before the scanner suspects a symlink that leads into itself.
const DEEP: usize = 64;

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

    /// An existing directory by its absolute path; `system` when what is below it belongs to the system.
    pub fn directory(&mut self, world: &dyn World, path: &Path, system: bool) -> Option<DirId> {
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

    /// The innermost system directory that a directory is or lies below. One that the call names, further in, belongs to the
    /// project all the same.
    fn root(&self, dir: DirId) -> Option<DirId> {
        let path = &self.get(dir).path;
        let innermost = |named: &[DirId]| {
            let above = named.iter().copied().filter(|&root| path.starts_with(&self.get(root).path));
            above.max_by_key(|&root| self.get(root).path.as_os_str().len())
        };
        let length = |root: DirId| self.get(root).path.as_os_str().len();
        let (root, own) = (innermost(&self.roots)?, innermost(&self.own));
        own.is_none_or(|own| length(own) <= length(root)).then_some(root)
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

    /// What the names that a file, as it was read in this scan, asks for led to in an earlier one with these lists of
    /// directories, if they still do.
    pub fn reached(
        &mut self,
        world: &dyn World,
        file: FileId,
        syntax: Syntax,
        charts: [ChartId; 2],
    ) -> Option<Arc<Reached>> {
        let known = self.files[file.0 as usize].read[syntax as usize].as_mut()?;
        let at = known.reached.iter().position(|reached| reached.charts == charts)?;
        known.reached.swap(0, at);
        let reached = Arc::clone(&known.reached[0]);
        let holds = reached.lacking.iter().all(|&lacking| self.lacks_still(world, lacking))
            && reached.targets.iter().all(|&(target, _)| self.glance(world, target) == Some(FileKind::File));
        holds.then_some(reached)
    }

    /// Keeps what the names that a file has asked for in this scan led to.
    pub fn keep_reached(&mut self, file: FileId, syntax: Syntax, charts: [ChartId; 2]) {
        let Some(known) = &mut self.files[file.0 as usize].read[syntax as usize] else { return };
        let mut out = Reached { charts, ..Reached::default() };
        for (at, (lookup, name)) in known.lexed.facts.lookups.iter().zip(&known.lexed.names).enumerate() {
            let beside = if lookup.quoted { known.beside[at] } else { None };
            let routes = charts.iter().skip(usize::from(!lookup.quoted)).map(|&chart| self.charts.get(chart, name.id));
            match if lookup.next { None } else { way(lookup.quoted, beside, routes) } {
                Some((target, lacking)) => {
                    out.targets.extend(target.map(|target| (target, lookup.usage != Use::Data)));
                    out.lacking.extend(lacking);
                }
                None => out.rest.push(at),
            }
        }
        out.tidy();
        known.reached.retain(|reached| reached.charts != charts);
        known.reached.truncate(Reached::MOST - 1);
        known.reached.insert(0, Arc::new(out));
    }

    /// What `name` is, looked up in `dir`, or wherever it says when it is absolute.
    pub fn probe(&mut self, world: &dyn World, dir: DirId, name: &[u8]) -> Probe {
        self.look(world, dir, name).found
    }

    /// Directories that are searched one after the other.
    pub fn chart(&mut self, dirs: &[DirId]) -> ChartId {
        self.charts.of(dirs)
    }

    /// The directories of a chart.
    pub fn dirs(&self, chart: ChartId) -> &[DirId] {
        self.charts.dirs(chart)
    }

    /// The first match of a name in the directories of a chart.
    pub fn first(&mut self, world: &dyn World, chart: ChartId, name: &Name) -> Probe {
        if let Some(found) = self.charts.now(chart, name.id, self.scan) {
            return found;
        }
        let found = self.search(world, chart, name);
        self.charts.note(chart, name.id, self.scan, found);
        found
    }

    fn search(&mut self, world: &dyn World, chart: ChartId, name: &Name) -> Probe {
        if let Some(mut route) = self.charts.take(chart, name.id)
            && let Some(found) = self.follow(world, &mut route, name)
        {
            self.charts.put(chart, name.id, route);
            return found;
        }
        let mut steps = Vec::new();
        let mut found = Probe::Missing;
        let mut winding = false;
        for at in 0..self.dirs(chart).len() {
            let dir = self.dirs(chart)[at];
            let spot = self.look(world, dir, name);
            (found, winding) = (spot.found, winding || spot.winding);
            if found != Probe::Missing {
                break;
            }
            steps.push(spot.lacking.map_or(Step::Look(dir), Step::Lacks));
        }
        if !winding && found != Probe::Device {
            self.charts.put(chart, name.id, Route { found, steps: steps.into() });
        }
        found
    }

    /// Where a route leads, if it still leads to where it led.
    fn follow(&mut self, world: &dyn World, route: &mut Route, name: &Name) -> Option<Probe> {
        for step in &mut route.steps {
            let misses = match *step {
                Step::Lacks(lacking) => self.lacks_still(world, lacking),
                Step::Look(dir) => {
                    let spot = self.look(world, dir, name);
                    if let Some(lacking) = spot.lacking.filter(|_| !spot.winding) {
                        *step = Step::Lacks(lacking);
                    }
                    spot.found == Probe::Missing
                }
            };
            if !misses {
                return None;
            }
        }
        match route.found {
            Probe::File(file) if self.glance(world, file) != Some(FileKind::File) => None,
            found => Some(found),
        }
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

    /// What shows that `folder`, a part of a name that does not go back, leads nowhere from `dir`.
    fn lacks_way(&mut self, world: &dyn World, dir: DirId, folder: &[u8]) -> Option<Lacking> {
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

    /// Whether there is a directory in this scan.
    fn exists(&mut self, world: &dyn World, dir: DirId) -> bool {
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
    fn lacks(&self, dir: DirId, name: &[u8]) -> Option<Lacking> {
        let known = self.get(dir);
        let (names, version) = (known.names.as_ref()?, known.known?);
        // Names of other letters may be listed in another form.
        let lacks = name.is_ascii() && !names.contains(OsStr::from_bytes(name));
        lacks.then_some(Lacking { dir, by: Proof::Names(version) })
    }

    /// The directory that the leading part of a name, with its last slash, leads to from `dir`, there or not; an error
    /// where there is none, with the directory that is sure to lack it.
    fn folder(&mut self, world: &dyn World, dir: DirId, name: &[u8]) -> Result<DirId, Option<Lacking>> {
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

    /// The file at an absolute path.
    pub fn at(&mut self, world: &dyn World, path: PathBuf) -> Probe {
        match self.directory(world, Path::new("/"), false) {
            Some(top) => self.probe(world, top, &path.into_os_string().into_vec()),
            None => Probe::Missing,
        }
    }

    /// Finds every file directly in a directory that `dir` has under this name, if it has one.
    pub fn all_in(&mut self, world: &dyn World, dir: DirId, name: &[u8]) {
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
