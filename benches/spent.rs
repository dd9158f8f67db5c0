//! Runs a command and appends one line to a file: seconds of wall time, and of CPU time in all processes that it started.
//!
//! `bench-spent FILE COMMAND...`; the exit status is the command's own.
//!
//! Processes whose parents end without having waited for them are counted too: they become children of this program, which
//! waits for every one.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(file), Some(program)) = (arguments.next(), arguments.next()) else {
        return Err("bench-spent FILE COMMAND...".into());
    };
    // SAFETY: a system call without pointers.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let began = Instant::now();
    let status = Command::new(&program).args(arguments).status()?;
    let wall = began.elapsed();
    // SAFETY: waits for whatever child is left, without asking for its status.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
    // SAFETY: getrusage fills the structure; all zeros is a valid one.
    let used = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{:.3} {used:.3}", wall.as_secs_f64())?;
    std::process::exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
}
