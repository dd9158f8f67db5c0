//! The first process of a sandbox: it finishes the mounts, starts the program, reaps what is left behind, and reports.
//!
//! When it ends, or is killed, the kernel kills everything else in its process namespace (pid_namespaces(7)). It is killed
//! itself when the worker process dies.

use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use gg_ir::Cost;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, MoveMountFlags, UnmountFlags, mount, mount_bind_recursive, move_mount, unmount};
use rustix::pipe::{PipeFlags, pipe_with};

use super::namespaces::set_read_only;
use super::relocated::Place;
use super::root::Root;
use super::tool::{self, Failed};
use super::{Step, StepError, Worker, shown, step};
use crate::codec::Writer;
use crate::reply::Ended;
use crate::request::{Request, What};
use crate::{SandboxKind, Status};

/// The step that may fail without making sandboxes impossible.
pub(super) const PROC_STEP: &str = "mount /proc";

/// A first process, seen from the worker.
pub(super) struct Running {
    pub pid: libc::pid_t,
    /// What it has to report, as an [`Ended`]; its end is the process's.
    pub report: OwnedFd,
    /// Held open while the worker lives.
    _life: OwnedFd,
}

/// Starts a first process, in namespaces of its own when there is a root for it.
pub(super) fn start(
    worker: &Worker,
    request: &Request<'_>,
    root: Option<&Root>,
    place: Option<&Place>,
    streams: [BorrowedFd<'_>; 3],
) -> Step<Running> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(step("make a pipe"));
    let ((report, report_here), (life_there, life)) = (pipe()?, pipe()?);
    let isolated = worker.setup.kind == SandboxKind::Namespace;
    let namespaces = if isolated { libc::CLONE_NEWNS | libc::CLONE_NEWPID } else { 0 };
    // SAFETY: as fork(2). This process has one thread, so the child may use everything that it finds in its memory.
    let clone = || unsafe { libc::syscall(libc::SYS_clone, namespaces | libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t };
    let pid = tool::persistently(clone)
        .map_err(|errno| StepError { step: "clone a process into new namespaces".into(), errno })?;
    match pid {
        0 => {
            drop((report, life));
            let ended = live(worker, request, root, place, streams, &life_there)
                .unwrap_or_else(|StepError { step, errno }| Ended::Setup { step, errno });
            let mut w = Writer::default();
            ended.write(&mut w);
            let _ = std::fs::File::from(report_here).write_all(&w.0);
            // SAFETY: ends the process, and with it the sandbox.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(Running { pid, report, _life: life }),
    }
}

fn live(
    worker: &Worker,
    request: &Request<'_>,
    root: Option<&Root>,
    place: Option<&Place>,
    streams: [BorrowedFd<'_>; 3],
    life: &OwnedFd,
) -> Step<Ended> {
    let isolated = worker.setup.kind == SandboxKind::Namespace;
    if !isolated {
        hold_signals();
    }
    // SAFETY: plain system calls. Not dumpable: the program, which is the same user, cannot look into this process.
    unsafe {
        let signal = if isolated { libc::SIGKILL } else { libc::SIGTERM };
        libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    // The worker may have died before the kernel was told what to do then.
    let mut fds = [PollFd::new(life, PollFlags::empty())];
    if matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1)) {
        return Ok(Ended::Died { signal: None });
    }
    if let (Some(root), true) = (root, isolated) {
        enter(worker, request, root)?;
    }
    let begun = Instant::now();
    let fds = streams.map(|fd| fd.as_raw_fd());
    let pid = match tool::spawn(request, place, fds, worker.files, root.is_some()) {
        Ok(pid) => pid,
        Err((Failed::Exec, errno)) => return Ok(Ended::CannotStart { errno }),
        Err((failed, errno)) => {
            let step = match failed {
                Failed::Cwd => format!("enter {}", shown(&request.cwd)),
                other => format!("start the program ({other:?})"),
            };
            return Ok(Ended::Setup { step, errno });
        }
    };
    let status = if isolated { wait_for(pid) } else { attend(pid) };
    let wall = begun.elapsed();
    if !isolated {
        kill_strays(Some(pid));
    }
    Ok(Ended::Ran { status, cost: cost(wall) })
}

/// Puts the mounts in, makes them this process's root and lets go of everything else.
fn enter(worker: &Worker, request: &Request<'_>, root: &Root) -> Step<()> {
    let place = worker.setup.scratch.join("root");
    move_mount(&root.mount, "", rustix::fs::CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(step(format!("mount the root on {}", place.display())))?;
    rustix::process::fchdir(&root.mount).map_err(step("enter the root"))?;
    for op in &request.ops {
        if let What::Bind { source, .. } | What::Over { source } = &op.what {
            mount_bind_recursive(source.as_os_str(), op.path.as_os_str())
                .map_err(|errno| step(format!("bind {} on /{}", shown(source), shown(&op.path)))(errno))?;
        }
    }
    mount_bind_recursive(worker.setup.scratch.join("dev"), Path::new("dev")).map_err(step("bind /dev"))?;
    set_read_only(".", true)?;
    set_read_only(".", false)?;
    if worker.proc {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "proc", "proc", flags, None).map_err(step(PROC_STEP))?;
    }
    // The old root comes to lie on the new one, and goes: pivot_root(2), "pivot_root(".", ".")".
    rustix::process::pivot_root(".", ".").map_err(step("pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(step("let go of the old root"))
}

/// The signals that a first process without a process namespace waits for.
fn signals() -> libc::sigset_t {
    // SAFETY: plain libc calls that fill the structure.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        set
    }
}

fn hold_signals() {
    // SAFETY: plain system call. A program gets its own mask before it starts.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &signals(), std::ptr::null_mut()) };
}

/// As [`wait_for`], where nobody else kills what is left when the worker process dies: that comes as SIGTERM.
fn attend(pid: libc::pid_t) -> Status {
    loop {
        let mut status = 0;
        // SAFETY: plain system call.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
            0 => {}
            ended if ended == pid && libc::WIFSIGNALED(status) => return Status::Signalled(libc::WTERMSIG(status)),
            ended if ended == pid => return Status::Exited(libc::WEXITSTATUS(status)),
            ended if ended > 0 => continue,
            _ => return Status::Signalled(libc::SIGKILL),
        }
        // SAFETY: plain system call.
        if unsafe { libc::sigwaitinfo(&signals(), std::ptr::null_mut()) } == libc::SIGTERM {
            kill_strays(Some(pid));
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Reaps whatever ends until the program does.
fn wait_for(pid: libc::pid_t) -> Status {
    loop {
        let mut status = 0;
        // SAFETY: plain system call.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if ended == pid {
            return if libc::WIFSIGNALED(status) {
                Status::Signalled(libc::WTERMSIG(status))
            } else {
                Status::Exited(libc::WEXITSTATUS(status))
            };
        }
        if ended < 0 && std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            // No child left although the program was not seen to end: that cannot be, and must not be a success.
            return Status::Signalled(libc::SIGKILL);
        }
    }
}

fn cost(wall: std::time::Duration) -> Cost {
    // SAFETY: plain system call that fills the structure.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Cost {
        wall_us: wall.as_micros() as u64,
        cpu_us: us(usage.ru_utime) + us(usage.ru_stime),
        peak_kib: usage.ru_maxrss as u64,
    }
}

/// The children of this process. Not every kernel lists them itself (`CONFIG_PROC_CHILDREN`, proc(5)).
fn children() -> Vec<libc::pid_t> {
    let own = std::process::id();
    if let Ok(listed) = std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        return listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    }
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
    numbers
        .filter(|pid| {
            let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything, are the state and the parent.
            let end = stat.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 1);
            let parent = stat[end..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(1);
            parent == Some(own.to_string().as_bytes())
        })
        .collect()
}

/// Without a process namespace: kills what is left of the program's process group, and all children of this process, which
/// is a subreaper and so inherits what others leave behind (prctl(2), `PR_SET_CHILD_SUBREAPER`).
pub(super) fn kill_strays(group: Option<libc::pid_t>) {
    if let Some(group) = group {
        // SAFETY: plain system call; the group is that of a child of this process.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // Each round reaps what it kills; a grandchild becomes a child of this subreaper when its parent goes.
    for _ in 0..1000 {
        for child in children() {
            // SAFETY: a child of this process that nobody has reaped yet, so the number is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        // SAFETY: plain system call.
        if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } < 0 {
            return;
        }
    }
}
