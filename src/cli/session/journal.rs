//! What a session that dies leaves to the next: the paths at which its unfinished work stands.
//!
//! A record is one byte of kind, the path, and a NUL. Records are appended with one write each before the file in
//! question appears, so the journal of a process that was killed names every placeholder in the tree. Nothing is
//! synced: a journal lost with the power takes its placeholders' tree to the same fate.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A session's directory, locked while the session lives.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    /// Names the session's temporary files, so that they can be told from anyone else's.
    id: String,
    log: File,
    _lock: File,
}

const PLACEHOLDER: u8 = b'p';
const STARTED: u8 = b's';
const FINISHED: u8 = b'f';

/// What a dead session left.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Where placeholders may stand.
    pub placeholders: BTreeSet<PathBuf>,
    /// Files that a tool which ran here was writing to and did not finish.
    pub unfinished: BTreeSet<PathBuf>,
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
                    let lock = File::create(directory.join("lock"))?;
                    if !lock_file(&lock) {
                        continue;
                    }
                    fs::write(directory.join("root"), root.as_os_str().as_bytes())?;
                    let log = OpenOptions::new().create(true).append(true).open(directory.join("journal"))?;
                    return Ok(Self { directory, id, log, _lock: lock });
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

    fn write(&self, kind: u8, path: &Path) -> io::Result<()> {
        let record = [&[kind], path.as_os_str().as_bytes(), b"\0"].concat();
        (&self.log).write_all(&record)
    }
}

fn temporary_prefix(id: &str) -> String {
    format!(".gg.{id}.")
}

fn lock_file(file: &File) -> bool {
    // SAFETY: flock takes any descriptor.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Takes over what dead sessions left in trees that overlap `root`, calling `settle` for each; a session whose remains
/// are settled is forgotten. Sessions of other trees stay until a build there, or for `gg clean`.
pub fn take_over(sessions: &Path, root: &Path, mut settle: impl FnMut(&Remains) -> bool) {
    let Ok(entries) = fs::read_dir(sessions) else { return };
    for entry in entries.flatten() {
        let directory = entry.path();
        // No lock file: the session died while it began, or begins just now and is left alone when fresh.
        let Ok(lock) = File::open(directory.join("lock")) else { continue };
        if !lock_file(&lock) {
            continue;
        }
        let theirs = fs::read(directory.join("root")).unwrap_or_default();
        let theirs = Path::new(OsStr::from_bytes(&theirs));
        let remains = read(&directory);
        let nothing = remains.placeholders.is_empty() && remains.unfinished.is_empty();
        let overlaps = theirs.starts_with(root) || root.starts_with(theirs);
        if nothing || overlaps && settle(&remains) {
            let _ = fs::remove_dir_all(&directory);
        }
    }
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
                remains.placeholders.insert(path);
            }
            STARTED => {
                remains.unfinished.insert(path);
            }
            FINISHED => {
                remains.unfinished.remove(&path);
            }
            _ => {}
        }
    }
    remains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new("/p/sub");
        let journal = Journal::create(folder.path(), root).unwrap();
        journal.placeholder(Path::new("/p/sub/a\nb.o")).unwrap();
        journal.started(Path::new("/p/sub/x")).unwrap();
        journal.started(Path::new("/p/sub/y")).unwrap();
        journal.finished(Path::new("/p/sub/x")).unwrap();
        take_over(folder.path(), root, |_| panic!("the session is alive"));
        drop(journal);
        take_over(folder.path(), Path::new("/q"), |_| panic!("another tree"));
        let mut seen = Vec::new();
        take_over(folder.path(), Path::new("/p"), |remains| {
            seen.push((remains.placeholders.clone(), remains.unfinished.clone()));
            true
        });
        assert_eq!(seen, [([PathBuf::from("/p/sub/a\nb.o")].into(), [PathBuf::from("/p/sub/y")].into())]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
