//! Starting the program.

use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::relocated::{Launch, Place};
use crate::request::Request;

/// The stack that the child borrows until `execve`; it calls little.
const STACK: usize = 64 * 1024;

/// A program that has just been written may be open for writing still, in a child that another thread of the writer has started
/// and that has not executed anything yet. That passes.
const BUSY: Duration = Duration::from_millis(10);
const BUSY_TRIES: u32 = 200;

/// Everything that the child needs, made before it exists.
struct Plan {
    executable: *const c_char,
    cwd: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    streams: [RawFd; 3],
    umask: libc::mode_t,
    memory_limit: u64,
    drop_capabilities: bool,
    visit: bool,
    files: libc::rlimit,
    /// Set where the child and its parent share memory.
    errno: AtomicI32,
    failed: AtomicI32,
}

/// What failed before the program's first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Failed {
    Nothing = 0,
    Clone,
    Cwd,
    Streams,
    Limits,
    Capabilities,
    Exec,
}

impl Failed {
    fn of(number: i32) -> Self {
        [Failed::Nothing, Failed::Clone, Failed::Cwd, Failed::Streams, Failed::Limits, Failed::Capabilities]
            .into_iter()
            .find(|&failed| failed as i32 == number)
            .unwrap_or(Failed::Exec)
    }
}

/// Starts the request's program with these three streams; its process id, or what failed and why.
pub(super) fn spawn(
    request: &Request<'_>,
    place: Option<&Place>,
    streams: [RawFd; 3],
    files: libc::rlimit,
    drop_capabilities: bool,
) -> Result<libc::pid_t, (Failed, i32)> {
    let invalid = |_| (Failed::Exec, libc::EINVAL);
    let strings = |texts: &[std::ffi::OsString]| -> Result<Vec<CString>, _> {
        texts.iter().map(|text| CString::new(text.as_bytes()).map_err(invalid)).collect()
    };
    let string = |text: &OsStr| CString::new(text.as_bytes()).map_err(invalid);
    let (args, env) = (strings(&request.args)?, strings(&request.env)?);
    let (executable, cwd) = (string(&request.executable)?, string(&request.cwd)?);
    let (argv, envp) = (pointers(&args), pointers(&env));
    let launch = place.map(|place| place.launch(&executable, &argv, &envp, &cwd)).transpose()?;
    let launch = launch.as_ref().map_or(
        (executable.as_ptr(), cwd.as_ptr(), argv.as_ptr(), envp.as_ptr()),
        |Launch { loader, cwd, argv, envp, .. }| (*loader, cwd.as_ptr(), *argv, *envp),
    );
    let plan = Plan {
        executable: launch.0,
        cwd: launch.1,
        argv: launch.2,
        envp: launch.3,
        streams,
        umask: request.umask & 0o777,
        memory_limit: request.memory_limit,
        drop_capabilities,
        visit: request.visit,
        files,
        errno: AtomicI32::new(0),
        failed: AtomicI32::new(0),
    };
    // Not filled with anything: each page that is touched is a page fault.
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let top: *mut c_void = stack.spare_capacity_mut().as_mut_ptr_range().end.cast();
    for tries_left in (0..BUSY_TRIES).rev() {
        // SAFETY: the child runs `child` on a stack of its own, in this process's memory, while this thread is suspended
        // (CLONE_VFORK) until it has called execve or _exit. It only makes system calls and writes to `plan`, which outlives it.
        let pid = persistently(|| unsafe {
            libc::clone(
                child,
                top,
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                (&raw const plan).cast_mut().cast(),
            )
        })
        .map_err(|errno| (Failed::Clone, errno))?;
        let failed = Failed::of(plan.failed.load(Ordering::Relaxed));
        if failed == Failed::Nothing {
            return Ok(pid);
        }
        // SAFETY: reaps the child that has just called _exit.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
        let errno = plan.errno.load(Ordering::Relaxed);
        if (failed, errno) != (Failed::Exec, libc::ETXTBSY) || tries_left == 0 {
            return Err((failed, errno));
        }
        plan.failed.store(Failed::Nothing as i32, Ordering::Relaxed);
        std::thread::sleep(BUSY);
    }
    Err((Failed::Exec, libc::ETXTBSY))
}

/// Starts a process; tries again for a while when the machine has no room for one just now (`EAGAIN`, clone(2)).
pub(super) fn persistently(start: impl Fn() -> libc::pid_t) -> Result<libc::pid_t, i32> {
    for tries_left in (0..20).rev() {
        let pid = start();
        if pid >= 0 {
            return Ok(pid);
        }
        let errno = errno();
        if errno != libc::EAGAIN || tries_left == 0 {
            return Err(errno);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(libc::EAGAIN)
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a plan that lives until this process has gone on to another program or has ended.
    let plan = unsafe { &*plan.cast::<Plan>() };
    let failed = become_program(plan);
    plan.errno.store(errno(), Ordering::Relaxed);
    plan.failed.store(failed as i32, Ordering::Relaxed);
    // SAFETY: ends this process only.
    unsafe { libc::_exit(127) }
}

/// Only system calls from here on: memory is shared with the parent. Returns what failed.
fn become_program(plan: &Plan) -> Failed {
    // SAFETY: plain system calls on what `plan` holds.
    unsafe {
        if !plan.visit {
            libc::setsid();
        }
        // Without a process namespace nothing else ends the program when its parent is killed.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::chdir(plan.cwd) != 0 {
            return Failed::Cwd;
        }
        // First above all of 0, 1 and 2, then down: one may stand where another has to go.
        let mut raised = plan.streams;
        for fd in &mut raised {
            *fd = libc::fcntl(*fd, libc::F_DUPFD, 3);
        }
        for (fd, to) in raised.into_iter().zip(0..) {
            if libc::dup2(fd, to) < 0 {
                return Failed::Streams;
            }
        }
        if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) != 0 {
            return Failed::Streams;
        }
        for signal in 1..=64 {
            // Fails for the few that nobody can change.
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::umask(plan.umask);
        let limit = |which, bytes| libc::setrlimit(which, &libc::rlimit { rlim_cur: bytes, rlim_max: bytes });
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const plan.files) != 0
            || limit(libc::RLIMIT_CORE, 0) != 0
            || plan.memory_limit > 0 && limit(libc::RLIMIT_DATA, plan.memory_limit) != 0
        {
            return Failed::Limits;
        }
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || plan.drop_capabilities && !drop_capabilities() {
            return Failed::Capabilities;
        }
        libc::execve(plan.executable, plan.argv, plan.envp);
        Failed::Exec
    }
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// The low and the high 32 of effective, permitted, inheritable, as capset(2) wants them.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER and FSETID, see capabilities(7): what root is used to when it handles its own files.
const ROOT_KEEPS: u32 = 0b1_1111;

/// Gives up every capability; root, which would otherwise fail where plain make succeeds (writing to a file of mode 0444,
/// say), keeps those over files. With `no_new_privs` set, no `execve` brings any back.
fn drop_capabilities() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    // SAFETY: plain system calls; the structures live through the call.
    unsafe {
        let keep = if libc::geteuid() == 0 { ROOT_KEEPS } else { 0 };
        let data = [
            CapData { effective: keep, permitted: keep, inheritable: 0 },
            CapData { effective: 0, permitted: 0, inheritable: 0 },
        ];
        let header = CapHeader { version: VERSION_3, pid: 0 };
        libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) == 0
    }
}
