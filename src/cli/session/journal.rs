//! What a session that dies leaves to the next: the paths at which its unfinished work stands.
//!
//! A record is one byte of kind, the path, and a NUL. Records are appended with one write each before the file in
//! question appears, so the journal of a process that was killed names every placeholder in the tree. Nothing is
//! synced: a journal lost with the power takes its placeholders' tree to the same fate.
//!
//! A session's directory holds two lock files. `alive` is held by the session's process alone. `lock` is held by its keeper
//! too, which ends what is left of the build when that process is killed: only when it is free, the tree has come to rest.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::lock::try_lock;

/// A session's directory, locked while the session lives.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    /// Names the session's temporary files, so that they can be told from anyone else's.
    id: String,
    log: File,
    /// Which directories are named already.
    folders: Mutex<HashSet<PathBuf>>,
    lock: File,
    _alive: File,
}

const PLACEHOLDER: u8 = b'p';
const STARTED: u8 = b's';
const FINISHED: u8 = b'f';
const FOLDER: u8 = b'd';

/// In the directory of a dead session: some process is setting right what it left.
const RECOVERING: &str = "recovering";

/// How long the end of a dead session's build is waited for; its keeper gives up sooner.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long before a person is told.
const SILENCE: Duration = Duration::from_millis(500);

/// What a dead session left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Where placeholders may stand.
    pub placeholders: BTreeSet<PathBuf>,
    /// Files that a tool which ran here was writing to and did not finish.
    pub unfinished: BTreeSet<PathBuf>,
    /// Where the session's temporary files may be.
    pub folders: BTreeSet<PathBuf>,
    /// How the session's temporary files begin.
    pub temporary_prefix: String,
}

