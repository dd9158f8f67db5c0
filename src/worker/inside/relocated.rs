//! A sandbox without rights: an ordinary directory that a preloaded shim shows to programs as the whole file system.
//!
//! ```text
//! SCRATCH/shim-NAME.so        the shim, `stubs/shim`, which every program of every sandbox is started with
//! SCRATCH/r/PID-NUMBER/root   what one program sees as /
//! SCRATCH/r/PID-NUMBER/dev    its /dev
//! SCRATCH/r/PID-NUMBER/locale where the C library finds locales, if there is an archive of them
//! SCRATCH/r/PID-NUMBER/map    the table that the shim reads, `struct gg_map` in `stubs/shim/shim.h`
//! SCRATCH/r/PID-NUMBER/unfit  why the result must not be used
//! ```
//!
//! Where the namespace sandbox mounts something, here a symbolic link leads to it; the shim takes it for what it leads to.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gg_ir::Name;
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};

use super::locales;
use super::map::{Kind, Map};
use super::root::{self, Root};
use super::tool::Failed;
use super::{Run, Step, StepError, shown, step};
use crate::library::missing_library;
use crate::reply::Ended;
use crate::request::{Op, Request, What};

/// The shim, as `build.rs` has built it.
const SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim.so"));

/// What a program finds in `/dev`, as in every sandbox.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// What a loader says when a library is not there. The namespace sandbox, where it may be, is to decide.
const NO_LIBRARY: &[&[u8]] =
    &[b"error while loading shared libraries", b"cannot open shared object file", b"symbol lookup error"];

/// As in `stubs/shim/shim.h`.
const PATH: usize = 4096;

#[repr(C)]
struct RawLaunch {
    loader: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
}

// SAFETY: as `stubs/shim/launch.c` has them.
unsafe extern "C" {
    fn gg_sandbox_open(run: *const c_char) -> c_int;
    fn gg_sandbox_size(argv: *const *const c_char, envp: *const *const c_char) -> usize;
    fn gg_sandbox_launch(
        path: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
        memory: *mut u128,
        out: *mut RawLaunch,
    ) -> c_int;
    fn gg_sandbox_real(path: *const c_char, out: *mut c_char) -> c_int;
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// What has to be there once: the shim; and what dead workers have left goes.
pub(super) fn prepare(scratch: &Path) -> Step<()> {
    let at = |what: &str, path: &Path| format!("{what} {}", path.display());
    let status = rustix::fs::statvfs(scratch).map_err(step(at("look at", scratch)))?;
    if status.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(StepError { step: at("start programs from", scratch), errno: libc::EACCES });
    }
    if scratch.as_os_str().len() > PATH / 4 {
        return Err(StepError { step: at("work in", scratch), errno: libc::ENAMETOOLONG });
    }
    let shim = shim_path(scratch);
    if fs::read(&shim).map_or(true, |bytes| bytes != SHIM) {
        let tmp = shim.with_extension(std::process::id().to_string());
        fs::write(&tmp, SHIM).map_err(step(at("write", &tmp)))?;
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o555)).map_err(step(at("write", &tmp)))?;
        fs::rename(&tmp, &shim).map_err(step(at("write", &shim)))?;
    }
    let runs = scratch.join("r");
    fs::create_dir_all(&runs).map_err(step(at("create", &runs)))?;
    for left in fs::read_dir(&runs).map_err(step(at("read", &runs)))?.flatten() {
        let name = left.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next()?.parse::<libc::pid_t>().ok());
        // SAFETY: plain system call that sends nothing.
        let dead = pid.is_none_or(|pid| unsafe { libc::kill(pid, 0) } != 0 && errno() == libc::ESRCH);
        if dead || pid == Some(std::process::id() as i32) {
            remove(&left.path());
        }
    }
    Ok(())
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn shim_path(scratch: &Path) -> PathBuf {
    scratch.join(format!("shim-{}.so", Name::of_value(SHIM)))
}

/// Where one program runs. Dropped, it is removed.
pub(super) struct Place {
    run: PathBuf,
    shim: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.run);
    }
}

/// Removes a directory, also one whose directories the program has made unwritable.
fn remove(place: &Path) {
    if fs::remove_dir_all(place).is_err() {
        open_up(place);
        // What stays is taken by the next worker process.
        let _ = fs::remove_dir_all(place);
    }
}

fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// What the loader is started with. The pointers lead into memory that this owns, and into the caller's.
pub(super) struct Launch {
    pub loader: *const c_char,
    pub cwd: CString,
    pub argv: *const *const c_char,
    pub envp: *const *const c_char,
    _memory: Vec<u128>,
}

impl Place {
    /// A directory of its own.
    pub fn new(scratch: &Path) -> Step<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let run = scratch.join(format!("r/{}-{number}", std::process::id()));
        let place = Self { run, shim: shim_path(scratch) };
        for directory in [place.run.clone(), place.run.join("root")] {
            let made = DirBuilder::new().mode(0o755).create(&directory);
            made.map_err(step(format!("create {}", directory.display())))?;
        }
        Ok(place)
    }

    /// Puts in everything that the program is to see.
    pub fn fill(&self, request: &Request<'_>) -> Step<Root> {
        let top = self.run.join("root");
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mount = rustix::fs::open(&top, flags, Mode::empty()).map_err(step("open the root"))?;
        let mut map = Map::default();
        let mut made = Vec::with_capacity(request.ops.len());
        for op in &request.ops {
            let failed = || format!("put /{} in", shown(&op.path));
            made.push(put(&mount, op, &mut map).map_err(|error| step(failed())(error))?);
        }
        system(&mount, &self.run.join("dev"), &mut map).map_err(step("put /dev and /proc in"))?;
        locales::lay_out(request, &top, &self.run.join("locale")).map_err(step("lay locales out"))?;
        let libraries = library_directories(request);
        let path = self.run.join("map");
        fs::write(&path, map.encode(&self.shim, &libraries)).map_err(step(format!("write {}", path.display())))?;
        Ok(Root { mount, made })
    }

    /// Why the program's result must not be used, if that is so.
    pub fn unfit(&self, run: &Run) -> Option<String> {
        if matches!(run.ended, Ended::Cancelled | Ended::TimedOut | Ended::Setup { .. }) {
            return None;
        }
        if let Ok(reason) = fs::read(self.run.join("unfit")) {
            return Some(String::from_utf8_lossy(&reason).into_owned());
        }
        let failed = matches!(run.ended, Ended::Ran { status, .. } if !status.success());
        let says = |part: &&[u8]| run.stderr.windows(part.len()).any(|text| text == *part);
        (failed && NO_LIBRARY.iter().any(says)).then(|| {
            let library = missing_library(&run.stderr);
            let which = library.unwrap_or_else(|| "its shared libraries".to_owned());
            format!("a program did not find {which} in the sandbox")
        })
    }

    /// How to start the program. To be called in the process that starts it, which has no use for the table afterwards.
    pub fn launch(
        &self,
        executable: &CStr,
        argv: &[*const c_char],
        envp: &[*const c_char],
        cwd: &CStr,
    ) -> Result<Launch, (Failed, i32)> {
        let run = CString::new(self.run.as_os_str().as_bytes()).map_err(|_| (Failed::Exec, libc::EINVAL))?;
        // Kept for good: the C side points to it, and the process is about to end.
        let run = Box::leak(run.into_boxed_c_str());
        let mut real = [0 as c_char; PATH];
        let mut out = RawLaunch { loader: std::ptr::null(), argv: std::ptr::null(), envp: std::ptr::null() };
        // SAFETY: null-terminated strings and lists that live through the calls; `real` and `memory` are as large as asked.
        unsafe {
            let opened = gg_sandbox_open(run.as_ptr());
            if opened < 0 {
                return Err((Failed::Exec, -opened));
            }
            let found = gg_sandbox_real(cwd.as_ptr(), real.as_mut_ptr());
            if found < 0 {
                return Err((Failed::Cwd, -found));
            }
            let bytes = gg_sandbox_size(argv.as_ptr(), envp.as_ptr());
            let mut memory = vec![0u128; bytes / size_of::<u128>() + 1];
            let failed =
                gg_sandbox_launch(executable.as_ptr(), argv.as_ptr(), envp.as_ptr(), memory.as_mut_ptr(), &raw mut out);
            if failed < 0 {
                return Err((Failed::Exec, -failed));
            }
            let cwd = CStr::from_ptr(real.as_ptr()).to_owned();
            Ok(Launch { loader: out.loader, cwd, argv: out.argv, envp: out.envp, _memory: memory })
        }
    }
}

