//! Whether this machine can do it, found out once with a tiny child.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

use libc::pid_t;

use crate::filter;
use crate::install;
use crate::listener::Listener;
use crate::memory;
use crate::post::{self, Message};
use crate::redirect::redirect;

/// Longer than a tiny child needs on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the child opens.
const PROBED: &[u8] = b"/\0";

/// Why programs of the build cannot be held back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Another listener watches this process already; the kernel allows one.
    #[error("this process is itself under a seccomp listener, and the kernel allows only one; run it outside of that")]
    Taken,
    /// The kernel or a container's policy refuses the filter.
    #[error(
        "the kernel refuses a seccomp listener ({0}); it takes Linux 5.9 and a container policy that allows seccomp(2)"
    )]
    Refused(String),
    /// The memory or the `/proc` of another process of the same user cannot be read.
    #[error("cannot read another process of the same user ({0}); /proc must be mounted, and tracing children allowed")]
    Unreadable(&'static str),
    /// The child could not be started or did not do what it should.
    #[error("the probe of seccomp failed: {0}")]
    Failed(String),
}

/// Whether [`crate::spawn`] can work here. The first call starts a tiny process; later ones repeat its answer.
///
/// # Errors
///
/// See [`Unsupported`].
pub fn supported() -> Result<(), Unsupported> {
    static ANSWER: OnceLock<Result<(), Unsupported>> = OnceLock::new();
    ANSWER.get_or_init(probe).clone()
}

/// Whether [`crate::Guard::instead`] can work here as well: whether a child may be traced for a moment. The first call starts a
/// tiny process; later ones repeat its answer.
///
/// # Errors
///
/// What the system said.
pub fn redirects() -> Result<(), Unsupported> {
    static ANSWER: OnceLock<Result<(), Unsupported>> = OnceLock::new();
    ANSWER.get_or_init(|| supported().and_then(|()| probe_redirection())).clone()
}

/// The child executes a file that is there and cannot be executed, and is made to execute one that is not there: another
/// error tells that.
fn probe_redirection() -> Result<(), Unsupported> {
    const THERE: &CStr = c"/dev/null";
    const NOT_THERE: &CStr = c"/dev/null/nothing";
    let failed = |what: &str, e: io::Error| Unsupported::Failed(format!("{what}: {e}"));
    let program = filter::program();
    let (ours, theirs) = post::socket_pair().map_err(|e| failed("socketpair", e))?;
    // SAFETY: the child makes system calls on existing memory only, and ends with _exit.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(failed("fork", io::Error::last_os_error()));
    }
    if pid == 0 {
        // SAFETY: as above.
        unsafe {
            let ok = install::install(&program, theirs.as_raw_fd()).is_ok() && {
                let argv = [THERE.as_ptr(), std::ptr::null()];
                libc::execve(THERE.as_ptr(), argv.as_ptr(), argv[1..].as_ptr());
                *libc::__errno_location() == libc::ENOTDIR
            };
            libc::_exit(i32::from(!ok));
        }
    }
    let child = Probed(pid);
    drop(theirs);
    let Some(Message { fd: Some(fd), .. }) = post::receive(&ours).map_err(|e| failed("recvmsg", e))? else {
        return Err(Unsupported::Failed("the child ended early".into()));
    };
    let listener = Listener::new(fd);
    let notice = || if listener.ready(PATIENCE) { listener.receive() } else { None };
    let none = || Unsupported::Failed("no notice of a trapped call".into());
    let first = notice().ok_or_else(none)?;
    redirect(&listener, first.id, first.pid, 0, NOT_THERE).map_err(|e| failed("ptrace", e))?;
    let second = notice().ok_or_else(none)?;
    listener.go_on(second.id);
    let mut status = 0;
    // SAFETY: our own child.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        return Err(failed("waitpid", io::Error::last_os_error()));
    }
    std::mem::forget(child);
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        Ok(())
    } else {
        Err(Unsupported::Failed("a process that is traced for a moment does not do what it is told".into()))
    }
}

/// Kills and reaps the child, however the probe ends.
struct Probed(pid_t);

impl Drop for Probed {
    fn drop(&mut self) {
        // SAFETY: our own child, not yet reaped.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

fn probe() -> Result<(), Unsupported> {
    let failed = |what: &str, e: io::Error| Unsupported::Failed(format!("{what}: {e}"));
    let program = filter::program();
    let (ours, theirs) = post::socket_pair().map_err(|e| failed("socketpair", e))?;
    // SAFETY: the child makes system calls on existing memory only, and ends with _exit.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(failed("fork", io::Error::last_os_error()));
    }
    if pid == 0 {
        // SAFETY: as above.
        unsafe {
            let ok = install::install(&program, theirs.as_raw_fd()).is_ok()
                && libc::open(PROBED.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) == -1
                && *libc::__errno_location() == libc::EXDEV;
            libc::_exit(i32::from(!ok));
        }
    }
    let child = Probed(pid);
    drop(theirs);
    let listener = match post::receive(&ours).map_err(|e| failed("recvmsg", e))? {
        Some(Message { fd: Some(fd), .. }) => Listener::new(fd),
        Some(Message { number: libc::EBUSY, .. }) => return Err(Unsupported::Taken),
        Some(Message { number, .. }) => {
            return Err(Unsupported::Refused(io::Error::from_raw_os_error(number).to_string()));
        }
        None => return Err(Unsupported::Failed("the child ended early".into())),
    };
    let notice = if listener.ready(PATIENCE) { listener.receive() } else { None };
    let notice = notice.ok_or_else(|| Unsupported::Failed("no notice of a trapped call".into()))?;
    let address = notice.data.args.iter().copied().find(|a| *a == PROBED.as_ptr() as u64);
    let text = address.map(|a| memory::string(notice.pid, a));
    if !matches!(text, Some(Ok(text)) if text == PROBED[..1]) {
        return Err(Unsupported::Unreadable("its memory"));
    }
    if std::fs::read_link(format!("/proc/{}/cwd", notice.pid)).is_err() {
        return Err(Unsupported::Unreadable("its directory in /proc"));
    }
    // An error that open never gives here shows that the answer arrived.
    listener.fail(notice.id, libc::EXDEV);
    let mut status = 0;
    // SAFETY: our own child.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        return Err(failed("waitpid", io::Error::last_os_error()));
    }
    std::mem::forget(child);
    if !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
        return Err(Unsupported::Failed("the answer to a trapped call did not arrive".into()));
    }
    if !listener.gone(Some(PATIENCE)) {
        return Err(Unsupported::Refused("it does not tell when the last process is gone".into()));
    }
    Ok(())
}
