//! A path as the held process means it: relative to its directory or one of its descriptors, under its root.
//!
//! Everything goes through `/proc/TID`, where `cwd`, `root` and `fd/N` are links that lead to the very directory, in
//! whatever mount namespace. Only absolute symbolic links need care: a walk from here would take them from *our* root.
//! So a process whose root is not ours ([`Views`]) gets the slower walk with `openat2` and `RESOLVE_IN_ROOT`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;

use crate::FileId;

/// Where a relative path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Cwd,
    Fd(i32),
}

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub id: FileId,
    pub mode: u32,
}

impl Found {
    fn of(stat: &libc::stat) -> Found {
        Found { id: FileId { device: stat.st_dev, inode: stat.st_ino }, mode: stat.st_mode }
    }

    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    pub fn is_executable(&self) -> bool {
        self.is_file() && self.mode & 0o111 != 0
    }
}

/// A path of one thread.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub tid: u32,
    pub base: Base,
    /// Without NUL. Empty means the base itself.
    pub path: Vec<u8>,
    /// Whether a symbolic link at the end is followed.
    pub follow: bool,
    /// Whether the thread has a root of its own.
    pub foreign: bool,
}

impl Place {
    /// Another path of the same thread, relative to its directory.
    pub fn sibling(&self, path: Vec<u8>) -> Place {
        Place { tid: self.tid, base: Base::Cwd, path, follow: true, foreign: self.foreign }
    }

    /// What is there now, if anything is.
    pub fn look(&self) -> Option<Found> {
        if self.foreign {
            return found_at(self.open_in_root(libc::O_PATH).ok()?.as_raw_fd());
        }
        match stat(libc::AT_FDCWD, self.outside(), self.follows()) {
            Ok(found) => Some(found),
            Err(e) if e.raw_os_error() == Some(libc::ENAMETOOLONG) => {
                let base = open(libc::AT_FDCWD, base_path(self.tid, self.base), libc::O_PATH).ok()?;
                stat(base.as_raw_fd(), self.path.clone(), self.follows()).ok()
            }
            Err(_) => None,
        }
    }

    /// Opens it, for this process.
    pub fn open(&self, flags: c_int) -> io::Result<OwnedFd> {
        if self.foreign {
            return self.open_in_root(flags);
        }
        let flags = if self.follows() { flags } else { flags | libc::O_NOFOLLOW };
        match open(libc::AT_FDCWD, self.outside(), flags) {
            Err(e) if e.raw_os_error() == Some(libc::ENAMETOOLONG) => {
                let base = open(libc::AT_FDCWD, base_path(self.tid, self.base), libc::O_PATH)?;
                open(base.as_raw_fd(), self.path.clone(), flags)
            }
            other => other,
        }
    }

    /// The file and a path that leads to it from here, free of symbolic links.
    pub fn real(&self) -> Option<(PathBuf, FileId)> {
        let fd = self.open(libc::O_PATH).ok()?;
        let found = found_at(fd.as_raw_fd())?;
        Some((self.seen_from_here(&fd, found)?, found.id))
    }

