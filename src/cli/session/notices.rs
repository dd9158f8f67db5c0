//! What the kernel says about changes in directories (inotify(7)).
//!
//! A notice is queued within the system call that makes the change, so who reads the queue after a program has ended has
//! all that the program did. No notice comes for a change under another name of the same file (a hard link in another
//! directory, a mount), nor before the end for one through memory that maps the file; when that is let go, the file is
//! closed, and that is told.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// What can change what a name in a directory is, or what a file contains.
const CHANGES: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Room for some hundred notices.
const ROOM: usize = 16 << 10;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something about a name in a watched directory has changed.
    Changed(i32, OsString),
    /// Something about a watched directory itself has, which those of its parent tell as well.
    Itself(i32),
    /// A watched directory is gone, or its notices are at an end.
    Gone(i32),
    /// There were more changes than the kernel keeps: anything may have changed.
    Lost,
}

/// The kernel's queue of notices.
#[derive(Debug)]
pub struct Notices(OwnedFd);

impl Notices {
    /// A queue for which nothing is watched yet.
    ///
    /// # Errors
    /// When the system has no more of them (`fs.inotify.max_user_instances`).
    pub fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?))
    }

    /// Watches the directory that a path leads to; the number that its notices bear.
    ///
    /// # Errors
    /// When the system watches no more (`fs.inotify.max_user_watches`), or what the file system says.
    pub fn watch(&self, directory: &Path) -> io::Result<i32> {
        Ok(inotify::add_watch(&self.0, directory, CHANGES | WatchFlags::ONLYDIR)?)
    }

    /// Everything that has been told since the last time.
    ///
    /// # Errors
    /// Whatever the kernel says; some notices may be lost then.
    pub fn read(&self, mut each: impl FnMut(Notice)) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(self.0.as_fd(), &mut room);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let told = event.events();
            if told.contains(ReadFlags::QUEUE_OVERFLOW) {
                each(Notice::Lost);
                continue;
            }
            match event.file_name() {
                Some(name) => each(Notice::Changed(event.wd(), OsStr::from_bytes(name.to_bytes()).into())),
                None if told.intersects(ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF) => {
                    each(Notice::Gone(event.wd()));
                }
                None => each(Notice::Itself(event.wd())),
            }
        }
    }
}
