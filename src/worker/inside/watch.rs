//! What happens around a program while it runs: its output is read, its deadline watched, a cancellation heard.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::init::{Running, kill_strays};
use super::{Run, Step, step};
use crate::SandboxKind;
use crate::codec::Reader;
use crate::link::Link;
use crate::reply::Ended;
use crate::request::Request;

/// No more than this is kept of each of standard output and error.
pub const CAP: usize = 64 << 20;

/// Read at once, at least.
const PIECE: usize = 16 * 1024;

/// What stands in place of the rest.
const CUT: &[u8] = b"\n[gg: the rest of this output, beyond 64 MiB, was not kept]\n";

/// How long output may still come once the program is known to be gone, where something may hold its pipes all the same.
const GRACE: Duration = Duration::from_millis(500);

/// Standard input, and both ends of standard output and error.
pub(super) struct Streams {
    input: File,
    out: (OwnedFd, OwnedFd),
    err: (OwnedFd, OwnedFd),
    merged: bool,
}

impl Streams {
    /// The request's standard input, and two pipes, or two pseudo-terminals.
    pub fn open(request: &Request<'_>) -> Step<Self> {
        let terminal = request.terminal;
        let input = if request.stdin.is_empty() { OsStr::new("/dev/null") } else { &request.stdin };
        let input = File::open(input).map_err(step(format!("open {} as standard input", input.display())))?;
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
        // Where the machine has no pseudo-terminals only the colour is lost.
        let open = || if terminal { pseudo_terminal().or_else(|_| pipe()) } else { pipe() };
        let open = || open().map_err(step("make a pipe or pseudo-terminal for the output"));
        Ok(Self { input, out: open()?, err: open()?, merged: request.merged })
    }

    /// The program's ends.
    pub fn there(&self) -> [BorrowedFd<'_>; 3] {
        let err = if self.merged { &self.out.1 } else { &self.err.1 };
        [self.input.as_fd(), self.out.1.as_fd(), err.as_fd()]
    }
}