    /// The directory that holds the name, free of symbolic links and with its device, and the name itself.
    pub fn parent(&self) -> Option<(PathBuf, u64, OsString)> {
        let end = self.path.iter().rposition(|b| *b != b'/')? + 1;
        let path = &self.path[..end];
        let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..=slash], &path[slash + 1..]),
            None => (&b"."[..], path),
        };
        if name == b"." || name == b".." {
            return None;
        }
        let parent = Place { path: dir.to_vec(), follow: true, ..self.clone() };
        let (path, id) = parent.real()?;
        Some((path, id.device, OsString::from_vec(name.to_vec())))
    }

    /// The path made absolute and otherwise left as it is, for reports.
    pub fn shown(&self) -> PathBuf {
        if self.path.starts_with(b"/") {
            return PathBuf::from(OsString::from_vec(self.path.clone()));
        }
        let base =
            std::fs::read_link(Path::new(&OsString::from_vec(base_path(self.tid, self.base)))).unwrap_or_default();
        let path = self.path.strip_prefix(b"./").unwrap_or(&self.path);
        if path.is_empty() { base } else { base.join(std::ffi::OsStr::from_bytes(path)) }
    }

    fn follows(&self) -> bool {
        self.follow || self.path.is_empty()
    }

    /// The path as this process must write it; right as long as the roots are the same.
    fn outside(&self) -> Vec<u8> {
        if self.path.starts_with(b"/") {
            for own in [&b"/proc/self/"[..], b"/proc/thread-self/"] {
                if let Some(rest) = self.path.strip_prefix(own) {
                    return [format!("/proc/{}/", self.tid).as_bytes(), rest].concat();
                }
            }
            return self.path.clone();
        }
        let mut out = base_path(self.tid, self.base);
        if !self.path.is_empty() {
            out.push(b'/');
            out.extend_from_slice(&self.path);
        }
        out
    }

    /// Walks from the thread's own root and nowhere above it.
    fn open_in_root(&self, flags: c_int) -> io::Result<OwnedFd> {
        if self.path.is_empty() {
            return open(libc::AT_FDCWD, base_path(self.tid, self.base), flags);
        }
        let root_path = format!("/proc/{}/root", self.tid).into_bytes();
        let root = open(libc::AT_FDCWD, root_path.clone(), libc::O_PATH | libc::O_DIRECTORY)?;
        let mut path = self.path.clone();
        if !path.starts_with(b"/") {
            let root_name = std::fs::read_link(OsString::from_vec(root_path))?;
            let base = std::fs::read_link(OsString::from_vec(base_path(self.tid, self.base)))?;
            let inside = base.strip_prefix(&root_name).unwrap_or(&base);
            path = [inside.as_os_str().as_bytes(), b"/", &path].concat();
        }
        path.push(0);
        let flags = if self.follow { flags } else { flags | libc::O_NOFOLLOW };
        // SAFETY: plain integers.
        let mut how: libc::open_how = unsafe { zeroed() };
        how.flags = (flags | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_IN_ROOT;
        // SAFETY: the path ends in NUL, the structure has the stated size.
        let fd = unsafe {
            let size = size_of::<libc::open_how>();
            libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size)
        };
        owned(fd as RawFd)
    }

    /// Which name an open file has in this process's view: its own one, if that leads to the same file, and otherwise
    /// the way through the thread's root.
    fn seen_from_here(&self, fd: &OwnedFd, found: Found) -> Option<PathBuf> {
        let name = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
        if leads_to(&name, found.id) {
            return Some(name);
        }
        let root = std::fs::read_link(format!("/proc/{}/root", self.tid)).ok()?;
        let inside = name.strip_prefix(&root).or_else(|_| name.strip_prefix("/")).ok()?;
        let name = PathBuf::from(format!("/proc/{}/root", self.tid)).join(inside);
        leads_to(&name, found.id).then_some(name)
    }
}

/// Knows whether paths of a thread mean what they mean to this process.
#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Set by the first call that could have given a process another view; until then all have ours.
    changed: AtomicBool,
}

impl Views {
    pub fn change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Whether the thread has another root or mount namespace.
    pub fn foreign(&self, tid: u32) -> bool {
        if !self.changed.load(Ordering::Relaxed) {
            return false;
        }
        let id = |path: String| stat(libc::AT_FDCWD, path.into_bytes(), true).ok().map(|f| f.id);
        let differs = |what: &str| id(format!("/proc/{tid}/{what}")) != id(format!("/proc/self/{what}"));
        differs("root") || differs("ns/mnt")
    }
}

fn base_path(tid: u32, base: Base) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    // Writing to a Vec cannot fail.
    let _ = match base {
        Base::Cwd => write!(out, "/proc/{tid}/cwd"),
        Base::Fd(fd) => write!(out, "/proc/{tid}/fd/{fd}"),
    };
    out
}

