//! The file system at the moment of one call: each path is looked at once, and directories that have not changed since an
//! earlier call tell by themselves what is not in them.
//!
//! A compile looks for hundreds of headers in tens of directories, mostly where they are not. The names in a directory are
//! therefore kept from call to call, together with the directory's own stamp: its time of change is set whenever a
//! name comes or goes, so one look at the directory stands for all names that it lacks.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_models::scan::hash::{QuickMap, QuickSet};
use gg_models::{Answer, Environment, FileKind, World};
use gg_store::Stamp;

use super::machine::{Force, Machine, is_settled};

/// Names are kept for directories in which this many were looked for in vain: a list costs more than a few looks.
const WORTH_LISTING: u32 = 4;

/// Directories with more entries than this are not kept.
const MOST_NAMES: usize = 100_000;

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

/// Looks at paths.
pub trait Sight {
    /// What is at an absolute path.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    fn see(&self, path: &Path) -> io::Result<Seen>;
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Sight for Disk {
    fn see(&self, path: &Path) -> io::Result<Seen> {
        Seen::at(path)
    }
}

/// The names in a directory, as of its stamp.
#[derive(Debug)]
struct Names {
    stamp: Stamp,
    names: QuickSet<OsString>,
}

/// What is known of a directory from call to call.
#[derive(Debug, Default)]
struct Known {
    /// How often something was not in it.
    misses: u32,
    names: Option<Arc<Names>>,
    /// Its names are no proof of what is not there.
    unfit: bool,
}

/// The directories of a session, by device and inode.
#[derive(Debug, Default)]
pub struct Directories(Mutex<HashMap<(u64, u64), Known>>);

/// A directory at the moment of a call.
#[derive(Clone, Debug)]
enum Directory {
    /// There is none.
    Absent,
    /// One whose names are not known.
    There(Stamp),
    /// One whose names are known.
    Listed(Arc<Names>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Caches, changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directories {
    /// The names in the directory with this stamp, if they are known.
    fn names(&self, stamp: &Stamp) -> Option<Arc<Names>> {
        let known = locked(&self.0);
        known.get(&(stamp.device, stamp.inode))?.names.clone().filter(|names| names.stamp == *stamp)
    }

    /// Something was not in the directory at `path`, which has this stamp: its names, if it is time to know them.
    fn missed(&self, path: &Path, stamp: &Stamp) -> Option<Arc<Names>> {
        let key = (stamp.device, stamp.inode);
        {
            let mut known = locked(&self.0);
            let known = known.entry(key).or_default();
            known.misses += 1;
            if known.unfit || known.misses < WORTH_LISTING {
                return None;
            }
            // One that changes all the time is not read all the time.
            known.misses = 0;
        }
        // A change in the same tick of the clock would not show.
        if !is_settled(stamp) || is_coarse(stamp) {
            return None;
        }
        let fits = |names: &QuickSet<OsString>| names.len() <= MOST_NAMES && tells_case(path, names);
        let names = if is_local(path) { list(path).ok().filter(fits) } else { None };
        let unchanged = Seen::at(path).is_ok_and(|seen| seen.followed() == Some(*stamp));
        let mut known = locked(&self.0);
        let known = known.entry(key).or_default();
        known.unfit = names.is_none();
        known.names = names.filter(|_| unchanged).map(|names| Arc::new(Names { stamp: *stamp, names }));
        known.names.clone()
    }
}

fn list(path: &Path) -> io::Result<QuickSet<OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Whether a time may be one of a clock that counts seconds, and the second not be over.
fn is_coarse(stamp: &Stamp) -> bool {
    let changed = Duration::from_nanos(u64::try_from(stamp.ctime_ns).unwrap_or(0));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(changed);
    changed.subsec_nanos() == 0 && since < Duration::from_secs(3)
}

/// Whether a directory is on a file system of this machine where names are what a list says, and a change of them shows at
/// once; elsewhere names can come with their first use, or change at another machine.
fn is_local(path: &Path) -> bool {
    /// statfs(2): ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS.
    const LOCAL: [u32; 7] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1];
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: plain integers, for which zeros are valid.
    let mut info: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string and a structure that outlive the call.
    let asked = unsafe { libc::statfs(path.as_ptr(), &raw mut info) };
    asked == 0 && LOCAL.contains(&(info.f_type as u32))
}

/// Whether a directory tells upper from lower case. One that does not has more names than it lists.
fn tells_case(path: &Path, names: &QuickSet<OsString>) -> bool {
    let turned = names.iter().find_map(|name| {
        let bytes = name.as_bytes();
        let turn =
            |byte: &u8| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        let other = OsString::from(OsStr::from_bytes(&bytes.iter().map(turn).collect::<Vec<_>>()));
        (other != *name && !names.contains(&other)).then_some(other)
    });
    // Names without letters have no case, and a directory of nothing else need not be kept.
    turned.is_some_and(|name| matches!(Seen::at(&path.join(name)), Ok(Seen::Nothing)))
}

/// The file system at one moment.
pub struct Moment<'m, F> {
    machine: &'m Machine<F>,
    directories: &'m Directories,
    view: Mutex<View>,
}

#[derive(Default)]
struct View {
    // By the path as a string, whose hash is the cheaper.
    seen: QuickMap<OsString, Seen>,
    directories: QuickMap<OsString, Directory>,
    /// How many files had been computed for the machine when this was looked at.
    forced: u64,
}

impl<'m, F: Force> Moment<'m, F> {
    /// Now.
    pub fn new(machine: &'m Machine<F>, directories: &'m Directories) -> Self {
        let view = View { forced: machine.forced(), ..View::default() };
        Self { machine, directories, view: Mutex::new(view) }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        let mut view = locked(&self.view);
        // Who waited for a file to be computed is in another moment.
        let forced = self.machine.forced();
        if view.forced != forced {
            *view = View { forced, ..View::default() };
        }
        view
    }

