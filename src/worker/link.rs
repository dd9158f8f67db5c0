//! Frames and file descriptors over a Unix stream socket.
//!
//! A frame is its length in 8 bytes and that many bytes. Descriptors ride on the frame's first byte, so they arrive no later
//! than the frame does and are taken in the order in which they were sent.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// The most descriptors of one frame (the kernel's limit is 253, `SCM_MAX_FD`).
pub(crate) const MAX_FDS: usize = 200;

/// Received bytes are asked for in pieces of this size, or of what is known to be missing.
const PIECE: usize = 64 * 1024;

/// One end of the connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    held: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Link {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, held: Vec::new(), fds: VecDeque::new() }
    }

    /// Sends one frame with at most [`MAX_FDS`] descriptors.
    pub fn send(&self, frame: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let head = (frame.len() as u64).to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::TOOBIG.into());
        }
        let total = head.len() + frame.len();
        let mut sent = 0;
        while sent < total {
            let head_left = &head[sent.min(head.len())..];
            let frame_left = &frame[sent.saturating_sub(head.len())..];
            let parts = [IoSlice::new(head_left), IoSlice::new(frame_left)];
            sent += retry_on_intr(|| sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL))?;
            control.clear();
        }
        Ok(())
    }

    /// Receives once, blocking; `false` at the end of the stream.
    pub fn fill(&mut self) -> io::Result<bool> {
        let wanted = self.frame_end().map_or(PIECE, |end| end.saturating_sub(self.held.len()).max(PIECE));
        let start = self.held.len();
        // Never more than 16 MiB ahead of what has really arrived: a length is only a claim.
        self.held.resize(start + wanted.min(16 << 20), 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut parts = [IoSliceMut::new(&mut self.held[start..])];
            recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let got = received.as_ref().map_or(0, |message| message.bytes);
        self.held.truncate(start + got);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        match received {
            // A peer that died with our frames unread.
            Err(Errno::CONNRESET) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(got > 0),
        }
    }

    fn frame_end(&self) -> Option<usize> {
        let head = self.held.first_chunk::<8>()?;
        usize::try_from(u64::from_le_bytes(*head)).ok()?.checked_add(head.len())
    }

    /// Takes the next frame, if it has arrived whole.
    pub fn take_frame(&mut self) -> Option<Vec<u8>> {
        let end = self.frame_end().filter(|&end| end <= self.held.len())?;
        let rest = self.held.split_off(end);
        let mut frame = std::mem::replace(&mut self.held, rest);
        frame.drain(..8);
        Some(frame)
    }

    /// Waits for the next frame; `None` at the end of the stream.
    pub fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Ok(Some(frame));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Takes the oldest descriptor that has arrived.
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop_front()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Link, Link) {
        let (left, right) = UnixStream::pair().unwrap();
        (Link::new(left.into()), Link::new(right.into()))
    }

    #[test]
    fn large_frames_and_descriptors_arrive_in_order() {
        let (left, mut right) = pair();
        let big = vec![7u8; 3_000_000];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let null = std::fs::File::open("/dev/null").unwrap();
                let zero = std::fs::File::open("/dev/zero").unwrap();
                left.send(b"", &[null.as_fd()]).unwrap();
                left.send(&big, &[zero.as_fd(), null.as_fd()]).unwrap();
            });
            assert_eq!(right.receive().unwrap().unwrap(), b"");
            let target = |fd: OwnedFd| {
                use std::os::fd::AsRawFd;
                std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
            };
            assert_eq!(target(right.take_fd().unwrap()).to_str(), Some("/dev/null"));
            assert_eq!(right.receive().unwrap().unwrap(), big);
            assert_eq!(target(right.take_fd().unwrap()).to_str(), Some("/dev/zero"));
            assert_eq!(target(right.take_fd().unwrap()).to_str(), Some("/dev/null"));
            assert!(right.take_fd().is_none());
        });
    }

    #[test]
    fn a_dead_peer_is_the_end() {
        let (left, mut right) = pair();
        left.send(b"x", &[]).unwrap();
        drop(left);
        assert_eq!(right.receive().unwrap().unwrap(), b"x");
        assert!(right.receive().unwrap().is_none());
        assert_eq!(right.send(b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
