//! Stamps: the identity of one state of a file.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the system says about one state of a file. Two equal stamps taken apart mean the same content, if the first was
/// taken long enough after the file's last change: see [`SETTLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The file system (`st_dev`).
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// The length in bytes.
    pub size: u64,
    /// Type and permission bits (`st_mode`).
    pub mode: u32,
    /// The last modification, nanoseconds since 1970. Anyone may set it to anything.
    pub mtime_ns: i64,
    /// The last change of content or attributes, nanoseconds since 1970. Only the kernel sets it.
    pub ctime_ns: i64,
}

/// How long a file must have been left alone before its stamp vouches for its content.
///
/// File systems keep time in ticks (4 ms at 250 Hz, and some remote ones more), so a file that is written, read and
/// written again within a tick has the same stamp in both states. This is git's racy-index problem, and git's answer:
/// believe a stamp only when it was taken clearly later than the change that it shows.
///
/// One thing no stamp shows: a process that still has the file mapped for writing may change it for some seconds without
/// a new time. So files are hashed after the program that writes them has ended, never while it runs.
pub const SETTLE: Duration = Duration::from_millis(100);

const NANOS: i64 = 1_000_000_000;

impl Stamp {
    /// The stamp of the file at a path; symbolic links are followed.
    ///
    /// # Errors
    /// What `stat` says.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }

    /// The stamp of an open file.
    ///
    /// # Errors
    /// What `fstat` says.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & 0o170000 == 0o100000
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170000 == 0o040000
    }

    /// Whether a hash begun at `now_ns` may be believed for as long as the stamp stays the same.
    ///
    /// Only the time of change counts: any write sets it, and unlike the time of modification nobody can set it back.
    pub(crate) fn settled(&self, now_ns: i64) -> bool {
        self.ctime_ns.saturating_add(SETTLE.as_nanos() as i64) <= now_ns
    }

    /// Waits until the file has been left alone for [`SETTLE`]; a change time in the future is not waited for.
    pub(crate) fn settle(&self) {
        let age = now_ns().saturating_sub(self.ctime_ns);
        if (0..SETTLE.as_nanos() as i64).contains(&age) {
            std::thread::sleep(SETTLE - Duration::from_nanos(age.unsigned_abs()) + Duration::from_millis(1));
        }
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            mode: meta.mode(),
            mtime_ns: meta.mtime().saturating_mul(NANOS).saturating_add(meta.mtime_nsec()),
            ctime_ns: meta.ctime().saturating_mul(NANOS).saturating_add(meta.ctime_nsec()),
        }
    }
}

/// Now, by the clock that file systems use.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// When a file was last written or used, nanoseconds since 1970: the later of access and modification.
pub(crate) fn last_use(meta: &Metadata) -> i64 {
    let access = meta.atime().saturating_mul(NANOS).saturating_add(meta.atime_nsec());
    access.max(Stamp::from(meta).mtime_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_time_counts() {
        let stamp = Stamp { device: 1, inode: 2, size: 3, mode: 0o100644, mtime_ns: i64::MAX, ctime_ns: 5 * NANOS };
        assert!(!stamp.settled(5 * NANOS));
        assert!(!stamp.settled(5 * NANOS + 99_999_999));
        assert!(stamp.settled(5 * NANOS + 100_000_000));
        assert!(!Stamp { ctime_ns: i64::MAX, ..stamp }.settled(i64::MAX - 1));
    }

    #[test]
    fn a_change_changes_the_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let before = Stamp::of(&path).unwrap();
        before.settle();
        assert!(before.settled(now_ns()));
        assert_eq!(Stamp::of_file(&File::open(&path).unwrap()).unwrap(), before);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(Stamp::of(&path).unwrap(), before);
        assert!(before.is_file() && !before.is_dir());
    }
}
