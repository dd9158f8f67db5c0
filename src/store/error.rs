//! What can go wrong, on which file, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use gg_ir::{DecodeError, Name};
use rustix::io::Errno;

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store could not do what was asked. The message names the file and says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store does not hold the object, and no file of the system does either.
    #[error("{name} is not in the store")]
    Missing {
        /// The object.
        name: Name,
    },
    /// The object's file did not hold its bytes. It has been moved away, so making or fetching the object again helps.
    #[error("{name} was damaged on disk and has to be made again; the damaged file is kept as {}", kept.display())]
    Corrupt {
        /// The object.
        name: Name,
        /// Where the damaged file is now.
        kept: PathBuf,
    },
    /// The object is what its name says, but no thunk or tree of this version of gg.
    #[error("{name}: {source}")]
    Decode {
        /// The object.
        name: Name,
        /// What does not fit.
        source: DecodeError,
    },
    /// Bytes were handed over under a name that is not theirs.
    #[error("{} holds {found} bytes, which cannot be {name}", path.display())]
    Mismatch {
        /// The name given.
        name: Name,
        /// The file handed over.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// The directory was written by another version of gg.
    #[error(
        "{} is a store of another version of gg ({found:?}): remove it, or set GG_DIR to another directory",
        dir.display()
    )]
    Version {
        /// The store's directory.
        dir: PathBuf,
        /// The text of its version file.
        found: String,
    },
    /// The directory holds something that is not a store and would be mixed up with one.
    #[error("{} is not a gg store, and holds a file or directory called {entry}: set GG_DIR to another directory", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
        /// The name in the way.
        entry: String,
    },
    /// A file kept changing while it was read.
    #[error("{} changes while it is being read: let its writer finish, then run the build again", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// Something other than a regular file where only one makes sense.
    #[error("{} is not a regular file", path.display())]
    NotFile {
        /// The path.
        path: PathBuf,
    },
    /// A directory tree too deep to be a real one.
    #[error("{} is nested more than {limit} directories deep", path.display())]
    TooDeep {
        /// The directory.
        path: PathBuf,
        /// The deepest that is followed.
        limit: usize,
    },
    /// The store is in use by running builds.
    #[error("{builds} running build(s) use {}: wait for them, or repeat the command with --force", dir.display())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
        /// How many leases are held.
        builds: usize,
    },
    /// There is no such file.
    #[error("cannot {action} {}: there is no such file or directory", path.display())]
    NoFile {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The disk or the user's quota is full. Nothing was lost, nothing half-written is left.
    #[error(
        "cannot {action} {}: {source}; free space there, or run `gg gc --max-size SIZE` to shrink gg's store",
        path.display()
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Disk (`ENOSPC`) or quota (`EDQUOT`).
        source: io::Error,
    },
    /// The process may not write files so large.
    #[error("cannot {action} {}: it would be larger than this process may write; raise `ulimit -f`", path.display())]
    FileLimit {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The process or the system has no file descriptors left.
    #[error("cannot {action} {}: {source}; raise `ulimit -n` or run fewer jobs", path.display())]
    Descriptors {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The process's limit (`EMFILE`) or the system's (`ENFILE`).
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error(
        "cannot {action} {}: its file system is read-only; if it is gg's store, set GG_DIR to a directory that can be written",
        path.display()
    )]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The user may not do that.
    #[error(
        "cannot {action} {}: permission denied; check its owner and mode (what gg wrote under sudo belongs to root)",
        path.display()
    )]
    Denied {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Any other error of the system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// The typed error for what the system said when `action` was tried on `path`.
    pub fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let (source, path) = (source.into(), path.to_owned());
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT) => Self::NoFile { action, path },
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full { action, path, source },
            Some(Errno::FBIG) => Self::FileLimit { action, path },
            Some(Errno::MFILE | Errno::NFILE) => Self::Descriptors { action, path, source },
            Some(Errno::ROFS) => Self::ReadOnly { action, path },
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied { action, path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// For `map_err`: what was tried, on what.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::io(action, path, source)
}
