//! What a worker is shut in: a function's surroundings, made of namespaces.
//!
//! Three processes: the jailer, a child of the front door; `init`, the first process of the jail's process namespace,
//! which watches memory and reaps; and the worker. Whichever of the first two ends takes everything below with it, so that
//! a front door that is killed leaves nothing behind.
//!
//! A worker finds: a read-only root with nothing in it but itself (`/var/task/bootstrap`), a few files in `/etc`, `/dev`
//! and `/proc`, and a `/tmp` in memory; a user id of its own without privileges or a way to gain any; 1,024 descriptors and
//! processes; no user namespaces. Memory is watched, not reserved: what passes the limit for a moment may go unnoticed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Error, Result, anyhow, bail};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use serde::{Deserialize, Serialize};

use crate::seccomp;

/// The first argument that makes this program a jailer; the second is a [`Jail`].
pub const ARGUMENT: &str = "__jail";

/// Where the worker is, as in a function.
const BOOTSTRAP: &CStr = c"/var/task/bootstrap";

/// Where the jail's root is put together: a directory that every system has and no jail needs.
const ROOT: &str = "/sys";

/// How often memory is looked at.
const WATCH_MS: i32 = 25;

/// What to shut a worker in. The worker's environment is the jailer's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jail {
    /// The front door's process.
    pub parent: u32,
    /// The worker program.
    pub worker: PathBuf,
    /// A directory for the root, in place of an empty one.
    pub root: Option<PathBuf>,
    /// The size of `/tmp`, MiB.
    pub scratch: u64,
    /// The memory of all processes together, MiB.
    pub memory: u64,
    /// The user and group.
    pub user: u32,
    /// Whether user namespaces may be made.
    pub namespaces: bool,
    /// Directories of the host, writable at their own paths.
    pub binds: Vec<PathBuf>,
}

/// Becomes the jailer. Returns only when that fails; otherwise ends with the worker's status, 128 and the signal's number
/// where a signal ended it.
pub fn enter() -> Error {
    let run = || -> Result<std::convert::Infallible> {
        let text = env::args().nth(2).context("a jail is described by its second argument")?;
        let jail: Jail = serde_json::from_str(&text).context("no description of a jail")?;
        jail.enter()
    };
    match run() {
        Err(error) => error.context("cannot shut a worker in"),
        Ok(never) => match never {},
    }
}

/// The outcome of a libc call.
fn check(result: libc::c_int, what: &str) -> Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()).with_context(|| what.to_owned()) } else { Ok(result) }
}