    fn look(&self, view: &mut View, path: &Path) -> io::Result<Seen> {
        if let Some(seen) = view.seen.get(path.as_os_str()) {
            return Ok(*seen);
        }
        let Some((parent, name)) = split(path) else { return Seen::at(path) };
        let seen = match self.directory(view, parent)? {
            Directory::Absent => Seen::Nothing,
            // Not worth remembering: it is as quickly seen again.
            Directory::Listed(names) if name.is_ascii() && !names.names.contains(name) => return Ok(Seen::Nothing),
            Directory::Listed(_) => Seen::at(path)?,
            Directory::There(stamp) => {
                let seen = Seen::at(path)?;
                if seen == Seen::Nothing
                    && let Some(names) = self.directories.missed(parent, &stamp)
                {
                    view.directories.insert(parent.into(), Directory::Listed(names));
                }
                seen
            }
        };
        view.seen.insert(path.into(), seen);
        Ok(seen)
    }

    fn directory(&self, view: &mut View, path: &Path) -> io::Result<Directory> {
        if let Some(known) = view.directories.get(path.as_os_str()) {
            return Ok(known.clone());
        }
        let directory = match self.look(view, path)?.followed() {
            Some(stamp) if stamp.is_dir() => {
                self.directories.names(&stamp).map_or(Directory::There(stamp), Directory::Listed)
            }
            _ => Directory::Absent,
        };
        view.directories.insert(path.into(), directory.clone());
        Ok(directory)
    }
}

/// A path as a directory and a name in it; `None` for what is spelled in any other way.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/')?;
    let name = &bytes[slash + 1..];
    let parent = if slash == 0 { b"/" } else { &bytes[..slash] };
    let plain = !matches!(name, b"" | b"." | b"..") && bytes[0] == b'/';
    plain.then(|| (Path::new(OsStr::from_bytes(parent)), OsStr::from_bytes(name)))
}

impl<F: Force> Sight for Moment<'_, F> {
    fn see(&self, path: &Path) -> io::Result<Seen> {
        let mut view = self.view();
        self.look(&mut view, path)
    }
}

