//! The file system at the moment of one call: each path is looked at once, and what is known of directories from earlier
//! calls is made use of.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gg_models::scan::hash::QuickMap;
use gg_models::{Answer, Environment, FileKind, Folder, Glance, Names, State, World};
use gg_store::Stamp;

use super::directories::{Directories, Files};
use super::machine::{Force, Machine, was_settled};

/// As many paths as a compile looks at.
const MANY_PATHS: usize = 512;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// A file, a directory or something else that is no symbolic link.
    Plain(Stamp),
    /// A symbolic link, and what it leads to, if it leads anywhere.
    Link(Option<Stamp>),
}

impl Seen {
    /// What is there, links followed.
    pub fn followed(self) -> Option<Stamp> {
        match self {
            Self::Nothing => None,
            Self::Plain(stamp) => Some(stamp),
            Self::Link(target) => target,
        }
    }

    /// What is at a path of the real file system now.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub fn at(path: &Path) -> io::Result<Self> {
        let found = |looked: io::Result<fs::Metadata>| match looked {
            Ok(info) => Ok(Some(info)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        };
        Ok(match found(fs::symlink_metadata(path))? {
            None => Self::Nothing,
            // A link that leads nowhere, in circles or to where nobody may look is a link all the same.
            Some(info) if info.is_symlink() => Self::Link(fs::metadata(path).ok().map(|info| Stamp::from(&info))),
            Some(info) => Self::Plain(Stamp::from(&info)),
        })
    }
}

/// How a path is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// As any other.
    Any,
    /// As one that is likely to be there: it is not looked for among the names of its directory.
    Likely,
    /// As one that is about to change: it is not worth keeping what is there.
    Fleeting,
}

/// Looks at paths.
pub trait Sight {
    /// What is at an absolute path.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    fn see(&self, path: &Path) -> io::Result<Seen>;

    /// The same at a path that is about to be written to.
    ///
    /// # Errors
    /// As [`Sight::see`].
    fn see_before_change(&self, path: &Path) -> io::Result<Seen> {
        self.see(path)
    }
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Sight for Disk {
    fn see(&self, path: &Path) -> io::Result<Seen> {
        Seen::at(path)
    }
}

/// A directory at the moment of a call.
#[derive(Clone, Debug)]
struct Directory {
    stamp: Stamp,
    /// The names in it, if they are known.
    names: Option<Arc<Names>>,
    /// What its files are, if that is kept.
    files: Option<Arc<Files>>,
}

/// The file system at one moment.
pub struct Moment<'m, F> {
    machine: &'m Machine<F>,
    directories: &'m Directories,
    /// When it began: what changes later has a later time.
    begun: SystemTime,
    view: Mutex<View>,
}

#[derive(Default)]
struct View {
    // By the path as a string, whose hash is the cheaper.
    seen: QuickMap<OsString, Seen>,
    directories: QuickMap<OsString, Option<Directory>>,
    /// How many files had been computed for the machine when this was looked at.
    forced: u64,
}

impl<'m, F: Force> Moment<'m, F> {
    /// Now.
    pub fn new(machine: &'m Machine<F>, directories: &'m Directories) -> Self {
        let seen = QuickMap::with_capacity_and_hasher(MANY_PATHS, Default::default());
        let view = View { seen, forced: machine.forced(), ..View::default() };
        let begun = SystemTime::now();
        directories.refresh();
        Self { machine, directories, begun, view: Mutex::new(view) }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waited for a file to be computed is in another moment.
        let forced = self.machine.forced();
        if view.forced != forced {
            *view = View { forced, ..View::default() };
            self.directories.refresh();
        }
        view
    }

    /// What is at a path.
    fn look(&self, view: &mut View, path: &Path, how: Look) -> io::Result<Seen> {
        if let Some(seen) = view.seen.get(path.as_os_str()) {
            return Ok(*seen);
        }
        let Some((parent, name)) = split(path) else { return Seen::at(path) };
        let Some(directory) = self.directory(view, parent)? else {
            view.seen.insert(path.into(), Seen::Nothing);
            return Ok(Seen::Nothing);
        };
        if how != Look::Likely && directory.names.as_ref().is_some_and(|names| name.is_ascii() && !names.contains(name))
        {
            // Not worth remembering: it is as quickly seen again.
            return Ok(Seen::Nothing);
        }
        let seen = match &directory.files {
            Some(files) => match files.get(name) {
                Some(seen) => seen,
                None if how == Look::Fleeting => Seen::at(path)?,
                None => self.directories.look(files, path, name)?,
            },
            None => Seen::at(path)?,
        };
        if seen == Seen::Nothing
            && directory.names.is_none()
            && let Some(names) = self.directories.missed(parent, &directory.stamp)
        {
            view.directories.insert(parent.into(), Some(Directory { names: Some(names), ..directory }));
        }
        view.seen.insert(path.into(), seen);
        Ok(seen)
    }