fn leads_to(path: &Path, id: FileId) -> bool {
    stat(libc::AT_FDCWD, path.as_os_str().as_bytes().to_vec(), false).is_ok_and(|found| found.id == id)
}

fn stat(dir: RawFd, mut path: Vec<u8>, follow: bool) -> io::Result<Found> {
    path.push(0);
    let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    // SAFETY: plain integers.
    let mut stat: libc::stat = unsafe { zeroed() };
    // SAFETY: the path ends in NUL, the structure is valid for writes.
    if unsafe { libc::fstatat(dir, path.as_ptr().cast(), &raw mut stat, flags | libc::AT_NO_AUTOMOUNT) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Found::of(&stat))
}

fn found_at(fd: RawFd) -> Option<Found> {
    // SAFETY: plain integers.
    let mut stat: libc::stat = unsafe { zeroed() };
    // SAFETY: the structure is valid for writes.
    (unsafe { libc::fstat(fd, &raw mut stat) } == 0).then(|| Found::of(&stat))
}

fn open(dir: RawFd, mut path: Vec<u8>, flags: c_int) -> io::Result<OwnedFd> {
    path.push(0);
    // SAFETY: the path ends in NUL.
    owned(unsafe { libc::openat(dir, path.as_ptr().cast(), flags | libc::O_CLOEXEC) })
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn place(base: Base, path: &[u8], foreign: bool) -> Place {
        Place { tid: std::process::id(), base, path: path.to_vec(), follow: true, foreign }
    }

    #[test]
    fn relative_to_a_descriptor_in_both_views() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::write(real.join("a b\n"), "x").unwrap();
        symlink(real.join("a b\n"), real.join("link")).unwrap();
        let id = std::fs::metadata(real.join("link")).unwrap().ino();
        let fd = std::fs::File::open(&real).unwrap();
        for foreign in [false, true] {
            let place = place(Base::Fd(fd.as_raw_fd()), b"link", foreign);
            assert_eq!(place.look().unwrap().id.inode, id);
            assert_eq!(place.real().unwrap(), (real.join("a b\n"), place.look().unwrap().id));
            let unfollowed = Place { follow: false, ..place.clone() };
            assert_ne!(unfollowed.look().unwrap().id.inode, id);
            assert_eq!(place.shown(), real.join("link"));
            let (parent, _, name) = place.parent().unwrap();
            assert_eq!((parent, name.as_bytes()), (real.clone(), &b"link"[..]));
            let missing = Place { path: b"none".to_vec(), ..place };
            assert!(missing.look().is_none());
        }
        let itself = place(Base::Fd(fd.as_raw_fd()), b"", false);
        assert!(itself.look().unwrap().is_directory());
    }

    #[test]
    fn paths_as_long_as_the_kernel_takes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "x").unwrap();
        let fd = std::fs::File::open(dir.path()).unwrap();
        let mut path = b"./".repeat(2046);
        path.push(b'f');
        assert_eq!(path.len(), 4093);
        let place = place(Base::Fd(fd.as_raw_fd()), &path, false);
        assert!(place.look().unwrap().is_file());
        assert_eq!(place.real().unwrap().0, dir.path().canonicalize().unwrap().join("f"));
    }

    #[test]
    fn parents() {
        for (path, parent, name) in
            [("/usr/", "/", "usr"), ("/usr/bin//", "/usr", "bin"), ("/usr/../usr/x", "/usr", "x")]
        {
            let (dir, _, last) = place(Base::Cwd, path.as_bytes(), false).parent().unwrap();
            assert_eq!((dir.as_path(), last.to_str()), (Path::new(parent), Some(name)));
        }
        for path in ["/", "/usr/..", ".", "/nowhere/at/all"] {
            assert!(place(Base::Cwd, path.as_bytes(), false).parent().is_none(), "{path}");
        }
    }

    #[test]
    fn self_is_the_other_process() {
        let place = Place { tid: 1, ..place(Base::Cwd, b"/proc/self/stat", false) };
        assert_eq!(place.outside(), b"/proc/1/stat");
    }
}
