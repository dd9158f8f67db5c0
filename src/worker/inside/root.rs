//! One sandbox's root: a tmpfs that the worker fills through a descriptor, before any process sees it.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    Mode, OFlags, Stat, Timespec, Timestamps, chmodat, fchmod, fstat, futimens, mkdirat, openat, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};

use super::{Setup, Step, shown, step};
use crate::request::{Op, Request, What};

/// The modification time of every file that is put in: 1 January 2000. A program's result must not depend on when it ran, and
/// a file that the program wrote shows by its own time.
const STAMP: i64 = 946_684_800;

/// The root of a sandbox.
#[derive(Debug)]
pub(super) struct Root {
    /// The mount, which outlives the sandbox's processes for as long as this is open.
    pub mount: OwnedFd,
    /// For each step of the request, in the same order: what the regular file that it made looked like afterwards.
    pub made: Vec<Option<Made>>,
}

/// What shows whether a file is still as it was put in. The time of change is no less exact than the kernel's clock tick, and
/// since Linux 6.13 a change after somebody has looked always gets another one ("multigrain timestamps"). So it must be read
/// from each file: no clock tells what a file's would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    inode: u64,
    size: i64,
    mode: u32,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl From<&Stat> for Made {
    fn from(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: stat.st_size,
            mode: stat.st_mode & 0o7777,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl Root {
    /// Makes a root and puts in everything that is not a mount; for those, what they are mounted on.
    pub fn new(setup: &Setup, request: &Request<'_>) -> Step<Self> {
        let tmpfs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(step("open a tmpfs"))?;
        fsconfig_set_string(&tmpfs, "mode", "0755").map_err(step("set the tmpfs's mode"))?;
        fsconfig_set_string(&tmpfs, "size", setup.tmpfs_bytes.to_string()).map_err(step("set the tmpfs's size"))?;
        fsconfig_create(&tmpfs).map_err(step("make a tmpfs"))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = fsmount(&tmpfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(step("mount a tmpfs"))?;
        let made = request
            .ops
            .iter()
            .map(|op| put(&mount, op).map_err(|errno| step(format!("put /{} in", shown(&op.path)))(errno)));
        let made = made.collect::<Step<Vec<_>>>()?;
        for name in ["dev", "proc"] {
            match mkdirat(&mount, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(step(format!("make /{name}"))(errno)),
            }
        }
        Ok(Self { mount, made })
    }
}

pub(crate) fn put(root: impl AsFd, op: &Op<'_>) -> Result<Option<Made>, Errno> {
    let path = op.path.as_os_str();
    match &op.what {
        What::Dir { mode } => {
            mkdirat(&root, path, Mode::from_raw_mode(mode & 0o777))?;
            // The system call ignores the sticky bit and its kin.
            if mode & 0o7000 != 0 {
                chmodat(&root, path, Mode::from_raw_mode(*mode), rustix::fs::AtFlags::empty())?;
            }
        }
        What::Link { target } => symlinkat(target.as_os_str(), &root, path)?,
        What::Bind { directory: true, .. } => mkdirat(&root, path, Mode::from_raw_mode(0o755))?,
        What::Bind { directory: false, .. } => drop(create(&root, op, 0o644)?),
        What::Over { .. } => {}
        What::File { mode, content } => {
            let mut file = File::from(create(&root, op, *mode)?);
            file.write_all(content).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            return stamp(&file).map(Some);
        }
        What::Copy { mode, source } => {
            let mut from =
                File::from(rustix::fs::open(source.as_os_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?);
            let mut file = File::from(create(&root, op, *mode)?);
            std::io::copy(&mut from, &mut file).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            return stamp(&file).map(Some);
        }
    }
    Ok(None)
}

fn create(root: impl AsFd, op: &Op<'_>, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(root, op.path.as_os_str(), flags, Mode::from_raw_mode(mode & 0o777))?;
    if mode & 0o7000 != 0 {
        fchmod(&file, Mode::from_raw_mode(mode & 0o7777))?;
    }
    Ok(file)
}

/// The last that is done to a file; what it looks like then.
fn stamp(file: &File) -> Result<Made, Errno> {
    let time = Timespec { tv_sec: STAMP, tv_nsec: 0 };
    futimens(file, &Timestamps { last_access: time, last_modification: time })?;
    Ok(Made::from(&fstat(file)?))
}
