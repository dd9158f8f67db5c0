//! What the program wrote: its outputs, and what it did not declare.
//!
//! By now every process of the sandbox is gone, so nothing changes any more; the root is still there because the worker
//! holds it open, without what was mounted in it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;

use super::root::{Root, STAMP};
use super::{Step, step};
use crate::reply::{Which, Written};
use crate::request::{Request, What};

/// A regular file that the program wrote, open for reading.
pub(super) struct Found {
    pub fd: OwnedFd,
    pub written: Written,
}

/// No path that a program could name is longer (`PATH_MAX`), and no directory below one is looked at.
const DEEPEST: usize = 4096;

/// Nothing here may block on, or take over, what a program has put in place of a file.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// The outputs at their real paths, for a program that ran without a sandbox.
pub(super) fn in_place(request: &Request<'_>) -> Step<Vec<Found>> {
    declared(request, |path| rustix::fs::open(path, OPEN, Mode::empty()))
        .map(|files| files.into_iter().map(|(found, _)| found).collect())
}

/// The outputs, then the files that were written without being declared.
pub(super) fn from_root(root: &Root, request: &Request<'_>) -> Step<Vec<Found>> {
    // Whatever links the program has left: resolved as the program saw them, they cannot lead out.
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let outputs = declared(request, |path| openat2(&root.mount, path, OPEN, Mode::empty(), inside))?;
    let mut search = Search {
        root,
        temporary: request.temporary.iter().map(OsString::as_os_str).collect(),
        planned: request.ops.iter().map(|op| (op.path.as_os_str(), &op.what)).collect(),
        declared: request
            .outputs
            .iter()
            .map(|path| Path::new(path).strip_prefix("/").unwrap_or(Path::new("")))
            .collect(),
        taken: outputs.iter().map(|(_, inode)| *inode).collect(),
        found: outputs.into_iter().map(|(found, _)| found).collect(),
    };
    let top = openat(&root.mount, ".", OPEN | OFlags::DIRECTORY, Mode::empty()).map_err(step("read the root"))?;
    search.directory(top, Path::new("")).map_err(step("look for files that were not declared"))?;
    Ok(search.found)
}

fn declared(request: &Request<'_>, open: impl Fn(&OsStr) -> Result<OwnedFd, Errno>) -> Step<Vec<(Found, u64)>> {
    let mut files = Vec::new();
    for (index, path) in (0..).zip(&request.outputs) {
        let fd = match open(path) {
            Ok(fd) => fd,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => return Err(step("open an output")(Errno::MFILE)),
            // Not there, or nothing that can be opened: a device without a driver, a link that leads nowhere.
            Err(_) => continue,
        };
        let stat = fstat(&fd).map_err(step("look at an output"))?;
        if is_regular(&stat) {
            let written = Written { which: Which::Declared(index), mode: stat.st_mode & 0o7777 };
            files.push((Found { fd, written }, stat.st_ino));
        }
    }
    Ok(files)
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

struct Search<'a> {
    root: &'a Root,
    temporary: HashSet<&'a OsStr>,
    planned: HashMap<&'a OsStr, &'a What<'a>>,
    /// Outputs' paths, relative to the root.
    declared: HashSet<&'a Path>,
    /// Inodes of the outputs that were found, which a link may have led to.
    taken: HashSet<u64>,
    found: Vec<Found>,
}

impl Search<'_> {
    /// Searches the directory at `path`, relative to the root.
    fn directory(&mut self, fd: OwnedFd, path: &Path) -> Result<(), Errno> {
        if path.as_os_str().len() > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        let temporary = self.temporary.contains(path.as_os_str());
        let top = path.as_os_str().is_empty();
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            // What is mounted on these two is never the program's.
            if matches!(name.as_bytes(), b"." | b"..") || top && matches!(name.as_bytes(), b"dev" | b"proc") {
                continue;
            }
            let path = path.join(name);
            let planned = self.planned.get(path.as_os_str()).copied();
            if temporary && planned.is_none() || matches!(planned, Some(What::Bind { .. })) {
                continue;
            }
            match entry.file_type() {
                FileType::Directory => {
                    let below = openat(&fd, name, OPEN | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
                    self.directory(below, &path)?;
                }
                FileType::RegularFile => self.file(&fd, name, &path, planned)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &OwnedFd, name: &OsStr, path: &Path, planned: Option<&What<'_>>) -> Result<(), Errno> {
        let stat = rustix::fs::statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        // A second name of an output (a hard link) is a file of its own.
        if self.declared.contains(path) || self.taken.contains(&stat.st_ino) && stat.st_nlink == 1 {
            return Ok(());
        }
        if planned.is_some_and(|planned| !self.touched(&stat, planned)) {
            return Ok(());
        }
        let fd = openat(dir, name, OPEN | OFlags::NOFOLLOW, Mode::empty())?;
        if matches!(planned, Some(What::File { mode, content })
            if *mode & 0o7777 == stat.st_mode & 0o7777 && same(&fd, content))
        {
            return Ok(());
        }
        let which = Which::Undeclared(path.as_os_str().to_owned());
        self.found.push(Found { fd, written: Written { which, mode: stat.st_mode & 0o7777 } });
        Ok(())
    }

    /// Whether a file that was put in may have been changed since. Times are those of the kernel's clock tick: a change
    /// within the tick (some milliseconds) in which the set-up ended still shows, for it moves the modification time.
    fn touched(&self, stat: &Stat, planned: &What<'_>) -> bool {
        let changed = (stat.st_ctime, stat.st_ctime_nsec as i64);
        let size = match planned {
            What::File { content, .. } => content.len() as i64,
            _ => stat.st_size,
        };
        stat.st_mtime != STAMP
            || stat.st_mtime_nsec != 0
            || stat.st_size != size
            || changed > (self.root.ready.tv_sec, self.root.ready.tv_nsec)
    }
}

/// Whether the file holds exactly these bytes.
fn same(fd: impl AsFd, content: &[u8]) -> bool {
    let Ok(copy) = fd.as_fd().try_clone_to_owned() else { return false };
    let mut bytes = Vec::with_capacity(content.len() + 1);
    let read = File::from(copy).take(content.len() as u64 + 1).read_to_end(&mut bytes);
    // The descriptor goes on to the pool, which reads from an offset of its own.
    read.is_ok() && bytes == content
}
