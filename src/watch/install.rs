//! The child's side, between `fork` and `exec`: install the filter and hand its listener to the parent. Only
//! async-signal-safe calls and no allocation here.

use std::io;
use std::os::fd::RawFd;

use libc::sock_filter;

use crate::post::{self, Word};

/// Installs the filter on the calling thread and sends the listener over `socket`.
///
/// A process with `CAP_SYS_ADMIN` needs no `no_new_privs`, and then programs of the build with a set-user-ID bit work as
/// ever; everyone else gets it set, as the kernel demands.
///
/// # Errors
///
/// The error of `seccomp(2)`, which has been sent as well: `EBUSY` if a listener exists on an outer filter.
pub(crate) fn install(filter: &[sock_filter], socket: RawFd) -> io::Result<()> {
    match listener(filter) {
        Ok(listener) => {
            let sent = post::send(socket, Word::Listener, 0, Some(listener));
            // SAFETY: the descriptor is ours and not used any more.
            unsafe { libc::close(listener) };
            sent
        }
        Err(error) => {
            post::send(socket, Word::Refused, error.raw_os_error().unwrap_or(libc::EIO), None)?;
            Err(error)
        }
    }
}

fn listener(filter: &[sock_filter]) -> io::Result<RawFd> {
    // Mitigations against speculation (SPEC_ALLOW avoids them) would slow every program of the build, and the filter
    // guards no secret. WAIT_KILLABLE_RECV (5.19): a held call is not restarted by each signal.
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let mut fd = seccomp(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if errno_of(&fd) == Some(libc::EACCES) {
        // SAFETY: no pointers.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        fd = seccomp(filter, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    }
    if errno_of(&fd) == Some(libc::EINVAL) {
        fd = seccomp(filter, flags);
    }
    fd
}

fn errno_of(result: &io::Result<RawFd>) -> Option<i32> {
    result.as_ref().err().and_then(io::Error::raw_os_error)
}

fn seccomp(filter: &[sock_filter], flags: libc::c_ulong) -> io::Result<RawFd> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program is valid for the call, which only reads it.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd as RawFd) }
}
