//! The child's side, between `fork` and `exec`: install the filter and hand its listener to the parent. Only
//! async-signal-safe calls and no allocation here.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, sock_filter};

/// What the child has to say: the listener, or the error number with which it could not get one.
pub(crate) enum Handed {
    Listener(OwnedFd),
    Errno(i32),
    /// The child ended without a word.
    Nothing,
}

/// A connected pair of sockets, closed on exec.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are new and ours.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

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
            let sent = send(socket, 0, Some(listener));
            // SAFETY: the descriptor is ours and not used any more.
            unsafe { libc::close(listener) };
            sent
        }
        Err(error) => {
            send(socket, error.raw_os_error().unwrap_or(libc::EIO), None)?;
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

/// Room for one descriptor in a control message, aligned as `cmsghdr` wants it.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; 64],
}

fn send(socket: RawFd, errno: i32, fd: Option<RawFd>) -> io::Result<()> {
    let mut text = errno.to_ne_bytes();
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    let mut control = Control { bytes: [0; 64] };
    // SAFETY: zeroes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if let Some(fd) = fd {
        message.msg_control = (&raw mut control).cast();
        // SAFETY: the control buffer is larger than one header and one descriptor, and aligned.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        }
    }
    // SAFETY: the message points to live buffers.
    if unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits for what [`install`] sends.
///
/// # Errors
///
/// The error of `recvmsg(2)`.
pub(crate) fn receive(socket: &OwnedFd) -> io::Result<Handed> {
    let mut text = [0u8; 4];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    let mut control = Control { bytes: [0; 64] };
    // SAFETY: zeroes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let length = loop {
        // SAFETY: the message points to live buffers of the stated sizes.
        let n = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        if n >= 0 {
            break n;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    };
    if length == 0 {
        return Ok(Handed::Nothing);
    }
    // SAFETY: the kernel filled the control buffer; the header is checked before its data is read.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null() && (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
            let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            return Ok(Handed::Listener(OwnedFd::from_raw_fd(fd)));
        }
    }
    Ok(Handed::Errno(i32::from_ne_bytes(text)))
}
