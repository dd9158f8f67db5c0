//! The keeper: a small process between the supervisor and the build, for the case that the supervisor is killed.
//!
//! It starts the command, and as a child subreaper it stays the ancestor of everything that the command starts. It holds
//! the listener too, but receives nothing from it while the supervisor lives. If that dies, the build's trapped calls
//! therefore do not fail one after the other, which would leave truncated files that look finished: they wait, and the
//! keeper [ends](crate::ending) the build in order.
//!
//! If the keeper itself is killed, the build becomes the supervisor's own child (that is a subreaper as well), and goes on.

use std::ffi::{CString, OsString};
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::time::Duration;

use libc::{c_char, pid_t};

use crate::ending::{self, Refuse};
use crate::listener::Listener;
use crate::post::{self, Message, Word};
use crate::{filter, install};

/// What `ps` shows.
const NAME: &std::ffi::CStr = c"gg-keeper";

/// What a shell exits with when it cannot execute a command.
const NOT_EXECUTED: i32 = 127;

/// The keeper process; to be called by the program that [`crate::Kept::spawn`] starts, before any other thread is started.
///
/// `socket` is the descriptor that `spawn` handed over, `command` the command to start. `refuse` is asked, once the
/// supervisor is dead, about the beginning of each file that a program of the build opens: whether it is a placeholder, and
/// the open must fail. Never returns: the process ends when the build is over.
pub fn keeper_main(socket: RawFd, command: Vec<OsString>, refuse: Refuse) -> ! {
    // SAFETY: the supervisor gave this process the descriptor for this call, and nothing else knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // What goes wrong closes the socket, and the supervisor says so.
    let status = i32::from(Keeper::start(socket, command).and_then(|keeper| keeper.keep(refuse)).is_err());
    // SAFETY: ends the process; there is nothing to run at exit.
    unsafe { libc::_exit(status) }
}

struct Keeper {
    supervisor: OwnedFd,
    listener: Option<Listener>,
    /// What the supervisor wants held open until the build is over.
    held: Option<OwnedFd>,
    /// Becomes readable when a child ends.
    children: OwnedFd,
    command: pid_t,
}