/// The two ends of a pseudo-terminal that passes bytes on as they are.
fn pseudo_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: plain libc calls; descriptors that succeed are owned from then on, the structure is filled before it is used.
    unsafe {
        let owned = |fd: libc::c_int| match fd {
            ..0 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        };
        use std::os::fd::AsRawFd;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let here = owned(libc::posix_openpt(flags))?;
        if libc::unlockpt(here.as_raw_fd()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let there = owned(libc::ioctl(here.as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        let mut mode = std::mem::zeroed::<libc::termios>();
        if libc::tcgetattr(there.as_raw_fd(), &raw mut mode) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::cfmakeraw(&raw mut mode);
        if libc::tcsetattr(there.as_raw_fd(), libc::TCSANOW, &raw const mode) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((here, there))
    }
}

/// One stream that is read to its end.
struct Capture {
    fd: Option<OwnedFd>,
    held: Vec<u8>,
    /// How much more is kept.
    room: usize,
    /// Whether [`CUT`] was written.
    cut: bool,
}

impl Capture {
    fn new(fd: OwnedFd, cap: usize) -> Self {
        Self { fd: Some(fd), held: Vec::new(), room: cap, cut: false }
    }

    /// Reads once.
    fn read(&mut self) {
        let Some(fd) = &self.fd else { return };
        let before = self.held.len();
        // Room that stays untouched costs nothing.
        self.held.reserve(PIECE);
        match rustix::io::read(fd, spare_capacity(&mut self.held)) {
            // A pseudo-terminal whose other end is closed says EIO.
            Ok(0) | Err(Errno::IO) => self.fd = None,
            Ok(got) => {
                let kept = got.min(self.room);
                self.held.truncate(before + kept);
                // The notice comes once: afterwards there is no room, and nothing more to say.
                if kept < got && !self.cut {
                    self.held.extend_from_slice(CUT);
                    self.cut = true;
                }
                self.room -= kept;
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.fd = None,
        }
    }
}

/// Stays with a program until it and everything that it started is gone.
pub(super) fn watch(
    running: Running,
    streams: Streams,
    request: &Request<'_>,
    kind: SandboxKind,
    link: &mut Link,
) -> Step<Run> {
    let namespaces = kind == SandboxKind::Namespace;
    let deadline = Instant::now().checked_add(Duration::from_nanos(request.timeout_ns));
    let Streams { input: _, merged: _, out: (out, out_there), err: (err, err_there) } = streams;
    drop((out_there, err_there));
    let mut captures = [Capture::new(running.report, 1 << 16), Capture::new(out, CAP), Capture::new(err, CAP)];
    // Why it was killed, if it was, and until when output is awaited once the first process is gone.
    let (mut killed, mut gone, mut patience) = (None, false, None::<Instant>);
    // The signal that ended the first process, if one did; known once it was reaped.
    let mut reaped = None;
    while captures.iter().any(|capture| capture.fd.is_some()) {
        let until = if patience.is_some() { patience } else { deadline };
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            if patience.is_some() {
                break;
            }
            killed = Some(Ended::TimedOut);
            patience = Some(kill(running.pid, namespaces));
            continue;
        }
        let ready = wait(&captures, link, left, killed.is_none() && reaped.is_none())?;
        for (capture, ready) in captures.iter_mut().zip(ready) {
            if ready {
                capture.read();
            }
        }
        // It reports and ends, and with it everything that could still write. Waiting for that at once, instead of for each
        // stream's end, saves going to sleep and waking up again for each.
        if kind != SandboxKind::Plain && reaped.is_none() && !captures[0].held.is_empty() {
            reaped = Some(reap(running.pid));
        }
        if patience.is_none() && (captures[0].fd.is_none() || reaped.is_some()) {
            patience = Some(Instant::now() + GRACE);
        }
        if ready[3] && killed.is_none() && reaped.is_none() {
            // The pool sends nothing during a job but a cancellation, and that is an empty frame.
            gone = !link.fill().unwrap_or(false);
            if gone || link.take_frame().is_some() {
                killed = Some(Ended::Cancelled);
                patience = Some(kill(running.pid, namespaces));
            }
        }
    }
    let signal = reaped.unwrap_or_else(|| reap(running.pid));
    if !namespaces {
        kill_strays(None);
    }
    let [report, out, err] = captures.map(|capture| capture.held);
    let ended = killed.unwrap_or_else(|| Ended::read(&mut Reader(&report)).unwrap_or(Ended::Died { signal }));
    Ok(Run { ended, stdout: out, stderr: err, gone, ..Run::default() })
}

/// Stays with a visitor's program, which has the visitor's own streams, until it is gone. Killed with all that it started when the
/// other end of the link is closed.
pub(super) fn attend(running: Running, link: &mut Link) -> Step<Ended> {
    let mut report = Capture::new(running.report, 1 << 16);
    let mut killed = None;
    while let Some(fd) = &report.fd {
        let mut fds = [PollFd::new(fd, PollFlags::IN), PollFd::from_borrowed_fd(link.as_fd(), PollFlags::IN)];
        let fds = if killed.is_none() { &mut fds[..] } else { &mut fds[..1] };
        match poll(fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(step("wait for the program")(errno)),
        }
        let [said, closed] = [0, 1].map(|at| fds.get(at).is_some_and(|fd| !fd.revents().is_empty()));
        if said {
            report.read();
        }
        if closed && !link.fill().unwrap_or(false) {
            kill(running.pid, true);
            killed = Some(Ended::Cancelled);
        }
    }
    let signal = reap(running.pid);
    Ok(killed.unwrap_or_else(|| Ended::read(&mut Reader(&report.held)).unwrap_or(Ended::Died { signal })))
}

/// Kills the first process, and with it the sandbox; until when to wait for that.
fn kill(pid: libc::pid_t, namespaces: bool) -> Instant {
    // SAFETY: a child of this process that was not reaped yet.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    if !namespaces {
        kill_strays(None);
    }
    Instant::now() + GRACE
}

/// Which of the captures and, last, the link can be read.
fn wait(captures: &[Capture; 3], link: &Link, left: Option<Duration>, listen: bool) -> Step<[bool; 4]> {
    let mut ready = [false; 4];
    let (mut fds, mut places) = (Vec::with_capacity(4), Vec::with_capacity(4));
    for (place, capture) in captures.iter().enumerate() {
        if let Some(fd) = &capture.fd {
            fds.push(PollFd::new(fd, PollFlags::IN));
            places.push(place);
        }
    }
    if listen {
        fds.push(PollFd::from_borrowed_fd(link.as_fd(), PollFlags::IN));
        places.push(3);
    }
    let timeout = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(step("wait for the program")(errno)),
    }
    for (fd, place) in fds.iter().zip(places) {
        ready[place] = !fd.revents().is_empty();
    }
    Ok(ready)
}

/// Reaps the first process; the signal that ended it, if one did.
fn reap(pid: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    // SAFETY: plain system call on a child of this process.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}
