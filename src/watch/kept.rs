//! Starting a command below a keeper.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;

use crate::Guard;
use crate::post::{self, Message, Word};
use crate::watch::{Watch, WatchError};

/// A command that runs below a [keeper](crate::keeper_main): if this process dies, the keeper ends the command and all
/// that it started, in order.
#[derive(Debug)]
pub struct Kept {
    keeper: Child,
    socket: OwnedFd,
    command: i32,
    watch: Option<Watch>,
    /// Its wait status, once known.
    ended: Option<i32>,
}

impl Kept {
    /// Starts `keeper`, a program which calls [`crate::keeper_main`] with the number that it gets as its last argument but
    /// for those of the command, which follow. The command gets the keeper's directory, environment and descriptors. With
    /// a guard it is watched as by [`crate::spawn`]. `held` stays open in the keeper until the build is over, whatever
    /// becomes of this process.
    ///
    /// This process should be a child subreaper: then a command whose keeper was killed becomes its child, and
    /// [`Kept::wait`] still works.
    ///
    /// # Errors
    ///
    /// See [`WatchError`]; nothing runs then.
    pub fn spawn(
        mut keeper: Command,
        command: &[OsString],
        guard: Option<Arc<dyn Guard>>,
        held: BorrowedFd<'_>,
    ) -> Result<Self, WatchError> {
        let (ours, theirs) = post::socket_pair().map_err(WatchError::Prepare)?;
        let fd = theirs.as_raw_fd();
        keeper.arg(fd.to_string()).args(command);
        // SAFETY: one system call.
        unsafe {
            keeper.pre_exec(move || {
                if libc::fcntl(fd, libc::F_SETFD, 0) < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        let mut child = keeper.spawn().map_err(WatchError::Prepare)?;
        drop(theirs);
        let started = Self::started(&ours, command, guard, held);
        match started {
            Ok((command, watch)) => Ok(Self { keeper: child, socket: ours, command, watch, ended: None }),
            Err(error) => {
                drop(ours);
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn started(
        socket: &OwnedFd,
        command: &[OsString],
        mut guard: Option<Arc<dyn Guard>>,
        held: BorrowedFd<'_>,
    ) -> Result<(i32, Option<Watch>), WatchError> {
        let watched = i32::from(guard.is_some());
        post::send(socket.as_raw_fd(), Word::Start, watched, Some(held.as_raw_fd())).map_err(WatchError::Prepare)?;
        let mut watch = None;
        loop {
            match post::receive(socket).map_err(WatchError::Prepare)? {
                Some(Message { word: Word::Listener, fd: Some(listener), .. }) => {
                    if let Some(guard) = guard.take() {
                        watch = Some(Watch::over(listener, guard)?);
                    }
                }
                Some(Message { word: Word::Refused, number, .. }) => {
                    return Err(WatchError::Filter(io::Error::from_raw_os_error(number)));
                }
                Some(Message { word: Word::NotExecuted, number, .. }) => {
                    let program = command.first().cloned().unwrap_or_default();
                    return Err(WatchError::Command { program, source: io::Error::from_raw_os_error(number) });
                }
                Some(Message { word: Word::Running, number, .. }) => return Ok((number, watch)),
                Some(_) => {}
                None => return Err(WatchError::Prepare(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }

    /// The command's process.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.command
    }

    /// The keeper's process.
    #[must_use]
    pub fn keeper(&self) -> i32 {
        self.keeper.id() as i32
    }

    /// The supervision, if there is one.
    #[must_use]
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Waits until the command has ended.
    ///
    /// # Errors
    ///
    /// When its status cannot be known: its keeper was killed, and this process is no subreaper.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended {
                return Ok(ExitStatus::from_raw(status));
            }
            self.ended = match post::receive(&self.socket)? {
                Some(Message { word: Word::Ended, number, .. }) => Some(number),
                Some(_) => None,
                None => {
                    // The keeper's socket is closed before its children are given to this process: that has happened
                    // when the keeper can be waited for.
                    self.keeper.wait()?;
                    Some(wait_for(self.command)?)
                }
            };
        }
    }

    /// The build is over: what it left running goes on, and the keeper ends when that has.
    pub fn release(self) {
        // A keeper that is dead has nothing to do.
        let _ = post::send(self.socket.as_raw_fd(), Word::Done, 0, None);
    }
}

fn wait_for(pid: i32) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: fills the integer.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
