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
use gg_models::{Answer, Environment, FileKind, Names, State, World};
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

    /// What is at a path. One that is likely to be there is not looked for among the names of its directory.
    fn look(&self, view: &mut View, path: &Path, likely: bool) -> io::Result<Seen> {
        if let Some(seen) = view.seen.get(path.as_os_str()) {
            return Ok(*seen);
        }
        let Some((parent, name)) = split(path) else { return Seen::at(path) };
        let Some(directory) = self.directory(view, parent)? else {
            view.seen.insert(path.into(), Seen::Nothing);
            return Ok(Seen::Nothing);
        };
        if !likely && directory.names.as_ref().is_some_and(|names| name.is_ascii() && !names.contains(name)) {
            // Not worth remembering: it is as quickly seen again.
            return Ok(Seen::Nothing);
        }
        let seen = match &directory.files {
            Some(files) => match files.get(name) {
                Some(seen) => seen,
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
        let stamp = self.look(view, path, false)?.followed().filter(Stamp::is_dir);
        let directory = stamp.map(|stamp| Directory {
            stamp,
            names: self.directories.names(&stamp),
            files: self.directories.files(path, &stamp),
        });
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
fn state(stamp: &Stamp) -> State {
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
        self.look(&mut self.view(), path, false)
    }
}

impl<F: Force> World for Moment<'_, F> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        self.see(path).ok()?.followed().map(|stamp| kind(&stamp))
    }

    fn glance(&self, path: &Path) -> (Option<FileKind>, Option<State>) {
        let Some(stamp) = self.look(&mut self.view(), path, true).ok().and_then(Seen::followed) else {
            return (None, None);
        };
        (Some(kind(&stamp)), was_settled(&stamp, self.begun).then(|| state(&stamp)))
    }

    fn steady(&self, path: &Path) -> bool {
        let stamp = self.look(&mut self.view(), path, true).ok().and_then(Seen::followed);
        stamp.is_some_and(|stamp| self.machine.kept(path, &stamp).is_some())
    }

    fn names(&self, directory: &Path) -> Option<Arc<Names>> {
        self.directory(&mut self.view(), directory).ok()??.names
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
    use std::fs::File;
    use std::io::{Seek, Write};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

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
        for number in 0..4 {
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

    /// A folder with a header that has been looked at, and is known to be kept.
    fn kept(machine: &Machine<Nobody>, directories: &Directories) -> (tempfile::TempDir, PathBuf) {
        directories.keep_files();
        let folder = tempfile::tempdir().unwrap();
        let header = folder.path().join("x.h");
        fs::write(&header, "first").unwrap();
        std::thread::sleep(Duration::from_millis(150));
        for _ in 0..2 {
            assert_eq!(Moment::new(machine, directories).glance(&header).0, Some(FileKind::File));
        }
        assert!(is_kept(directories, &header));
        (folder, header)
    }

    fn is_kept(directories: &Directories, file: &Path) -> bool {
        let folder = file.parent().unwrap();
        let files = directories.files(folder, &Stamp::of(folder).unwrap());
        files.is_some_and(|files| files.get(file.file_name().unwrap()).is_some())
    }

    #[test]
    fn every_change_of_a_kept_file_is_seen_at_the_next_moment() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        type Change = fn(&Path);
        let changes: [(&str, Change); 11] = [
            ("written anew", |path| fs::write(path, "other").unwrap()),
            ("appended to", |path| File::options().append(true).open(path).unwrap().write_all(b"!").unwrap()),
            ("cut", |path| File::options().write(true).open(path).unwrap().set_len(1).unwrap()),
            ("cut by its name", |path| {
                let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
                // SAFETY: a C string.
                assert_eq!(unsafe { libc::truncate(name.as_ptr(), 2) }, 0);
            }),
            ("touched", |path| {
                File::options().write(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap()
            }),
            ("given other permissions", |path| {
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }),
            ("replaced", |path| {
                fs::write(path.with_extension("new"), "other").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("removed", |path| fs::remove_file(path).unwrap()),
            ("moved away", |path| fs::rename(path, path.with_extension("old")).unwrap()),
            ("made a link", |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("nowhere", path).unwrap();
            }),
            ("changed through memory", |path| {
                let file = File::options().read(true).write(true).open(path).unwrap();
                // SAFETY: five bytes of a file that has them, written before they are let go.
                unsafe {
                    let shared = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
                    let at = libc::mmap(std::ptr::null_mut(), 5, shared.0, shared.1, file.as_raw_fd(), 0);
                    assert_ne!(at, libc::MAP_FAILED);
                    drop(file);
                    at.cast::<u8>().write(b'F');
                    assert_eq!(libc::munmap(at, 5), 0);
                }
            }),
        ];
        for (what, change) in changes {
            let (_folder, header) = kept(&machine, &directories);
            let before = Moment::new(&machine, &directories).see(&header).unwrap();
            change(&header);
            let now = Seen::at(&header).unwrap();
            assert_ne!(now, before, "{what}");
            assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), now, "{what}");
        }
    }

    #[test]
    fn what_comes_where_nothing_was_is_seen_at_the_next_moment() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (folder, header) = kept(&machine, &directories);
        let comes: [&dyn Fn(&Path); 4] = [
            &|path| fs::write(path, "").unwrap(),
            &|path| fs::create_dir(path).unwrap(),
            &|path| fs::hard_link(&header, path).unwrap(),
            &|path| fs::rename(&header, path).unwrap(),
        ];
        for (number, come) in comes.iter().enumerate() {
            let path = folder.path().join(format!("new{number}.h"));
            for _ in 0..2 {
                assert_eq!(Moment::new(&machine, &directories).see(&path).unwrap(), Seen::Nothing);
            }
            assert!(is_kept(&directories, &path));
            come(&path);
            let now = Moment::new(&machine, &directories).see(&path).unwrap();
            assert!(now != Seen::Nothing && now == Seen::at(&path).unwrap());
        }
    }

    #[test]
    fn a_change_in_the_same_tick_is_told_to_whoever_asks_for_content() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (_folder, header) = kept(&machine, &directories);
        let mut file = File::options().write(true).open(&header).unwrap();
        for round in 0..200u32 {
            let text = format!("{round:05}");
            file.rewind().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let moment = Moment::new(&machine, &directories);
            // A state that vouches for the content must not be that of a file that has just changed.
            assert_eq!(moment.glance(&header), (Some(FileKind::File), None));
            assert_eq!(*moment.read(&header).unwrap(), *text.as_bytes());
        }
    }

    #[test]
    fn a_file_with_more_names_than_one_is_not_kept() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (_folder, header) = kept(&machine, &directories);
        let elsewhere = tempfile::tempdir_in(header.ancestors().nth(2).unwrap()).unwrap();
        let other = elsewhere.path().join("y.h");
        let stamp = Stamp::of(&header).unwrap();
        directories.aliased(Some((stamp.device, stamp.inode)));
        assert!(!is_kept(&directories, &header));
        // The link is made after it was announced.
        Moment::new(&machine, &directories).see(&header).unwrap();
        assert!(!is_kept(&directories, &header));
        fs::hard_link(&header, &other).unwrap();
        for text in ["second", "third"] {
            fs::write(&other, text).unwrap();
            let seen = Moment::new(&machine, &directories).see(&header).unwrap();
            assert_eq!(seen, Seen::at(&header).unwrap());
            assert!(!is_kept(&directories, &header));
        }
    }

    #[test]
    fn a_directory_that_is_replaced_has_other_files() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (folder, header) = kept(&machine, &directories);
        let (place, aside) = (folder.path().to_path_buf(), folder.path().with_extension("aside"));
        fs::rename(&place, &aside).unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::Nothing);
        fs::create_dir(&place).unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::Nothing);
        fs::write(&header, "another").unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
        fs::remove_dir_all(&place).unwrap();
        fs::rename(&aside, &place).unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
    }

    #[test]
    fn more_changes_than_the_kernel_keeps_are_not_lost() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (folder, header) = kept(&machine, &directories);
        let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let most: usize = most.trim().parse().unwrap();
        let other = folder.path().join("other");
        // Two files in turns: equal notices in a row are told once.
        for round in 0..most / 2 {
            let name = if round % 2 == 0 { &other } else { &other.with_extension("too") };
            fs::write(name, "").unwrap();
        }
        fs::write(&header, "changed at last").unwrap();
        assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
        // The directory has gone and come back meanwhile, perhaps with the same number.
        for round in 0..most / 2 {
            let name = if round % 2 == 0 { &other } else { &other.with_extension("too") };
            fs::write(name, "").unwrap();
        }
        fs::remove_dir_all(folder.path()).unwrap();
        fs::create_dir(folder.path()).unwrap();
        for text in ["a", "bc", "def"] {
            fs::write(&header, text).unwrap();
            assert_eq!(Moment::new(&machine, &directories).see(&header).unwrap(), Seen::at(&header).unwrap());
        }
    }

    #[test]
    fn what_lies_behind_a_link_that_turns_is_not_kept_for_where_it_led() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (folder, header) = kept(&machine, &directories);
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        for (place, text) in [(&one, "1"), (&two, "22")] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("y.h"), text).unwrap();
        }
        let turn = |to: &Path| {
            std::os::unix::fs::symlink(to, folder.path().join("new")).unwrap();
            fs::rename(folder.path().join("new"), folder.path().join("current")).unwrap();
        };
        turn(&one);
        let moment = Moment::new(&machine, &directories);
        assert!(moment.see(&folder.path().join("current")).is_ok());
        assert!(moment.see(&folder.path().join("current/none")).is_ok());
        turn(&two);
        let _ = moment.see(&folder.path().join("current/y.h"));
        drop(header);
        let seen = Moment::new(&machine, &directories).see(&one.join("y.h")).unwrap();
        assert_eq!(seen, Seen::at(&one.join("y.h")).unwrap());
    }

    #[test]
    fn a_notice_in_another_spelling_is_about_the_same_file() {
        let (machine, directories) = (Machine::new(Nobody, None), Directories::default());
        let (folder, header) = kept(&machine, &directories);
        // Where case tells, another file; where it does not, the same.
        fs::write(folder.path().join("X.H"), "").unwrap();
        Moment::new(&machine, &directories);
        assert!(!is_kept(&directories, &header));
        fs::write(folder.path().join("Y.h"), "").unwrap();
        Moment::new(&machine, &directories).see(&folder.path().join("Y.h")).unwrap();
        assert!(is_kept(&directories, &folder.path().join("Y.h")));
        fs::write(folder.path().join("y.h"), "").unwrap();
        Moment::new(&machine, &directories);
        assert!(!is_kept(&directories, &folder.path().join("Y.h")));
    }
}
