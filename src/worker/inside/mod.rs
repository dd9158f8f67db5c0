//! The worker process: single-threaded, started once, runs one program after the other.
//!
//! # Layout
//!
//! - `namespaces`: what the process leaves behind once, at its start
//! - `relocated`: a sandbox without rights: its directory and the shim; `map`: the table that the shim reads; `locales`: what
//!   an archive of locales holds, laid out
//! - `root`: one sandbox's root, a tmpfs, and what is put in it
//! - `init`: the first process of a sandbox, between the worker and the program
//! - `tool`: starting the program
//! - `watch`: standard output and error, the deadline, cancellation
//! - `collect`: what the program wrote

mod collect;
mod init;
#[cfg(feature = "relocated")]
mod locales;
#[cfg(feature = "relocated")]
mod map;
mod namespaces;
#[cfg(feature = "relocated")]
mod relocated;
#[cfg(not(feature = "relocated"))]
#[path = "unrelocated.rs"]
mod relocated;
pub(crate) mod root;
mod tool;
mod watch;

/// As many bytes are kept of what a program writes to each of standard output and error; one that wrote more has words of gg's at its
/// end.
pub const MOST_OUTPUT: usize = watch::CAP;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::SandboxKind;
use crate::codec::{Reader, Writer};
use crate::link::{Link, MAX_FDS};
use crate::reply::{Ended, Reply};
use crate::request::Request;
use crate::shelf::Shelf;
use collect::Found;
use root::Root;

/// A step of the set-up that failed.
#[derive(Debug)]
struct StepError {
    step: String,
    errno: i32,
}

type Step<T> = Result<T, StepError>;

/// For `map_err`.
fn step<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> StepError {
    let step = step.into();
    move |error| StepError { step, errno: error.into().raw_os_error().unwrap_or(libc::EIO) }
}

/// The first frame: what kind of worker this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// How to run programs.
    pub kind: SandboxKind,
    /// Holds the empty directories `root` and `dev`, for mounts that nobody else sees, and relocated sandboxes.
    pub scratch: PathBuf,
    /// The most bytes of one sandbox's tmpfs.
    pub tmpfs_bytes: u64,
    /// It is for one program only, a visitor's, which has the visitor's own streams.
    pub visit: bool,
}

impl Setup {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.byte(match self.kind {
            SandboxKind::Namespace => b'n',
            SandboxKind::Relocated => b'r',
            SandboxKind::Plain => b'p',
        });
        w.text(self.scratch.as_os_str());
        w.number(self.tmpfs_bytes);
        w.byte(self.visit.into());
        w.0
    }

    fn decode(frame: &[u8]) -> io::Result<Self> {
        let mut r = Reader(frame);
        let kind = match r.byte()? {
            b'n' => SandboxKind::Namespace,
            b'r' => SandboxKind::Relocated,
            b'p' => SandboxKind::Plain,
            _ => return r.invalid(),
        };
        Ok(Self { kind, scratch: r.text()?.into(), tmpfs_bytes: r.number()?, visit: r.byte()? != 0 })
    }
}

/// What stays the same from one program to the next.
struct Worker {
    setup: Setup,
    /// Whether `/proc` can be mounted. In some containers it cannot, since theirs is partly masked.
    proc: bool,
    /// How many descriptors a program may have; the worker itself allows itself more.
    files: libc::rlimit,
}

/// The worker process's loop: serves the pool at the other end of `socket` until that closes it or dies, then exits.
///
/// To be called by a process that was started by [`crate::Pool`] through its `worker_command`, on the main thread before
/// any other thread is started (the kernel lets only a single-threaded process enter a user namespace). The socket is
/// [`crate::SOCKET_FD`]. Closes all descriptors but the standard three.
pub fn worker_main(socket: RawFd) -> ! {
    // SAFETY: the pool gave this process the descriptor for this call, and nothing else knows of it.
    let mut link = Link::new(unsafe { OwnedFd::from_raw_fd(socket) });
    let status = match serve(&mut link) {
        Ok(()) => 0,
        // The pool is gone, and so is whoever would read this.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 1,
        Err(error) => {
            eprintln!("gg worker process: {error}");
            1
        }
    };
    // SAFETY: ends the process; there is nothing to run at exit.
    unsafe { libc::_exit(status) }
}

fn serve(link: &mut Link) -> io::Result<()> {
    let Some(frame) = link.receive()? else { return Ok(()) };
    let setup = Setup::decode(&frame)?;
    rustix::process::umask(rustix::fs::Mode::empty());
    // SAFETY: plain libc calls; nothing in this process, which never returns from here, owns a descriptor above the
    // standard three. What gg was given by its own parent (make's jobserver, a pipe that somebody waits on) is not held open.
    // A terminal's Ctrl-C is for the coordinator, which cancels in an orderly way.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    let mut worker = Worker { setup, proc: true, files: raise_file_limit() };
    let ready = worker.prepare(link);
    let failed = ready.is_err();
    link.send(&Reply::Hello(ready).encode(), &[])?;
    if failed {
        return Ok(());
    }
    if worker.setup.visit {
        return worker.visit(link);
    }
    let mut shelf = None;
    while let Some(frame) = link.receive()? {
        // A request whose values lie elsewhere than those of the one before brings the descriptor.
        if let Some(memory) = link.take_fd() {
            shelf = Some(Shelf::open(memory)?);
        }
        // An empty frame is a cancellation that crossed the end of its job.
        if !frame.is_empty() && !worker.run(&Request::decode(&frame, shelf.as_ref())?, link)? {
            break;
        }
    }
    Ok(())
}

