//! Starting a command under the filter, and the supervisor's life.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::held::Holder;
use crate::install;
use crate::judge::{Judge, Verdict};
use crate::listener::Listener;
use crate::place::Views;
use crate::post::{self, Message};
use crate::{Guard, filter};

/// Threads that answer, at most; at least two, so that a slow file system holds up only half of the calls. One answers
/// more than 100,000 calls a second.
const THREADS: usize = 4;

/// Why a command could not be started under watch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// No socket or no thread for the supervisor.
    #[error(
        "cannot prepare the supervisor of the build: {0}; check the limits on open files and threads (ulimit -n -u)"
    )]
    Prepare(#[source] io::Error),
    /// The kernel refused the filter or its listener.
    #[error(
        "cannot install the filter that holds back readers of placeholders: {0}; run without it, every step at once"
    )]
    Filter(#[source] io::Error),
    /// The command itself could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Command {
        /// The program, as the command names it.
        program: std::ffi::OsString,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub trapped: AtomicU64,
    pub held: AtomicU64,
    pub unreadable: AtomicU64,
}

/// What a watch has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// System calls that were looked at.
    pub trapped: u64,
    /// System calls that had to wait for a file.
    pub held: u64,
    /// System calls that went on unseen because their process may not be read; see [`Guard::unreadable`].
    pub unreadable: u64,
}

