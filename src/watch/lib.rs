//! During a build, small *placeholder* files stand for outputs that are not computed yet. This crate makes sure that no
//! program of the build ever reads one: whatever opens, executes or hard-links a placeholder (a static binary too, a
//! process in a nested user namespace too) is held inside its system call, a [`Guard`] puts the real file in the
//! placeholder's place, and the call goes on as if the file had always been there.
//!
//! The mechanism is the kernel's *seccomp user notification* (`seccomp_unotify(2)`): a filter installed in the child
//! before it executes the build command, inherited by everything it starts, and supervisor threads in this process
//! that answer each trapped call with "go on" or with an error number.
//!
//! # Layout, in the order in which a call travels
//!
//! | file | noun |
//! |---|---|
//! | `calls` | which system calls are trapped and where their arguments are: a table for each ABI |
//! | `filter` | the table as a BPF program |
//! | `install` | the child's side: filter in, listener out over a socket |
//! | `listener` | the supervisor's end of the kernel interface |
//! | `memory` | reading strings out of the held process |
//! | `place` | a path as the held process means it: its directory, its root |
//! | `image` | what the kernel opens by itself when it executes a file (`#!`, `PT_INTERP`) |
//! | `redirect` | making a process execute another file |
//! | `programs` | programs that look at a file without needing its content, and programs that look before they open |
//! | `judge` | what one trapped call needs |
//! | `held` | the threads on which held calls wait for [`Guard::produce`] |
//! | `watch` | [`spawn`], the supervisor's loop and its life |
//! | `kept`, `keeper` | [`Kept`]: a process between the supervisor and the build, for the case that the supervisor dies |
//! | `ending` | how a build whose supervisor is dead is ended |
//! | `family` | which processes descend from one |
//! | `post` | what these processes say to each other |
//! | `probe` | [`supported`], [`redirects`] |
//!
//! # What is trapped
//!
//! | call | when | access |
//! |---|---|---|
//! | `open`, `openat`, `openat2` | unless `O_PATH`, `O_DIRECTORY`, `O_TRUNC` or `O_CREAT\|O_EXCL` | [`Access::Read`], [`Access::Write`] |
//! | `execve`, `execveat` | always; the interpreters of the file are looked at as well | [`Guard::instead`], [`Access::Execute`] |
//! | `link`, `linkat` | always | [`Guard::linked`], [`Access::Link`] |
//! | `truncate` | always | [`Access::Write`] |
//! | `lstat`; `statx` that asks for sizes; `newfstatat` with `AT_SYMLINK_NOFOLLOW` or a directory descriptor | unless `AT_EMPTY_PATH` | [`Access::Stat`] |
//! | `rename`, `renameat`, `renameat2` | always | [`Guard::renamed`] |
//! | `io_uring_setup` | always | refused with `ENOSYS`, because opens through a ring are not seen by seccomp |
//! | `chroot`, `pivot_root`, `mount`, `umount2`, `move_mount`, `setns` | always | remembered: from then on each caller's root is compared with ours |
//!
//! A plain `stat(2)` of a path is *not* trapped: `make`, `ninja` and shells do little else, and it would cost them
//! dearly. It sees the placeholder's size and inode. `cp`, `install` and `diff` compare what `stat` said with what
//! they opened, and refuse a file that changed; for them the arguments are looked at when they are executed.
//!
//! # What it is not
//!
//! This is no security boundary: an answer "go on" lets the kernel read the path again, and a hostile process can
//! change it in between. Programs of a foreign ABI are trapped where a table exists (i386 on x86-64, 32-bit ARM on
//! aarch64); x32 calls are refused with `ENOSYS` as a kernel without x32 does.
//!
//! If this process dies, the kernel closes the listener, and each trapped call of what is left of the build fails with
//! `ENOSYS`: nothing can read a placeholder then, but programs that cannot open their inputs leave truncated files. A
//! command that is started by [`Kept::spawn`] is ended in order instead.
#![cfg(target_os = "linux")]

mod calls;
mod ending;
mod family;
mod filter;
mod held;
mod image;
mod install;
mod judge;
mod keeper;
mod kept;
mod listener;
mod memory;
mod place;
mod post;
mod probe;
mod programs;
mod redirect;
mod watch;

use std::path::Path;

pub use ending::Refuse;
pub use family::{catches_sigterm, descendants};
pub use keeper::keeper_main;
pub use kept::Kept;
pub use probe::{Unsupported, redirects, supported};
pub use watch::{Counts, Watch, WatchError, spawn};

/// Which file a path leads to: stays the same under renames, differs between a placeholder and the file put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What a held process is about to do with a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Open it for reading only.
    Read,
    /// Open it for writing and keep what it holds (no `O_TRUNC`), or `truncate(2)` it.
    Write,
    /// Execute it, or something whose interpreter it is.
    Execute,
    /// Make a hard link to it.
    Link,
    /// Ask for its size.
    Stat,
}