impl Journal {
    /// Starts a session below `sessions` for a build in `root`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(sessions: &Path, root: &Path) -> io::Result<Self> {
        fs::create_dir_all(sessions)?;
        let pid = std::process::id();
        for attempt in 0u32.. {
            let id = format!("{pid}.{attempt}");
            let directory = sessions.join(&id);
            match fs::create_dir(&directory) {
                Ok(()) => {
                    let (alive, lock) = (File::create(directory.join("alive"))?, File::create(directory.join("lock"))?);
                    if !try_lock(&alive) || !try_lock(&lock) {
                        continue;
                    }
                    fs::write(directory.join("root"), root.as_os_str().as_bytes())?;
                    let log = OpenOptions::new().create(true).append(true).open(directory.join("journal"))?;
                    return Ok(Self { directory, id, log, folders: Mutex::default(), lock, _alive: alive });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The session's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// While this is open in any process, nobody sets the tree right.
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// A name for a temporary file in any directory, unique to `number` and this session.
    pub fn temporary_name(&self, number: u64) -> String {
        format!("{}{number}", temporary_prefix(&self.id))
    }

    /// A placeholder is about to stand at `path`.
    ///
    /// # Errors
    /// Whatever the file system says; then the placeholder must not be placed.
    pub fn placeholder(&self, path: &Path) -> io::Result<()> {
        self.write(PLACEHOLDER, path)
    }

    /// A tool that runs here is about to write to `path`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn started(&self, path: &Path) -> io::Result<()> {
        self.write(STARTED, path)
    }

    /// The tool that was writing to `path` has ended.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn finished(&self, path: &Path) -> io::Result<()> {
        self.write(FINISHED, path)
    }

    /// A temporary file is about to stand in `folder`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn folder(&self, folder: &Path) -> io::Result<()> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if !folders.contains(folder) {
            self.write(FOLDER, folder)?;
            folders.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn write(&self, kind: u8, path: &Path) -> io::Result<()> {
        let record = [&[kind], path.as_os_str().as_bytes(), b"\0"].concat();
        (&self.log).write_all(&record)
    }
}

fn temporary_prefix(id: &str) -> String {
    format!(".gg.{id}.")
}

/// Who takes over.
pub struct Heir<'a> {
    /// The trees that are going to be built; what concerns other trees stays until a build there, or for `gg clean`.
    pub roots: &'a [PathBuf],
    /// Told when something has to be waited for.
    pub notice: &'a dyn Fn(&str),
    /// Whether to give up.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// Takes over what dead sessions left, calling `settle` for each; a session whose remains are settled is forgotten. A
/// session whose build is still being ended, or whose tree another process sets right just now, is waited for.
pub fn take_over(sessions: &Path, heir: &Heir<'_>, mut settle: impl FnMut(&Remains) -> bool) {
    let Ok(entries) = fs::read_dir(sessions) else { return };
    for entry in entries.flatten() {
        let directory = entry.path();
        // No lock file: the session died while it began, or begins just now and is left alone when fresh.
        let (Ok(alive), Ok(lock)) = (File::open(directory.join("alive")), File::open(directory.join("lock"))) else {
            continue;
        };
        let is_dead = try_lock(&alive);
        if !is_dead && !directory.join(RECOVERING).exists() {
            continue;
        }
        // What is not in the way is not waited for.
        let in_the_way = overlaps(&directory, &read(&directory), heir.roots);
        let at_hand = is_dead && try_lock(&lock);
        if !(in_the_way || at_hand) {
            continue;
        }
        let at_rest = heir.wait_for(&alive, None, "another gg to set right what a killed build left here")
            && heir.wait_for(&lock, Some(PATIENCE), "the end of a build whose gg was killed");
        if !at_rest {
            continue;
        }
        let remains = read(&directory);
        let nothing = remains.placeholders.is_empty() && remains.unfinished.is_empty() && remains.folders.is_empty();
        // It only tells others to wait, so a process that cannot write it can do its work.
        let _ = File::create(directory.join(RECOVERING));
        if nothing || overlaps(&directory, &remains, heir.roots) && settle(&remains) {
            let _ = fs::remove_dir_all(&directory);
        } else {
            let _ = fs::remove_file(directory.join(RECOVERING));
        }
    }
}

impl Heir<'_> {
    fn wait_for(&self, file: &File, patience: Option<Duration>, what: &str) -> bool {
        let begun = Instant::now();
        let mut told = false;
        while !try_lock(file) {
            let waited = begun.elapsed();
            if (self.interrupted)() {
                return false;
            }
            if patience.is_some_and(|patience| waited > patience) {
                (self.notice)(&format!("going on, although {what} does not come"));
                return false;
            }
            if waited > SILENCE && !told {
                (self.notice)(&format!("waiting for {what}"));
                told = true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// Whether a dead session has anything to do with a build in one of `roots`: by where it was started, or by where it wrote.
fn overlaps(directory: &Path, remains: &Remains, roots: &[PathBuf]) -> bool {
    let theirs = fs::read(directory.join("root")).unwrap_or_default();
    let theirs = Path::new(OsStr::from_bytes(&theirs));
    roots.iter().any(|root| {
        let below = |path: &PathBuf| path.starts_with(root);
        theirs.starts_with(root)
            || root.starts_with(theirs)
            || remains.placeholders.iter().any(below)
            || remains.unfinished.iter().any(below)
            || remains.folders.iter().any(below)
    })
}

fn read(directory: &Path) -> Remains {
    let mut remains = Remains::default();
    if let Some(id) = directory.file_name() {
        remains.temporary_prefix = temporary_prefix(&id.to_string_lossy());
    }
    let bytes = fs::read(directory.join("journal")).unwrap_or_default();
    // What follows the last NUL is a record cut short, whose file had not appeared yet.
    for record in bytes.split_inclusive(|&b| b == 0).filter_map(|record| record.strip_suffix(b"\0")) {
        let Some((kind, path)) = record.split_first() else { continue };
        let path = PathBuf::from(OsStr::from_bytes(path));
        match *kind {
            PLACEHOLDER => {
                remains.folders.extend(path.parent().map(Path::to_path_buf));
                remains.placeholders.insert(path);
            }
            STARTED => {
                remains.unfinished.insert(path);
            }
            FINISHED => {
                remains.unfinished.remove(&path);
            }
            FOLDER => {
                remains.folders.insert(path);
            }
            _ => {}
        }
    }
    remains
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heirs(sessions: &Path, roots: &[&str], settle: impl FnMut(&Remains) -> bool) {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        take_over(sessions, &Heir { roots: &roots, notice: &|_| (), interrupted: &|| false }, settle);
    }

    #[test]
    fn only_the_dead_are_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new("/p/sub");
        let journal = Journal::create(folder.path(), root).unwrap();
        journal.placeholder(Path::new("/p/sub/a\nb.o")).unwrap();
        journal.placeholder(Path::new("/elsewhere/c.o")).unwrap();
        journal.folder(Path::new("/p/d")).unwrap();
        journal.folder(Path::new("/p/d")).unwrap();
        journal.started(Path::new("/p/sub/x")).unwrap();
        journal.started(Path::new("/p/sub/y")).unwrap();
        journal.finished(Path::new("/p/sub/x")).unwrap();
        heirs(folder.path(), &["/p/sub"], |_| panic!("the session is alive"));
        drop(journal);
        heirs(folder.path(), &["/q"], |_| panic!("another tree"));
        // Not settled, so it stays: by where it wrote, and by where it began.
        for roots in [["/q", "/elsewhere"], ["/q", "/p/d"], ["/q", "/p"]] {
            let mut seen = 0;
            heirs(folder.path(), &roots, |remains| {
                assert_eq!(remains.placeholders, [PathBuf::from("/p/sub/a\nb.o"), "/elsewhere/c.o".into()].into());
                assert_eq!(remains.unfinished, [PathBuf::from("/p/sub/y")].into());
                assert_eq!(remains.folders, ["/p/sub", "/elsewhere", "/p/d"].map(PathBuf::from).into());
                seen += 1;
                false
            });
            assert_eq!(seen, 1, "{roots:?}");
        }
        heirs(folder.path(), &["/p/sub/deep"], |_| true);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_build_that_is_still_ending_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), Path::new("/p")).unwrap();
        journal.placeholder(Path::new("/p/a.o")).unwrap();
        // As in the keeper: the lock without the sign of life.
        let keeper = journal.lock().try_clone_to_owned().unwrap();
        drop(journal);
        heirs(folder.path(), &["/q"], |_| panic!("another tree"));
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                ended.store(true, std::sync::atomic::Ordering::SeqCst);
                drop(keeper);
            });
            let mut seen = 0;
            heirs(folder.path(), &["/p"], |_| {
                assert!(ended.load(std::sync::atomic::Ordering::SeqCst));
                seen += 1;
                true
            });
            assert_eq!(seen, 1);
        });
    }

    #[test]
    fn two_do_not_take_over_at_once() {
        let folder = tempfile::tempdir().unwrap();
        Journal::create(folder.path(), Path::new("/p")).unwrap().placeholder(Path::new("/p/a.o")).unwrap();
        let settled = std::sync::atomic::AtomicU32::new(0);
        let settle = || {
            heirs(folder.path(), &["/p"], |_| {
                std::thread::sleep(Duration::from_millis(300));
                settled.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                true
            });
            // Whoever comes here finds it settled.
            assert_eq!(settled.load(std::sync::atomic::Ordering::SeqCst), 1);
        };
        std::thread::scope(|scope| {
            scope.spawn(settle);
            std::thread::sleep(Duration::from_millis(100));
            scope.spawn(settle);
        });
    }
}
