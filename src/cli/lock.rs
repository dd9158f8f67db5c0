//! Files that say whether their maker is still alive: it holds them locked, and the kernel lets go of that whatever it dies of.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Locks a file, unless somebody else holds it; whether it did. It stays locked until the last descriptor of this opening is closed.
pub fn try_lock(file: &File) -> bool {
    // SAFETY: flock takes any descriptor.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Whether somebody holds it locked.
pub fn is_locked(file: &File) -> bool {
    // Shared, for a moment: two who ask do not take one another for the holder.
    // SAFETY: flock takes any descriptor.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) != 0 }
}
