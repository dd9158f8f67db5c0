//! One worker process, seen from the pool.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gg_ir::Made;
use gg_store::Store;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::{Result, at};
use crate::import::import;
use crate::inside::Setup;
use crate::link::Link;
use crate::reply::{Ended, Reply, Which};
use crate::shelf::Shelf;
use crate::{Cancel, WorkerError};

/// How long a worker process may take to obey a cancellation before it is killed.
const OBEDIENCE: Duration = Duration::from_secs(2);

/// A running worker process. Dropped, it is killed, and whatever it runs with it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    link: Link,
    /// The shelf that it has.
    shelf: Option<Arc<Shelf>>,
}

/// How a run ended, its files already in the store.
#[derive(Debug)]
pub(crate) struct Answer {
    pub ended: Ended,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub files: Vec<(Which, Made)>,
    /// When the worker first said anything: the program had ended.
    pub told: Instant,
}

impl Process {
    /// Starts a worker process; the reason, in the inner result, when it cannot do what `setup` asks.
    pub fn start(command: &[OsString], setup: &Setup) -> Result<Result<Self, String>> {
        let (program, args) = command.split_first().ok_or_else(|| {
            at("start", "a worker process")(io::Error::new(io::ErrorKind::InvalidInput, "its command is empty"))
        })?;
        let (here, there) = UnixStream::pair().map_err(at("make", "a socket for a worker process"))?;
        let mut command = Command::new(program);
        command.args(args).stdin(OwnedFd::from(there)).stdout(Stdio::null()).current_dir("/");
        if !setup.visit {
            // Ctrl-C goes to the terminal's foreground group; what it ends is the coordinator's to decide.
            command.process_group(0);
        }
        let child = command.spawn().map_err(at("start", program))?;
        let mut process = Self { child, link: Link::new(here.into()), shelf: None };
        let talk = process.link.send(&setup.encode(), &[]).and_then(|()| process.link.receive());
        match talk.ok().flatten().map(|frame| Reply::decode(&frame)) {
            Some(Ok(Reply::Hello(Ok(())))) => Ok(Ok(process)),
            Some(Ok(Reply::Hello(Err(reason)))) => Ok(Err(reason)),
            _ => Err(process.died()),
        }
    }

    /// The worker process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn died(&mut self) -> WorkerError {
        // It has closed its end: it is dead, or will be.
        let _ = self.child.kill();
        let signal = self.child.wait().ok().and_then(|status| status.signal());
        WorkerError::Died { what: "worker process", signal }
    }

    /// Runs one request, whose small values lie on this shelf. After an error other than of the store's the process is of no more use.
    pub fn run(
        &mut self,
        request: &[u8],
        shelf: Option<&Arc<Shelf>>,
        store: &Store,
        cancel: &Cancel,
    ) -> Result<Result<Answer>> {
        let new = shelf.filter(|shelf| !self.shelf.as_ref().is_some_and(|known| Arc::ptr_eq(known, shelf)));
        let fds: Vec<BorrowedFd<'_>> = new.iter().map(|shelf| shelf.as_fd()).collect();
        if self.link.send(request, &fds).is_err() {
            return Err(self.died());
        }
        self.shelf = new.cloned().or(self.shelf.take());
        let (mut files, mut failed) = (Vec::new(), None);
        let mut cancelled = None::<Instant>;
        let mut told = None::<Instant>;
        loop {
            while let Some(frame) = self.link.take_frame() {
                let told = *told.get_or_insert_with(Instant::now);
                match Reply::decode(&frame) {
                    Ok(Reply::Files(written)) => {
                        for file in written {
                            let Some(fd) = self.link.take_fd() else { return Err(self.died()) };
                            match import(store, fd, file.mode) {
                                Ok(made) => files.push((file.which, made)),
                                Err(error) => failed = failed.or(Some(error)),
                            }
                        }
                    }
                    Ok(Reply::End { ended, stdout, stderr }) => {
                        let answer = Answer { ended, stdout, stderr, files, told };
                        return Ok(failed.map_or(Ok(answer), Err));
                    }
                    _ => return Err(self.died()),
                }
            }
            match self.wait(cancel, cancelled) {
                Ok(Event::Frames) => {
                    if !self.link.fill().unwrap_or(false) {
                        return Err(self.died());
                    }
                }
                Ok(Event::Cancelled) => {
                    cancelled = Some(Instant::now());
                    if self.link.send(&[], &[]).is_err() {
                        return Err(self.died());
                    }
                }
                Ok(Event::Disobedient) => {
                    self.died();
                    return Err(WorkerError::Cancelled);
                }
                Err(errno) => return Err(at("wait for", "a worker process")(errno)),
            }
        }
    }

    /// Runs one request of a visitor's with these streams. The process is of no more use afterwards.
    pub fn visit(&mut self, request: &[u8], streams: &[BorrowedFd<'_>; 3]) -> Result<Ended> {
        let talk = self.link.send(request, streams).and_then(|()| self.link.receive());
        match talk.ok().flatten().map(|frame| Reply::decode(&frame)) {
            Some(Ok(Reply::End { ended, .. })) => Ok(ended),
            _ => Err(self.died()),
        }
    }

    fn wait(&self, cancel: &Cancel, cancelled: Option<Instant>) -> Result<Event, Errno> {
        loop {
            let mut fds = [PollFd::new(&self.link, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
            let (fds, timeout) = match cancelled {
                None => (&mut fds[..], None),
                Some(since) => {
                    let left = OBEDIENCE.saturating_sub(since.elapsed());
                    if left.is_zero() {
                        return Ok(Event::Disobedient);
                    }
                    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
                    (&mut fds[..1], Some(left))
                }
            };
            match poll(fds, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Event::Frames),
                Ok(_) => return Ok(Event::Cancelled),
                Err(errno) => return Err(errno),
            }
        }
    }
}

enum Event {
    Frames,
    Cancelled,
    Disobedient,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