impl Keeper {
    /// Starts the command as soon as the supervisor says so.
    fn start(supervisor: OwnedFd, command: Vec<OsString>) -> io::Result<Self> {
        let Some(Message { word: Word::Start, number: watched, fd: held }) = post::receive(&supervisor)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let filter = (watched != 0).then(filter::program);
        let words = command.into_iter().map(|word| CString::new(word.into_vec())).collect::<Result<Vec<_>, _>>()?;
        let mut argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
        argv.push(ptr::null());
        let (ours, theirs) = post::socket_pair()?;
        // SAFETY: plain system calls.
        let (group, mask) = unsafe {
            libc::fcntl(supervisor.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
            libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
            let group = libc::getpgrp();
            // What a terminal or a shell sends to the build's process group is not for this process.
            libc::setpgid(0, 0);
            let (mut all, mut mask) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::uninit());
            libc::sigfillset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), mask.as_mut_ptr());
            (group, mask.assume_init())
        };
        // SAFETY: this process has one thread, so the child may do anything.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if pid == 0 {
            // SAFETY: plain system calls; the strings live until the process executes another program, or ends.
            unsafe {
                // Fails if the group is gone, which only its last process can have done.
                libc::setpgid(0, group);
                // Rust programs ignore it; others expect to die of it.
                libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
                if filter.is_none_or(|filter| install::install(&filter, theirs.as_raw_fd()).is_ok()) {
                    libc::execvp(argv[0], argv.as_ptr());
                    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
                    let _ = post::send(theirs.as_raw_fd(), Word::NotExecuted, errno, None);
                }
                libc::_exit(NOT_EXECUTED);
            }
        }
        drop(theirs);
        let held_fd = held.as_ref().map(AsRawFd::as_raw_fd);
        let children = child_events()?;
        let kept = [Some(supervisor.as_raw_fd()), held_fd, Some(ours.as_raw_fd()), Some(children.as_raw_fd())];
        let_go_of_all_but(kept.into_iter().flatten().collect())?;
        let mut keeper = Self { supervisor, listener: None, held, children, command: pid };
        keeper.see_it_executed(ours)?;
        Ok(keeper)
    }

    /// Waits until the command has been executed. If the supervisor dies meanwhile, the next step sees that.
    fn see_it_executed(&mut self, child: OwnedFd) -> io::Result<()> {
        while wait([child.as_raw_fd(), self.supervisor.as_raw_fd()])?[0] {
            match post::receive(&child)? {
                Some(Message { word: Word::Listener, fd: Some(fd), .. }) => {
                    let listener = fd.try_clone()?;
                    // Who cannot be told is dead.
                    let _ = post::send(self.supervisor.as_raw_fd(), Word::Listener, 0, Some(fd.as_raw_fd()));
                    self.listener = Some(Listener::new(listener));
                }
                Some(Message { word, number, .. }) => {
                    post::send(self.supervisor.as_raw_fd(), word, number, None)?;
                    return Err(io::Error::from_raw_os_error(number));
                }
                None => {
                    let _ = post::send(self.supervisor.as_raw_fd(), Word::Running, self.command, None);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reaps until the supervisor says that the build is over, or dies.
    fn keep(self, refuse: Refuse) -> io::Result<()> {
        loop {
            let [child, supervisor] = wait([self.children.as_raw_fd(), self.supervisor.as_raw_fd()])?;
            if child {
                self.reap();
            }
            if supervisor {
                match post::receive(&self.supervisor) {
                    Ok(Some(Message { word: Word::Done, .. })) => {
                        drop((self.held, self.supervisor));
                        // What the build left running is meant to go on.
                        if let Some(listener) = self.listener {
                            ending::serve(&listener, refuse);
                        }
                        return Ok(());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => {
                        ending::end(self.listener.as_ref(), refuse);
                        return Ok(());
                    }
                }
            }
        }
    }

    fn reap(&self) {
        // SAFETY: plain integers.
        let mut event: libc::signalfd_siginfo = unsafe { zeroed() };
        // SAFETY: the structure has the stated size. What it says matters less than that it is taken out.
        unsafe { libc::read(self.children.as_raw_fd(), (&raw mut event).cast(), size_of_val(&event)) };
        while let Some((pid, status)) = reap_one() {
            if pid == self.command {
                let _ = post::send(self.supervisor.as_raw_fd(), Word::Ended, status, None);
            }
        }
    }
}

/// A child that has ended, and its wait status.
pub(crate) fn reap_one() -> Option<(pid_t, i32)> {
    let mut status = 0;
    // SAFETY: fills the integer.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then_some((pid, status))
}

/// A descriptor that becomes readable when a child ends. The signal is blocked already.
fn child_events() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised before it is used.
    let fd = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Nobody is to wait for this process: it lets go of pipes, jobservers, terminals and directories.
fn let_go_of_all_but(mut kept: Vec<RawFd>) -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    kept.sort_unstable();
    // SAFETY: nothing in this process, which never returns from here, owns a descriptor that is not kept.
    unsafe {
        for standard in 0..3 {
            libc::dup2(null.as_raw_fd(), standard);
        }
        let mut from = 3;
        for fd in kept {
            if fd > from {
                libc::syscall(libc::SYS_close_range, from as u32, (fd - 1) as u32, 0u32);
            }
            from = from.max(fd + 1);
        }
        libc::syscall(libc::SYS_close_range, from as u32, u32::MAX, 0u32);
    }
    // Closed with the others.
    std::mem::forget(null);
    std::env::set_current_dir("/")
}

/// Waits until at least one of two descriptors has something to say; which of them.
fn wait(fds: [RawFd; 2]) -> io::Result<[bool; 2]> {
    let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    loop {
        // SAFETY: two valid elements.
        if unsafe { libc::poll(polls.as_mut_ptr(), 2, -1) } > 0 {
            return Ok(polls.map(|poll| poll.revents != 0));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sleeps.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
