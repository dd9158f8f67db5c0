//! What rows work with: directories, programs, commands in a clean environment, and the measurement of one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::Any;
use crate::args::Args;
use crate::runs::Runs;
use crate::spent::{self, Spent};

/// gg takes a file's times for granted only when it has been left alone for a while (0.1 s); so does nobody's build begin in the
/// moment in which its tree was unpacked.
const SETTLE: Duration = Duration::from_millis(300);

/// How much of what a failed command said is shown.
const TAIL: u64 = 3000;

/// The suite's surroundings.
pub struct Bench {
    /// How often each side of a row is run.
    pub rounds: u32,
    /// How many jobs builds run at once.
    pub jobs: u32,
    /// The size of the synthetic tree, of Chromium's.
    pub size: f64,
    /// One of so many of its libraries is a shared one.
    pub shared: u32,
    /// Whether what was prepared earlier is prepared again.
    pub fresh: bool,
    /// All that was measured.
    pub runs: Runs,
    /// Where things stay from run to run.
    pub work: PathBuf,
    bin: PathBuf,
    log: PathBuf,
    _lock: File,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.scratch());
    }
}

impl Bench {
    /// Makes the directories.
    ///
    /// # Errors
    /// When gg is not where it is said to be, or another suite works in the same directory.
    pub fn new(args: &Args) -> Any<Self> {
        let bin = args.bin.canonicalize().with_context(|| format!("{} is not there", args.bin.display()))?;
        for program in ["gg", "gg-make"] {
            if !bin.join(program).is_file() {
                bail!("there is no {program} in {}: build it with `cargo build --release -p gg`", bin.display());
            }
        }
        fs::create_dir_all(&args.work).with_context(|| format!("cannot make {}", args.work.display()))?;
        let work = args.work.canonicalize()?;
        let lock = File::create(work.join("lock")).with_context(|| format!("cannot write in {}", work.display()))?;
        // SAFETY: a call on a descriptor that is open.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            bail!("another suite works in {}; wait for it, or name another directory with --work", work.display());
        }
        let log = work.join("log");
        File::create(&log)?;
        let bench = Self {
            rounds: args.rounds,
            jobs: args.jobs,
            size: args.size,
            shared: args.shared,
            fresh: args.fresh,
            runs: Runs::default(),
            work,
            bin,
            log,
            _lock: lock,
        };
        bench.tidy();
        fs::create_dir_all(bench.scratch())?;
        Ok(bench)
    }

    /// The repository.
    pub fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// What is removed after each row.
    pub fn scratch(&self) -> PathBuf {
        self.work.join("scratch")
    }

    /// gg's store in rows that have one.
    pub fn store(&self) -> PathBuf {
        self.scratch().join("store")
    }

    /// Removes what rows leave.
    pub fn tidy(&self) {
        let _ = fs::remove_dir_all(self.scratch());
        let _ = fs::remove_dir_all(self.work.join("tree"));
        let _ = fs::create_dir_all(self.scratch());
    }

    /// An empty store from now on.
    pub fn empty_store(&self) -> Any {
        empty(&self.store())
    }

    /// A built program.
    ///
    /// # Errors
    /// When it was not built.
    pub fn program(&self, name: &str) -> Any<PathBuf> {
        let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_path_buf()));
        let places = [Some(self.bin.clone()), Some(self.bin.join("examples")), beside];
        let found = places.into_iter().flatten().map(|place| place.join(name)).find(|path| path.is_file());
        found.with_context(|| format!("{name} is not built; benches/run without GG_BENCH_BIN builds everything"))
    }

    /// A command with nothing of gg's, make's or a compiler cache's in its environment, and no terminal.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        const FOREIGN: [&str; 9] = ["GG_", "MAKE", "MFLAGS", "CARGO", "CCACHE_", "SCCACHE_", "LD_", "AWS_", "NINJA_"];
        for (name, _) in std::env::vars_os() {
            if FOREIGN.iter().any(|front| name.to_string_lossy().starts_with(front)) {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// `gg` or `gg-make`, with the row's store and nobody's configuration.
    pub fn gg(&self, program: &str) -> Command {
        let mut command = self.command(self.bin.join(program));
        let tools = self.scratch().join("tools");
        let _ = fs::create_dir_all(&tools);
        command.env("GG_DIR", self.store()).env("GG_TOOLS", tools).env("GG_STATUS", "0");
        command.env("GG_JOBS", self.jobs.to_string()).env("XDG_CONFIG_HOME", self.scratch().join("config"));
        command
    }

    /// Runs a command to its end; what it says goes to the log.
    ///
    /// # Errors
    /// When it does not end with status 0, with the end of what it said.
    pub fn must(&self, command: &mut Command) -> Any {
        let mut log = File::options().append(true).read(true).open(&self.log)?;
        command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        let begin = log.seek(SeekFrom::End(0))?;
        let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
        if status.success() {
            return Ok(());
        }
        let end = log.seek(SeekFrom::End(0))?;
        log.seek(SeekFrom::Start(begin.max(end.saturating_sub(TAIL))))?;
        let mut said = Vec::new();
        log.read_to_end(&mut said)?;
        bail!("`{}` ended with {status}:\n{}", shown(command), String::from_utf8_lossy(&said).trim_end())
    }

    /// Measures a command, as a run of one side of a row.
    ///
    /// # Errors
    /// As [`Bench::must`].
    pub fn measure(&mut self, row: &str, side: &str, command: &Command) -> Any<Spent> {
        let figures = self.scratch().join("spent");
        let _ = fs::remove_file(&figures);
        self.must(&mut spent::below_helper(command, &figures)?)?;
        let spent = serde_json::from_slice(&fs::read(&figures)?)?;
        self.runs.add(row, side, spent);
        Ok(spent)
    }

    /// Waits until what was just written counts as old, and is on the disk: nobody pays for it later.
    pub fn settle(&self) {
        // SAFETY: a system call without arguments.
        unsafe { libc::sync() };
        std::thread::sleep(SETTLE);
    }

    /// Where and when this is, for the table.
    pub fn machine(&self) -> String {
        let version = Command::new(self.bin.join("gg")).arg("--version").output();
        let version = version.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        format!(
            "{version}, {processors} processors ({model}), -j{}, load {load} at the start, medians of {} rounds",
            self.jobs, self.rounds
        )
    }
}

/// A command, for messages.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Removes a directory, if it is there.
pub fn empty(directory: &Path) -> Any {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// PATH with a directory in front.
pub fn path_with(directory: &Path) -> std::ffi::OsString {
    let mut path = directory.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    path
}
