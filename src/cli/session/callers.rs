//! Threads that wait for calls.
//!
//! A call may have to wait for minutes, so there are as many threads as calls at once, and one more that waits for the next.
//! They take the connections themselves: no other thread has to run first. A few stay when there is less to do, since a
//! new thread costs as much as a tenth of a call.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Session;

/// As many threads as wait for calls at most: builds rarely have more at once than there are processors.
const MOST_IDLE: usize = 8;

/// Before accepting is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// The threads of one session.
pub(super) struct Callers {
    session: Arc<Session>,
    listener: UnixListener,
    /// How many wait for a call.
    idle: AtomicUsize,
}

impl Callers {
    /// Begins to answer what comes in.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(session: Arc<Session>, listener: UnixListener) -> io::Result<()> {
        Arc::new(Self { session, listener, idle: AtomicUsize::new(0) }).hire()
    }

    /// One thread more that waits.
    fn hire(self: Arc<Self>) -> io::Result<()> {
        self.idle.fetch_add(1, Ordering::AcqRel);
        let hired = Arc::clone(&self);
        let spawned = std::thread::Builder::new().name("gg-call".into()).spawn(move || hired.wait());
        if spawned.is_err() {
            self.idle.fetch_sub(1, Ordering::AcqRel);
        }
        spawned.map(drop)
    }

    fn wait(self: Arc<Self>) {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) if !self.session.is_closing() => socket,
                Ok(_) => continue,
                // Out of descriptors, most likely, until calls in progress end.
                Err(_) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            let last = self.idle.fetch_sub(1, Ordering::AcqRel) == 1;
            // With nobody left to wait the connection closes, and the stub becomes the real tool.
            if !last || Arc::clone(&self).hire().is_ok() {
                self.session.serve(&socket);
            }
            drop(socket);
            let stays = |idle| (idle < MOST_IDLE).then_some(idle + 1);
            if self.idle.fetch_update(Ordering::AcqRel, Ordering::Acquire, stays).is_err() {
                return;
            }
        }
    }
}
