//! Cancellation that wakes whoever waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::error::{Result, at};

/// A switch that is thrown once and ends every job that was given it or a clone of it.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<OwnedFd>);

impl Cancel {
    /// A switch not thrown yet.
    ///
    /// # Errors
    /// [`crate::WorkerError::Io`] when the process has no file descriptor left.
    pub fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags).map_err(at("make", "an eventfd"))?)))
    }

    /// Throws the switch. Throwing it again does nothing. Async-signal-safe: one `write`.
    pub fn cancel(&self) {
        // It can only fail when the counter is full, and then the switch was thrown long ago.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Whether the switch was thrown.
    pub fn is_cancelled(&self) -> bool {
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1))
    }
}

impl AsFd for Cancel {
    /// A descriptor that becomes readable, and stays so, once the switch is thrown.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thrown_once_for_all_clones() {
        let cancel = Cancel::new().unwrap();
        let clone = cancel.clone();
        assert!(!clone.is_cancelled());
        cancel.cancel();
        cancel.cancel();
        assert!(clone.is_cancelled() && cancel.is_cancelled());
    }
}
