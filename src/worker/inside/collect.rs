//! What the program wrote: its outputs, and what it did not declare.
//!
//! By now every process of the sandbox is gone, so nothing changes any more; the root is still there because the worker
//! holds it open, without what was mounted in it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;

use super::root::{Made, Root};
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

/// Files are compared in pieces of this size.
const PIECE: u64 = 64 << 10;

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
    let planned = request.ops.iter().zip(&root.made).map(|(op, made)| (op.path.as_os_str(), (&op.what, *made)));
    let mut search = Search {
        temporary: request.temporary.iter().map(OsString::as_os_str).collect(),
        planned: planned.collect(),
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

/// What was put in, and what it looked like then.
type Planned<'a> = (&'a What<'a>, Option<Made>);

struct Search<'a> {
    temporary: HashSet<&'a OsStr>,
    planned: HashMap<&'a OsStr, Planned<'a>>,
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
            if temporary && planned.is_none() || matches!(planned, Some((What::Bind { .. }, _))) {
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

    fn file(&mut self, dir: &OwnedFd, name: &OsStr, path: &Path, planned: Option<Planned<'_>>) -> Result<(), Errno> {
        let stat = rustix::fs::statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        // A second name of an output (a hard link) is a file of its own.
        if self.declared.contains(path) || self.taken.contains(&stat.st_ino) && stat.st_nlink == 1 {
            return Ok(());
        }
        if planned.is_some_and(|(_, made)| made == Some(Made::from(&stat))) {
            return Ok(());
        }
        let fd = openat(dir, name, OPEN | OFlags::NOFOLLOW, Mode::empty())?;
        if planned.is_some_and(|(what, _)| is_still(what, &stat, &fd)) {
            return Ok(());
        }
        let which = Which::Undeclared(path.as_os_str().to_owned());
        self.found.push(Found { fd, written: Written { which, mode: stat.st_mode & 0o7777 } });
        Ok(())
    }
}

/// Whether a file whose stamps differ from those that it was put in with has the same permission bits and content all the
/// same: something was linked to it, say, or it was written anew as it was.
fn is_still(what: &What<'_>, stat: &Stat, fd: &OwnedFd) -> bool {
    match what {
        What::File { mode, content } => *mode & 0o7777 == stat.st_mode & 0o7777 && same(fd, &content[..]),
        What::Copy { mode, source } => {
            *mode & 0o7777 == stat.st_mode & 0o7777
                && rustix::fs::open(source.as_os_str(), OPEN, Mode::empty())
                    .is_ok_and(|source| same(fd, File::from(source)))
        }
        _ => false,
    }
}

/// Whether the file holds exactly what `wanted` gives. The descriptor goes on to the pool, which reads from the beginning.
fn same(fd: &OwnedFd, mut wanted: impl Read) -> bool {
    let Ok(copy) = fd.try_clone() else { return false };
    let (mut file, mut here, mut there) = (File::from(copy), Vec::new(), Vec::new());
    loop {
        here.clear();
        there.clear();
        let piece = |from: &mut dyn Read, to: &mut Vec<u8>| from.take(PIECE).read_to_end(to);
        match (piece(&mut file, &mut here), piece(&mut wanted, &mut there)) {
            (Ok(0), Ok(0)) => return true,
            (Ok(_), Ok(_)) if here == there => {}
            _ => return false,
        }
    }
}