/// Puts one thing in, and into the table.
fn put(mount: &OwnedFd, op: &Op<'_>, map: &mut Map) -> io::Result<Option<root::Made>> {
    let path = op.path.as_os_str();
    match &op.what {
        What::Dir { .. } => map.insert(path, Kind::Directory, OsStr::new("")),
        What::File { .. } | What::Copy { .. } => {}
        What::Link { target } => {
            map.insert(path, Kind::Link, target);
            rustix::fs::symlinkat(rooted(target, path), mount, path)?;
            return Ok(None);
        }
        What::Bind { source, .. } | What::Over { source } => {
            // The kernel tells a process where it is by this spelling.
            let source = fs::canonicalize(source)?;
            map.insert(path, Kind::Bind, source.as_os_str());
            rustix::fs::symlinkat(&source, mount, path)?;
            return Ok(None);
        }
    }
    Ok(root::put(mount, op)?)
}

/// A link's target so that it stays below the root for the kernel too, which the loader and the C library go to directly.
fn rooted(target: &OsStr, path: &OsStr) -> OsString {
    let Some(rest) = target.as_bytes().strip_prefix(b"/") else { return target.to_owned() };
    let mut out = b"../".repeat(path.as_bytes().iter().filter(|&&byte| byte == b'/').count());
    out.extend(rest);
    OsString::from_vec(if out.is_empty() { b".".to_vec() } else { out })
}

/// `/dev` and `/proc`.
fn system(mount: &OwnedFd, dev: &Path, map: &mut Map) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(dev)?;
    // A step may bring devices' files of its own; then the directory is its own too.
    if !map.contains("dev".as_ref()) {
        map.insert("dev".as_ref(), Kind::Bind, dev.as_os_str());
        rustix::fs::symlinkat(dev, mount, "dev")?;
    }
    let devices = DEVICES.iter().map(|name| (*name, format!("/dev/{name}"), Kind::System));
    let links = DEVICE_LINKS.iter().map(|(name, target)| (*name, (*target).to_owned(), Kind::Link));
    for (name, target, kind) in devices.chain(links) {
        let path = format!("dev/{name}");
        if !map.contains(path.as_ref()) {
            std::os::unix::fs::symlink(&target, dev.join(name))?;
            map.insert(path.as_ref(), kind, target.as_ref());
        }
    }
    if !map.contains("proc".as_ref()) {
        rustix::fs::symlinkat("/proc", mount, "proc")?;
        map.insert("proc".as_ref(), Kind::System, "/proc".as_ref());
    }
    Ok(())
}

/// Where the loader is to look in the end: in the directories of the sandbox's own cache, which it cannot read, and in those of its
/// list of such directories (ldconfig(8), `/etc/ld.so.conf`), which names where libraries say that others are. Of what is mounted
/// directory by directory, `$ORIGIN/../other` leads astray.
fn library_directories(request: &Request<'_>) -> Vec<OsString> {
    let cache = content(request, "etc/ld.so.cache").unwrap_or_default();
    let paths = cache.split(|&byte| byte == 0).filter(|text| text.starts_with(b"/") && !text.contains(&b':'));
    let cached: BTreeSet<&Path> = paths.filter_map(|path| Path::new(OsStr::from_bytes(path)).parent()).collect();
    let list = content(request, "etc/ld.so.conf").unwrap_or_default();
    let lines = list.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"/"));
    let listed = lines.map(|line| Path::new(OsStr::from_bytes(line))).filter(|it| !cached.contains(it));
    cached.iter().copied().chain(listed).map(|path| path.as_os_str().to_owned()).collect()
}

/// What a file of the system contains in the sandbox, if it is there and can be read.
fn content(request: &Request<'_>, path: &str) -> Option<Vec<u8>> {
    match &request.ops.iter().find(|op| op.path == path)?.what {
        What::File { content, .. } => Some(content.to_vec()),
        What::Copy { source, .. } | What::Bind { source, .. } => {
            let mut bytes = Vec::new();
            File::open(source).and_then(|file| file.take(16 << 20).read_to_end(&mut bytes)).ok()?;
            Some(bytes)
        }
        _ => None,
    }
}