impl<F: Force> World for Moment<'_, F> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let stamp = self.see(path).ok()?.followed()?;
        Some(if stamp.is_file() {
            FileKind::File
        } else if stamp.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        })
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
mod tests {
    use gg_ir::Placeholder;

    use super::*;

    struct Nobody;

    impl Force for Nobody {
        fn outline(&self, _: &gg_ir::Name) -> Option<Arc<[u8]>> {
            None
        }

        fn force(&self, _: &Path, _: &Placeholder) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Looks for what is not there in several moments, until the names are known.
    fn learn(machine: &Machine<Nobody>, directories: &Directories, folder: &Path) {
        for number in 0..WORTH_LISTING {
            let moment = Moment::new(machine, directories);
            assert_eq!(moment.see(&folder.join(format!("none{number}"))).unwrap(), Seen::Nothing);
        }
    }

    fn is_listed(directories: &Directories, folder: &Path) -> bool {
        let stamp = Stamp::of(folder).unwrap();
        directories.names(&stamp).is_some()
    }

    #[test]
    fn what_comes_and_goes_is_seen_at_the_next_moment() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (old, new) = (folder.path().join("old.h"), folder.path().join("new.h"));
        fs::write(&old, "").unwrap();
        std::thread::sleep(Duration::from_millis(150));
        learn(&machine, &directories, folder.path());
        assert!(is_listed(&directories, folder.path()));
        for _ in 0..3 {
            let moment = Moment::new(&machine, &directories);
            assert_eq!(moment.kind(&old), Some(FileKind::File));
            assert_eq!(moment.kind(&new), None);
            fs::write(&new, "").unwrap();
            fs::remove_file(&old).unwrap();
            // A moment stays what it was.
            assert_eq!((moment.kind(&old), moment.kind(&new)), (Some(FileKind::File), None));
            let moment = Moment::new(&machine, &directories);
            assert_eq!((moment.kind(&old), moment.kind(&new)), (None, Some(FileKind::File)));
            fs::rename(&new, &old).unwrap();
        }
    }

    #[test]
    fn a_directory_that_has_just_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        for number in 0..200 {
            fs::write(folder.path().join(format!("{number}.h")), "").unwrap();
            learn(&machine, &directories, folder.path());
            let next = folder.path().join(format!("{}.h", number + 1));
            assert_eq!(Moment::new(&machine, &directories).see(&next).unwrap(), Seen::Nothing);
            fs::write(&next, "").unwrap();
            assert_ne!(Moment::new(&machine, &directories).see(&next).unwrap(), Seen::Nothing, "{number}");
        }
    }

    #[test]
    fn what_lies_below_nothing_is_not_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("Real")).unwrap();
        fs::write(folder.path().join("Real/x.h"), "x").unwrap();
        std::os::unix::fs::symlink("Real", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        learn(&machine, &directories, folder.path());
        let moment = Moment::new(&machine, &directories);
        let see = |path: &str| moment.see(&folder.path().join(path)).unwrap();
        assert_eq!(see("none/deeper/x.h"), Seen::Nothing);
        assert_eq!(see("Real/x.h/below"), Seen::Nothing);
        assert!(matches!(see("link"), Seen::Link(Some(target)) if target.is_dir()));
        assert_eq!(see("dangling"), Seen::Link(None));
        assert!(see("link/x.h").followed().is_some_and(|stamp| stamp.size == 1));
        assert!(see("link/../Real/./x.h").followed().is_some());
        assert_eq!(*moment.read(&folder.path().join("link/x.h")).unwrap(), *b"x");
        let real = folder.path().canonicalize().unwrap();
        for path in ["Real/x.h", "link/x.h", "Real/../link/./x.h", "Real//x.h"] {
            assert_eq!(
                moment.resolve(&real.join(path)).unwrap().as_os_str(),
                real.join("Real/x.h").as_os_str(),
                "{path}"
            );
        }
        assert!(moment.resolve(&real.join("none")).is_err());
    }
}