    fn directory(&self, view: &mut View, path: &Path) -> io::Result<Option<Directory>> {
        if let Some(known) = view.directories.get(path.as_os_str()) {
            return Ok(known.clone());
        }
        let stamp = self.look(view, path, Look::Any)?.followed().filter(Stamp::is_dir);
        let directory = stamp.map(|stamp| Directory {
            stamp,
            names: self.directories.names(&stamp),
            files: self.directories.files(path, &stamp),
        });
        if let Some(Directory { stamp, files: Some(files), .. }) = &directory
            && let Some((parent, _)) = split(path)
            && let Some(Some(Directory { files: Some(parent), .. })) = view.directories.get(parent.as_os_str())
        {
            self.directories.keep_folder(parent, path, stamp, files);
        }
        view.directories.insert(path.into(), directory.clone());
        Ok(directory)
    }
}

fn kind(stamp: &Stamp) -> FileKind {
    if stamp.is_file() {
        FileKind::File
    } else if stamp.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}

/// A stamp as the models see it.
pub fn state(stamp: &Stamp) -> State {
    let Stamp { device, inode, size, mode, mtime_ns, ctime_ns } = *stamp;
    [device, inode, size, mode.into(), mtime_ns.cast_unsigned(), ctime_ns.cast_unsigned()]
}

/// A path as a directory and a name in it; `None` for what is spelled in any other way.
pub fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/')?;
    let name = &bytes[slash + 1..];
    let parent = if slash == 0 { b"/" } else { &bytes[..slash] };
    let plain = !matches!(name, b"" | b"." | b"..") && bytes[0] == b'/';
    plain.then(|| (Path::new(OsStr::from_bytes(parent)), OsStr::from_bytes(name)))
}

impl<F: Force> Sight for Moment<'_, F> {
    fn see(&self, path: &Path) -> io::Result<Seen> {
        self.look(&mut self.view(), path, Look::Any)
    }

    fn see_before_change(&self, path: &Path) -> io::Result<Seen> {
        self.look(&mut self.view(), path, Look::Fleeting)
    }
}

impl<F: Force> World for Moment<'_, F> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        self.see(path).ok()?.followed().map(|stamp| kind(&stamp))
    }

    fn glance(&self, path: &Path) -> Glance {
        let mut view = self.view();
        let Ok(seen) = self.look(&mut view, path, Look::Likely) else { return Glance::default() };
        // What was seen earlier in this moment may have been forgotten since.
        let mut lasts = || {
            let (parent, name) = split(path)?;
            let files = self.directory(&mut view, parent).ok()??.files?;
            let version = files.version();
            (files.get(name) == Some(seen)).then_some(version)
        };
        let Some(stamp) = seen.followed() else {
            return Glance { lasts: if seen == Seen::Nothing { lasts() } else { None }, ..Glance::default() };
        };
        let state = was_settled(&stamp, self.begun).then(|| state(&stamp));
        // A directory's stamp changes without the one that it is in.
        let lasts = if state.is_some() && stamp.is_file() { lasts() } else { None };
        Glance { kind: Some(kind(&stamp)), state, plain: matches!(seen, Seen::Plain(_)), lasts }
    }

    fn steady(&self, path: &Path, known: &State) -> bool {
        let stamp = self.look(&mut self.view(), path, Look::Likely).ok().and_then(Seen::followed);
        stamp.is_some_and(|stamp| state(&stamp) == *known && self.machine.kept(path, &stamp).is_some())
    }

    fn folder(&self, path: &Path) -> Option<Folder> {
        let directory = self.directory(&mut self.view(), path).ok()??;
        Some(Folder { names: directory.names, changes: directory.files.map(|files| files.version()) })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        match self.see(path)?.followed().and_then(|stamp| self.machine.kept(path, &stamp)) {
            Some(content) => Ok(content),
            None => self.machine.read(path),
        }
    }

    fn head(&self, path: &Path, length: usize) -> io::Result<Option<Vec<u8>>> {
        self.machine.head(path, length)
    }

    fn outline(&self, path: &Path) -> Option<Arc<[u8]>> {
        self.machine.outline(path)
    }

    fn executable(&self, path: &Path) -> bool {
        self.machine.executable(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.machine.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        // Without links on the way a path is what it resolves to, and most directories on the way have been seen.
        for part in path.ancestors() {
            match self.see(part)? {
                Seen::Plain(_) if part == Path::new("/") || split(part).is_some() => {}
                _ => return self.machine.resolve(path),
            }
        }
        // Without doubled slashes.
        Ok(path.components().collect())
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        self.machine.ask(argv, cwd, env)
    }

    fn ask_once(
        &self,
        argv: &[OsString],
        cwd: &Path,
        env: &Environment,
        rests_on: &dyn Fn(&Answer) -> Option<Vec<PathBuf>>,
    ) -> io::Result<Answer> {
        self.machine.ask_once(argv, cwd, env, rests_on)
    }
}

#[cfg(test)]
mod tests;
