//! What the processes around a build say to each other: a word, a number, and perhaps a descriptor, over a socket pair.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::c_int;

/// What a message is about; its number says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Word {
    /// A child's filter is in place, and this is its listener.
    Listener = 1,
    /// There is no listener; an error number.
    Refused,
    /// The command could not be executed; an error number.
    NotExecuted,
    /// To a keeper: start. Not zero to install a filter. The descriptor, if any, is to be held open until the build is over.
    Start,
    /// The command runs; its process id.
    Running,
    /// The command has ended; its wait status.
    Ended,
    /// To a keeper: the build is over, and nothing is to be ended.
    Done,
}

impl Word {
    const ALL: [Self; 7] =
        [Self::Listener, Self::Refused, Self::NotExecuted, Self::Start, Self::Running, Self::Ended, Self::Done];
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub word: Word,
    pub number: i32,
    pub fd: Option<OwnedFd>,
}

/// A connected pair of sockets, closed on exec, that keeps messages apart.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are new and ours.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Room for one descriptor in a control message, aligned as `cmsghdr` wants it.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; 64],
}

/// Sends one message. Makes system calls only, so it may be called between `fork` and `exec`.
///
/// # Errors
///
/// The error of `sendmsg(2)`: `EPIPE` when the other end is gone.
pub(crate) fn send(socket: RawFd, word: Word, number: i32, fd: Option<RawFd>) -> io::Result<()> {
    let mut text = [word as i32, number];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: size_of_val(&text) };
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

/// Waits for the next message; `None` when the other end is gone.
///
/// # Errors
///
/// The error of `recvmsg(2)`; `InvalidData` for what no [`send`] sent.
pub(crate) fn receive(socket: &OwnedFd) -> io::Result<Option<Message>> {
    let mut text = [0i32; 2];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: size_of_val(&text) };
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
            break n as usize;
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // It was killed with something unread.
            Some(libc::ECONNRESET) => return Ok(None),
            _ => return Err(error),
        }
    };
    if length == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel filled the control buffer; the header is checked before its data is read.
    let fd = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (!header.is_null() && (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS)
            .then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned()))
    };
    let word = Word::ALL.into_iter().find(|word| *word as i32 == text[0]).filter(|_| length == size_of_val(&text));
    let word = word.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some(Message { word, number: text[1], fd }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let (ours, theirs) = socket_pair().unwrap();
        for (at, word) in Word::ALL.into_iter().enumerate() {
            let fd = at.is_multiple_of(2).then(|| theirs.as_raw_fd());
            send(theirs.as_raw_fd(), word, -(at as i32), fd).unwrap();
            let message = receive(&ours).unwrap().unwrap();
            assert_eq!((message.word, message.number), (word, -(at as i32)));
            assert_eq!(message.fd.is_some(), fd.is_some());
        }
        // SAFETY: a live socket and a buffer of the stated size.
        unsafe { libc::send(theirs.as_raw_fd(), [9u8; 3].as_ptr().cast(), 3, 0) };
        assert_eq!(receive(&ours).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(theirs);
        assert!(receive(&ours).unwrap().is_none());
    }
}