fn end(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// The exit status that stands for how a process ended.
fn code(status: libc::c_int) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

impl Jail {
    fn enter(self) -> Result<std::convert::Infallible> {
        // SAFETY: plain system calls.
        unsafe {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), "prctl")?;
            if libc::getppid() as u32 != self.parent {
                end(0);
            }
        }
        let root = rustix::process::geteuid().is_root();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let own = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
        // SAFETY: plain system call.
        check(unsafe { libc::unshare(own | if root { 0 } else { libc::CLONE_NEWUSER }) }, "unshare")?;
        if !root {
            fs::write("/proc/self/setgroups", "deny").context("write setgroups")?;
            fs::write("/proc/self/uid_map", format!("{} {uid} 1", self.user)).context("write uid_map")?;
            fs::write("/proc/self/gid_map", format!("{} {gid} 1", self.user)).context("write gid_map")?;
        }
        let (alive, held) = rustix::pipe::pipe().context("a pipe")?;
        // SAFETY: this process has one thread.
        let child = check(unsafe { libc::fork() }, "fork")?;
        if child == 0 {
            drop(held);
            match self.init(alive, root) {
                Ok(status) => end(status),
                Err(error) => {
                    eprintln!("gg-front-door: cannot shut a worker in: {error:#}");
                    end(125);
                }
            }
        }
        drop(alive);
        let mut status = 0;
        // SAFETY: fills the number.
        while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        drop(held);
        end(code(status))
    }

    /// The first process of the jail.
    fn init(&self, alive: OwnedFd, root: bool) -> Result<i32> {
        // SAFETY: plain system call.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, "prctl")?;
        self.build().context("its root")?;
        // SAFETY: this process has one thread.
        let worker = check(unsafe { libc::fork() }, "fork")?;
        if worker == 0 {
            drop(alive);
            let Err(error) = self.become_worker(root);
            eprintln!("gg-front-door: cannot start a worker: {error:#}");
            end(126);
        }
        loop {
            let mut wait = libc::pollfd { fd: alive.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one structure.
            if unsafe { libc::poll(&raw mut wait, 1, WATCH_MS) } > 0 {
                // The jailer is gone.
                return Ok(0);
            }
            loop {
                let mut status = 0;
                // SAFETY: fills the number.
                match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
                    ended if ended == worker => return Ok(code(status)),
                    ended if ended <= 0 => break,
                    _ => {}
                }
            }
            self.watch_memory();
        }
    }

    /// Kills the largest process when all together are too large, as the system of a function does.
    fn watch_memory(&self) {
        // SAFETY: plain call.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as u64;
        let Ok(listed) = fs::read_dir("/proc") else { return };
        let sizes = listed.flatten().filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("statm")).ok()?;
            let mut fields = text.split(' ').skip(1).filter_map(|field| field.parse::<u64>().ok());
            // Resident without what is mapped from files, `/tmp` among them.
            let own = fields.next()?.saturating_sub(fields.next()?) * page;
            (pid != 1).then_some((own, pid))
        });
        let sizes: Vec<(u64, i32)> = sizes.collect();
        let total: u64 = sizes.iter().map(|(size, _)| size).sum();
        if let (true, Some((size, pid))) = (total > self.memory << 20, sizes.iter().max()) {
            eprintln!("gg-front-door: out of memory: a process of {} MiB is killed", size >> 20);
            // SAFETY: plain system call.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
    }

    /// Puts the root together and enters it.
    fn build(&self) -> Result<()> {
        let root = Path::new(ROOT);
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("private mounts")?;
        // Opened before the root covers anything.
        let copied = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"];
        let copied = copied.map(|path| (path, fs::read(path)));
        match &self.root {
            Some(given) => mount_bind_recursive(given, root).with_context(|| format!("bind {}", given.display()))?,
            None => mount("tmpfs", root, "tmpfs", MountFlags::NOSUID, Some(c"mode=0755,size=64m")).context("tmpfs")?,
        }
        let tmpfs = |below: &str, options: &str| -> Result<()> {
            let at = directory(&root.join(below))?;
            let options = CString::new(options)?;
            mount("tmpfs", &at, "tmpfs", MountFlags::NOSUID, Some(options.as_c_str()))
                .with_context(|| format!("tmpfs on {}", at.display()))
        };
        tmpfs("tmp", &format!("mode=1777,size={}m", self.scratch))?;
        tmpfs("dev", "mode=0755,size=64k")?;
        for name in ["null", "zero", "full", "random", "urandom"] {
            let (host, here) = (Path::new("/dev").join(name), root.join("dev").join(name));
            fs::write(&here, b"").and_then(|()| Ok(mount_bind(&host, &here)?)).with_context(|| name.to_owned())?;
        }
        let links = [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")];
        for (name, number) in links {
            symlink(format!("/proc/self/fd{number}"), root.join("dev").join(name)).context("links in /dev")?;
        }
        directory(&root.join("proc"))?;
        mount("proc", root.join("proc"), "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
            .context("mount /proc")?;
        if self.root.is_none() {
            for (path, content) in copied {
                let Ok(content) = content else { continue };
                let here = root.join(path.trim_start_matches('/'));
                if let Some(parent) = here.parent() {
                    directory(parent)?;
                }
                fs::write(&here, content).with_context(|| format!("copy {path}"))?;
            }
            let user =
                format!("root:x:0:0::/:/bin/sh\nsbx_user1051:x:{0}:{0}::/home/sbx_user1051:/bin/sh\n", self.user);
            fs::write(root.join("etc/passwd"), user).context("etc/passwd")?;
        }
        self.bind_worker(root)?;
        for path in &self.binds {
            let at = root.join(path.strip_prefix("/").with_context(|| format!("{} is not absolute", path.display()))?);
            directory(&at)?;
            mount_bind(path, &at).with_context(|| format!("bind {}", path.display()))?;
        }
        mount_remount(root, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, c"").context("read-only")?;
        env::set_current_dir(root).context("enter it")?;
        // On top of itself: the old root is then the one below, and goes (pivot_root(2), NOTES).
        rustix::process::pivot_root(".", ".").context("pivot_root")?;
        unmount(".", UnmountFlags::DETACH).context("leave the old root")?;
        env::set_current_dir("/").context("enter it")
    }

    fn bind_worker(&self, root: &Path) -> Result<()> {
        let here = root.join("var/task");
        directory(&here)?;
        let here = here.join("bootstrap");
        if !here.exists() {
            fs::write(&here, b"").with_context(|| format!("create {}", here.display()))?;
        }
        mount_bind(&self.worker, &here).with_context(|| format!("bind {}", self.worker.display()))?;
        mount_remount(&here, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, c"").context("read-only")
    }

    /// Gives everything up and starts the worker.
    fn become_worker(&self, root: bool) -> Result<std::convert::Infallible> {
        // SAFETY: plain system calls with numbers and structures that live through them.
        unsafe {
            if root {
                check(libc::setgroups(0, std::ptr::null()), "setgroups")?;
                check(libc::setresgid(self.user, self.user, self.user), "setresgid")?;
                check(libc::setresuid(self.user, self.user, self.user), "setresuid")?;
            }
            // Of a function: "Lambda quotas", file descriptors and execution processes/threads.
            for (what, most) in [(libc::RLIMIT_NOFILE, 1024), (libc::RLIMIT_NPROC, 1024), (libc::RLIMIT_CORE, 0)] {
                let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
                check(libc::setrlimit(what, &raw const limit), "setrlimit")?;
            }
            libc::umask(0o022);
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")?;
        }
        env::set_current_dir("/var/task").context("/var/task")?;
        seccomp::install(self.namespaces).context("seccomp")?;
        let variables: Vec<CString> = env::vars_os()
            .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok())
            .collect();
        let mut pointers: Vec<_> = variables.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let args = [BOOTSTRAP.as_ptr(), std::ptr::null()];
        // SAFETY: lists of strings that end with a null pointer.
        unsafe { libc::execve(BOOTSTRAP.as_ptr(), args.as_ptr(), pointers.as_ptr()) };
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::NotFound {
            bail!("the worker is no static program: its loader is not there");
        }
        Err(anyhow!(error).context("execve"))
    }
}

/// Makes a directory and those above it, unless it is there.
fn directory(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))?;
    Ok(path.to_owned())
}