/// What becomes of a program that looks at placeholders by plain `stat` before it copies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copying {
    /// The placeholders are produced before it starts.
    Produce,
    /// This is executed in its place, as with [`Guard::instead`].
    Lead(std::ffi::CString),
    /// It knows what it does.
    Leave,
}

/// Knows the placeholders and can replace them. Its methods are called on threads of this crate.
///
/// While [`spawn`] runs, the guard is already being asked (the command's own `execve` is the first trapped call): a
/// guard must not need a lock that the caller of `spawn` holds.
pub trait Guard: Send + Sync + 'static {
    /// Whether this file is a placeholder. Called on a supervisor's thread for every trapped call whose path
    /// exists, so it must be a look-up in memory. Register a placeholder before it gets its name in the tree.
    ///
    /// A program may overwrite a placeholder (`O_TRUNC`, which is not trapped): the same `FileId` then has other content.
    fn concerns(&self, file: FileId) -> bool;

    /// Put the real file at `path` by renaming it over the placeholder. May block for long: it runs on a thread of its
    /// own, one for each held call, and so can be called for one file several times at once; all but one must wait, and
    /// the file be put in place once, or else who has it already sees it change. Stop being [concerned](Guard::concerns)
    /// once it is there. After `Ok` the held call goes on, and looks the path up again. The real file must have the times
    /// and mode that the placeholder has by then, because `touch` and `chmod` work on placeholders as they are.
    ///
    /// `path` is absolute and free of symbolic links at the time of the call. For a process with another root it is a
    /// path of this process's view if there is one, and otherwise one through `/proc/TID/root`, valid until this returns.
    ///
    /// # Errors
    ///
    /// The error number with which the held call fails, `libc::EIO` for instance.
    fn produce(&self, path: &Path, file: FileId, access: Access) -> Result<(), i32>;

    /// A placeholder or a directory is about to be renamed; both paths are absolute, their directories free of symbolic
    /// links. Called on a supervisor's thread before the call goes on, so that no look at the new name can overtake
    /// it. The call can still fail: from now on the file *may* be at `to`, and whoever replaces a placeholder must look
    /// which of the two names leads to its [`FileId`]. (`renameat2` with `RENAME_EXCHANGE` shows what it displaced.)
    ///
    /// A rename to another file system is not reported: it fails, and `mv` goes on to copy. A placeholder is produced
    /// before that. `RENAME_EXCHANGE` of placeholders or directories is refused with `EINVAL`, which is what a file
    /// system without it answers.
    fn renamed(&self, from: &Path, to: &Path);

    /// A placeholder is about to get a further name, absolute and free of symbolic links but for its last part; whether it
    /// may, as it is. Whoever puts the real file in its place must then do so under each of its names. The call can
    /// still fail. Called on a supervisor's thread. Otherwise the placeholder is produced first.
    fn linked(&self, file: FileId, name: &Path) -> bool {
        let _ = (file, name);
        false
    }

    /// Any file, placeholder or not, is about to get a further name, or (`None`) something is about to be mounted: from now on
    /// files may change under other names than the known ones. Called on a supervisor's thread before the call goes on.
    fn aliased(&self, file: Option<FileId>) {
        let _ = file;
    }

    /// A regular file with an execute bit is about to be executed. The path is absolute but otherwise as the process
    /// gave it. Called on a supervisor's thread; for reports.
    fn executed(&self, program: &Path);

    /// What is to be executed in place of a program, if anything else; absolute, and seen by the process. `caller` is the
    /// thread that is about to execute it. Called on a supervisor's thread, before [`Guard::executed`]. What is named here is
    /// executed as any other file is: this is asked again for it.
    ///
    /// Where the process may not be traced (a debugger traces it already, or a container's policy forbids that), for
    /// programs of a foreign ABI, and for processes with another root or mount namespace, the program itself is executed.
    fn instead(&self, program: &Path, caller: u32) -> Option<std::ffi::CString> {
        let _ = (program, caller);
        None
    }

    /// What is to become of a program that copies files, placeholders among its arguments. `caller` is the thread that is about
    /// to execute it. Called on a supervisor's thread.
    fn copies(&self, program: &Path, caller: u32) -> Copying {
        let _ = (program, caller);
        Copying::Produce
    }

    /// The memory or the directory of a process could not be read, so its call went on unseen. That happens to
    /// processes that forbid it (`PR_SET_DUMPABLE`), and where Yama restricts tracing to descendants, to processes whose
    /// parents are gone (unless this process is a child subreaper). Called on a supervisor's thread; for reports.
    fn unreadable(&self, process: u32) {
        let _ = process;
    }
}
