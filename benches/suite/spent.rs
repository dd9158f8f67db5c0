//! What one command takes, with all processes that come from it.
//!
//! The command runs below a helper, this program once more: a child subreaper, so that processes whose parents end without
//! having waited for them are counted, too. They become the helper's children, which waits for every one. The figures come back
//! as one line of JSON in a file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::Any;

/// The first argument of the helper; the file for the figures and the command follow.
pub const HELPER: &str = "__spent";

/// How often the command's peak of memory is read while it runs: it is a high-water mark, so only its last moments can be
/// missed.
const LOOK: Duration = Duration::from_millis(20);

/// What a command took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of CPU time, user and system, of all processes.
    pub cpu: f64,
    /// Seconds of CPU time of the command's own process, in ticks of the system (10 ms).
    pub own_cpu: f64,
    /// The most memory that the command's own process had resident, bytes.
    pub own_peak: u64,
}

/// CPU seconds, user and system, of this process or of the children that it has waited for (getrusage(2)).
pub fn cpu(who: libc::c_int) -> f64 {
    // SAFETY: getrusage fills the structure; all zeros is a valid one.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(who, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// CPU seconds of another process that lives, all its threads that ended included; none if there is no such process.
pub fn cpu_of(pid: u32) -> Option<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut clock = 0;
    // SAFETY: both fill what they are given.
    let read = unsafe {
        libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    read.then(|| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// The helper: runs a command, writes what it took; its exit status is the command's.
pub fn helper(arguments: &[OsString]) -> Any<u8> {
    let [file, program, rest @ ..] = arguments else { bail!("{HELPER} FILE COMMAND...") };
    // SAFETY: a system call without pointers.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot become the reaper of orphans");
    }
    let began = Instant::now();
    let mut child = Command::new(program).args(rest).spawn().with_context(|| format!("cannot start {program:?}"))?;
    let (peak, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let own_cpu = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                peak.fetch_max(peak_of(child.id()), Ordering::SeqCst);
                std::thread::park_timeout(LOOK);
            }
        });
        let own_cpu = wait_without_reaping(&child);
        over.store(true, Ordering::SeqCst);
        own_cpu
    });
    let wall = began.elapsed().as_secs_f64();
    let status = child.wait()?;
    // SAFETY: waits for whatever child is left, without asking for its status.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
    let spent = Spent { wall, cpu: cpu(libc::RUSAGE_CHILDREN), own_cpu, own_peak: peak.into_inner() };
    fs::write(file, serde_json::to_vec(&spent)?).with_context(|| format!("cannot write {file:?}"))?;
    Ok(status
        .code()
        .or(status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// `VmHWM` of a process (proc(5)), in bytes; 0 when it has none any more.
fn peak_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Waits for a child's end, and reads its own CPU seconds while it is still there as a zombie.
fn wait_without_reaping(child: &Child) -> f64 {
    // SAFETY: waitid fills the structure; with WNOWAIT the child stays to be waited for.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        while libc::waitid(libc::P_PID, child.id(), &raw mut info, libc::WEXITED | libc::WNOWAIT) != 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    ticks_of(child.id()).unwrap_or(0.0)
}

/// `utime` and `stime` of a process (proc(5), /proc/PID/stat), in seconds. The name before them may hold anything, so the fields
/// are counted from its closing bracket.
fn ticks_of(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // SAFETY: a question without pointers.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Some(ticks as f64 / a_second as f64)
}

/// The command below the helper, with the directory and the environment of the one that is given.
pub fn below_helper(command: &Command, figures: &Path) -> Any<Command> {
    let mut helper = Command::new(std::env::current_exe().context("this program's own file is gone")?);
    helper.arg(HELPER).arg(figures).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        helper.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => helper.env(name, value),
            None => helper.env_remove(name),
        };
    }
    Ok(helper)
}