/// What the supervisor's threads share with the [`Watch`].
struct Shared {
    counters: Arc<Counters>,
    /// Nobody: everything goes on.
    guard: RwLock<Option<Arc<dyn Guard>>>,
    /// Why there is no listener, told by the child.
    refused: AtomicI32,
    gone: Mutex<bool>,
    gone_now: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters).field("gone", &*self.gone()).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(guard: Arc<dyn Guard>) -> Arc<Self> {
        Arc::new(Self {
            counters: Arc::default(),
            guard: RwLock::new(Some(guard)),
            refused: AtomicI32::new(0),
            gone: Mutex::new(false),
            gone_now: Condvar::new(),
        })
    }

    /// No process is left under the filter.
    fn end(&self) {
        *self.gone() = true;
        self.gone_now.notify_all();
    }

    fn guard(&self) -> Option<Arc<dyn Guard>> {
        self.guard.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn gone(&self) -> std::sync::MutexGuard<'_, bool> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervision of one command and of everything it started.
///
/// It ends by itself when the last process under the filter is gone. [`Watch::end`], or dropping it, ends the use of the
/// guard at once. Its threads then stay until this process ends, or the last of the others, and let every call go on:
/// a daemon that the build left behind must not be left without an answer. When this process ends and no keeper goes on
/// ([`crate::Kept`]), trapped calls of such a daemon fail with `ENOSYS`; the kernel offers no way to take the filter off.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Answers what comes from a listener.
    pub(crate) fn over(listener: OwnedFd, guard: Arc<dyn Guard>) -> Result<Self, WatchError> {
        let shared = Shared::new(guard);
        let of_thread = Arc::clone(&shared);
        let work = move || {
            answer(listener, &of_thread);
            of_thread.end();
        };
        thread::Builder::new().name("gg-watch".into()).spawn(work).map_err(WatchError::Prepare)?;
        Ok(Self { shared })
    }

    /// Stops asking the guard; calls held at this moment are still finished.
    pub fn end(&self) {
        *self.shared.guard.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until no process is left under the filter.
    pub fn wait(&self) {
        let mut gone = self.shared.gone();
        while !*gone {
            gone = self.shared.gone_now.wait(gone).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits as [`Watch::wait`] does, but not longer than `limit`; whether all are gone.
    #[must_use]
    pub fn wait_for(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut gone = self.shared.gone();
        while !*gone {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            gone = self.shared.gone_now.wait_timeout(gone, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// What was seen so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counters { trapped, held, unreadable } = &*self.shared.counters;
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Counts { trapped: get(trapped), held: get(held), unreadable: get(unreadable) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the command with the filter installed. The command can be used again afterwards, without a watch.
///
/// # Errors
///
/// See [`WatchError`]; nothing runs then.
pub fn spawn(command: &mut Command, guard: Arc<dyn Guard>) -> Result<(Child, Watch), WatchError> {
    let shared = Shared::new(guard);
    let (ours, theirs) = post::socket_pair().map_err(WatchError::Prepare)?;
    // The command keeps its closures for ever; this one must do its work only once, with a socket that is still open.
    let socket = Arc::new(AtomicI32::new(theirs.as_raw_fd()));
    let (program, in_child) = (filter::program(), Arc::clone(&socket));
    // SAFETY: between fork and exec it only makes system calls on memory that exists already.
    unsafe {
        command.pre_exec(move || match in_child.load(Ordering::Relaxed) {
            -1 => Ok(()),
            socket => install::install(&program, socket),
        });
    }
    // Spawning returns when the child has executed the command, and that is a trapped call: somebody must be there.
    let of_thread = Arc::clone(&shared);
    let supervisor = thread::Builder::new()
        .name("gg-watch".into())
        .spawn(move || supervise(&ours, &of_thread))
        .map_err(WatchError::Prepare);
    let started = supervisor.map(|thread| (command.spawn(), thread));
    socket.store(-1, Ordering::Relaxed);
    drop(theirs);
    let (child, thread) = started?;
    match child {
        Ok(child) => Ok((child, Watch { shared })),
        Err(source) => {
            // Without a child the thread ends by itself; then it is known whether the filter was the reason.
            let _ = thread.join();
            match shared.refused.load(Ordering::Relaxed) {
                0 => Err(WatchError::Command { program: command.get_program().to_owned(), source }),
                errno => Err(WatchError::Filter(io::Error::from_raw_os_error(errno))),
            }
        }
    }
}

fn supervise(socket: &OwnedFd, shared: &Arc<Shared>) {
    match post::receive(socket) {
        Ok(Some(Message { fd: Some(fd), .. })) => answer(fd, shared),
        Ok(Some(Message { number, .. })) => shared.refused.store(number, Ordering::Relaxed),
        Ok(None) | Err(_) => {}
    }
    shared.end();
}

/// Has notices answered until no process is left under the filter.
fn answer(fd: OwnedFd, shared: &Arc<Shared>) {
    let listener = Arc::new(Listener::new(fd));
    let counters = Arc::clone(&shared.counters);
    let holder = Holder::new(Arc::clone(&listener), Arc::clone(&counters));
    let judge = Arc::new(Judge {
        listener: Arc::clone(&listener),
        counters,
        views: Views::default(),
        stubborn: Mutex::default(),
    });
    let several = thread::available_parallelism().map_or(1, usize::from).clamp(2, THREADS);
    let started = (0..several).filter(|_| {
        let (shared, judge, holder) = (Arc::clone(shared), Arc::clone(&judge), Arc::clone(&holder));
        let work = move || serve(&shared, &judge, &holder);
        thread::Builder::new().name("gg-watch".into()).spawn(work).is_ok()
    });
    if started.count() == 0 {
        return serve(shared, &judge, &holder);
    }
    while !listener.gone(None) {}
}

/// Answers notices. Before Linux 6.11 a thread that waits for one does not learn of the end: it is left behind then.
fn serve(shared: &Shared, judge: &Judge, holder: &Arc<Holder>) {
    let listener = &judge.listener;
    loop {
        let Some(notice) = listener.receive() else {
            if listener.gone(Some(Duration::ZERO)) {
                return;
            }
            continue;
        };
        shared.counters.trapped.fetch_add(1, Ordering::Relaxed);
        let verdict = match shared.guard() {
            // A panic of the guard must not leave the whole build waiting for ever.
            Some(guard) => {
                catch_unwind(AssertUnwindSafe(|| judge.judge(&notice, &guard))).unwrap_or(Verdict::Fail(libc::EIO))
            }
            None => Verdict::GoOn,
        };
        match verdict {
            Verdict::GoOn => listener.go_on(notice.id),
            Verdict::Fail(errno) => listener.fail(notice.id, errno),
            Verdict::Hold(held) => holder.hold(held),
            Verdict::Done => {}
        }
    }
}