impl Worker {
    /// Enters the worker's namespaces and tries a whole sandbox once, with nothing in it.
    fn prepare(&mut self, link: &mut Link) -> Result<(), String> {
        let told = |error: StepError| format!("{}: {}", error.step, io::Error::from_raw_os_error(error.errno));
        match self.setup.kind {
            SandboxKind::Plain => return Ok(()),
            SandboxKind::Relocated => relocated::prepare(&self.setup.scratch).map_err(told)?,
            SandboxKind::Namespace => {
                namespaces::enter().map_err(told)?;
                namespaces::make_dev(&self.setup.scratch).map_err(told)?;
            }
        }
        let nothing = Request {
            executable: "/nothing".into(),
            cwd: "/".into(),
            timeout_ns: 10_000_000_000,
            ..Request::default()
        };
        loop {
            match self.sandboxed(&nothing, link).map_err(|e| e.to_string())?.ended {
                Ended::CannotStart { errno: libc::ENOENT } => return Ok(()),
                Ended::Setup { step, .. } if self.proc && step == init::PROC_STEP => self.proc = false,
                Ended::Setup { step, errno } => return Err(told(StepError { step, errno })),
                other => return Err(format!("a first sandbox ended unexpectedly ({other:?})")),
            }
        }
    }

    /// Runs one program and answers; `false` when the pool is gone.
    fn run(&self, request: &Request<'_>, link: &mut Link) -> io::Result<bool> {
        let run = self.sandboxed(request, link)?;
        // Lives until the answer is sent.
        let _place = run.place;
        if run.gone {
            return Ok(false);
        }
        let mut found = run.found;
        while !found.is_empty() {
            let rest = found.split_off(found.len().min(MAX_FDS));
            let fds: Vec<BorrowedFd<'_>> = found.iter().map(|file| file.fd.as_fd()).collect();
            let files = found.iter().map(|file| file.written.clone()).collect();
            link.send(&Reply::Files(files).encode(), &fds)?;
            found = rest;
        }
        link.send(&Reply::End { ended: run.ended, stdout: run.stdout, stderr: run.stderr }.encode(), &[])?;
        Ok(true)
    }

    /// Runs a visitor's program and answers how it ended.
    fn visit(&self, link: &mut Link) -> io::Result<()> {
        let Some(frame) = link.receive()? else { return Ok(()) };
        let [Some(input), Some(out), Some(err)] = [link.take_fd(), link.take_fd(), link.take_fd()] else {
            return Err(io::Error::other("a visit without its three streams"));
        };
        let request = Request::decode(&frame, None)?;
        let ended = self
            .try_visit(&request, [input, out, err], link)
            .unwrap_or_else(|StepError { step, errno }| Ended::Setup { step, errno });
        link.send(&Reply::End { ended, stdout: Vec::new(), stderr: Vec::new() }.encode(), &[])
    }

    fn try_visit(&self, request: &Request<'_>, streams: [OwnedFd; 3], link: &mut Link) -> Step<Ended> {
        let root = Root::new(&self.setup, request)?;
        let there = streams.each_ref().map(AsFd::as_fd);
        let running = init::start(self, request, Some(&root), None, there)?;
        watch::attend(running, link)
    }

    fn sandboxed(&self, request: &Request<'_>, link: &mut Link) -> io::Result<Run> {
        Ok(self
            .try_sandboxed(request, link)
            .unwrap_or_else(|StepError { step, errno }| Run { ended: Ended::Setup { step, errno }, ..Run::default() }))
    }

    fn try_sandboxed(&self, request: &Request<'_>, link: &mut Link) -> Step<Run> {
        // Taken away last, when the answer is on its way.
        let mut place = None;
        let root = match self.setup.kind {
            SandboxKind::Namespace => Some(Root::new(&self.setup, request)?),
            SandboxKind::Relocated => {
                let place = place.insert(relocated::Place::new(&self.setup.scratch)?);
                Some(place.fill(request)?)
            }
            SandboxKind::Plain => None,
        };
        let streams = watch::Streams::open(request)?;
        let running = init::start(self, request, root.as_ref(), place.as_ref(), streams.there())?;
        let mut watched = watch::watch(running, streams, request, self.setup.kind, link)?;
        if let Some(reason) = place.as_ref().and_then(|place| place.unfit(&watched)) {
            watched.ended = Ended::Unfit { reason };
        }
        let found = match (&watched.ended, &root) {
            (Ended::Ran { .. }, Some(root)) => collect::from_root(root, request)?,
            (Ended::Ran { .. }, None) => collect::in_place(request)?,
            _ => Vec::new(),
        };
        Ok(Run { found, place, ..watched })
    }
}

/// Lets this process have as many descriptors as it can, one for each file that a program writes; how many it could have.
fn raise_file_limit() -> libc::rlimit {
    // SAFETY: plain system calls that read and write the structures.
    unsafe {
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before);
        libc::setrlimit(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: before.rlim_max, ..before });
        before
    }
}

/// What one run came to.
struct Run {
    ended: Ended,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    found: Vec<Found>,
    /// The pool closed its end.
    gone: bool,
    /// Where it ran, to be removed.
    place: Option<relocated::Place>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            ended: Ended::Cancelled,
            stdout: Vec::new(),
            stderr: Vec::new(),
            found: Vec::new(),
            gone: false,
            place: None,
        }
    }
}

/// For people: a path as part of a message.
fn shown(path: &OsString) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
