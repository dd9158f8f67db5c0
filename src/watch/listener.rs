//! The supervisor's end of the kernel interface (`seccomp_unotify(2)`).

use std::mem::zeroed;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// One trapped call, as the kernel tells it: an id, the thread, and the number, ABI and arguments of the call.
pub(crate) type Notice = libc::seccomp_notif;

/// The descriptor from which notices come and to which answers go.
pub(crate) struct Listener(OwnedFd);

impl Listener {
    pub fn new(fd: OwnedFd) -> Listener {
        // Wake the other side on this CPU (6.6 and later): the two never run at once. Older kernels refuse: no matter.
        // SAFETY: the argument is a plain number.
        unsafe { libc::ioctl(fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, 1u64) };
        Listener(fd)
    }

    /// Waits for the end, for ever without a limit; whether no process is left under the filter.
    pub fn gone(&self, limit: Option<Duration>) -> bool {
        self.poll(0, limit) & libc::POLLHUP != 0
    }

    /// Waits for a notice; whether one may be received.
    pub fn ready(&self, limit: Duration) -> bool {
        self.poll(libc::POLLIN, Some(limit)) & libc::POLLIN != 0
    }

    fn poll(&self, events: i16, limit: Option<Duration>) -> i16 {
        let limit = limit.map_or(-1, |d| i32::try_from(d.as_millis()).unwrap_or(i32::MAX));
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events, revents: 0 };
        // SAFETY: one valid element.
        let n = unsafe { libc::poll(&raw mut poll, 1, limit) };
        if n > 0 { poll.revents } else { 0 }
    }

    /// Waits for the next notice. `None` if its process died in the meantime, a signal came, or nobody is left.
    ///
    /// Polling first would be one more change between processes for each call: 10 us a call instead of 7.
    pub fn receive(&self) -> Option<Notice> {
        // SAFETY: plain integers; the kernel wants it zeroed.
        let mut notice: Notice = unsafe { zeroed() };
        // SAFETY: the pointer is valid for the structure that the request names.
        let got = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut notice) };
        (got == 0).then_some(notice)
    }

    /// Whether the held call is still there, and so what was read from its process is its own.
    pub fn valid(&self, id: u64) -> bool {
        // SAFETY: the pointer is valid for the 64-bit number that the request names.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw const id) == 0 }
    }

    /// Lets the call go on.
    pub fn go_on(&self, id: u64) {
        self.send(id, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    }

    /// Makes the call fail with `errno`.
    pub fn fail(&self, id: u64, errno: i32) {
        self.send(id, -errno.abs(), 0);
    }

    /// An error means that the process is gone, killed while it waited: nobody is left to answer.
    fn send(&self, id: u64, error: i32, flags: u32) {
        let mut answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
        // SAFETY: the pointer is valid for the structure that the request names.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer) };
    }
}
