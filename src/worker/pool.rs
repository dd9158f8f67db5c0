//! The worker processes of this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gg_ir::{AbsPath, Cost, Made, Reduction, Tag};
use gg_store::Store;

use crate::error::{Result, at};
use crate::inside::Setup;
use crate::plain::{self, Materialise};
use crate::plan::{Planned, Planner, bare_request, stdin_of};
use crate::process::{Answer, Process};
use crate::reply::{Ended, Which};
use crate::{Cancel, Failure, Job, Outcome, Spent, Status, WorkerError, memory};

/// Which kind of sandbox to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxChoice {
    /// Namespaces where they are to be had, else none.
    #[default]
    Auto,
    /// Namespaces or an error.
    Namespace,
    /// Relocated or an error.
    Relocated,
    /// Namespaces where they are to be had, else relocated; never the real files.
    Isolated,
    /// None.
    Plain,
}

impl SandboxChoice {
    /// What is tried, one after the other.
    fn kinds(self) -> &'static [SandboxKind] {
        match self {
            Self::Auto => &[SandboxKind::Namespace, SandboxKind::Plain],
            Self::Namespace => &[SandboxKind::Namespace],
            Self::Relocated => &[SandboxKind::Relocated],
            Self::Isolated => &[SandboxKind::Namespace, SandboxKind::Relocated],
            Self::Plain => &[SandboxKind::Plain],
        }
    }
}

/// The kind of sandbox in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxKind {
    /// User, mount, process, network and IPC namespaces: a program sees its inputs and nothing else.
    Namespace,
    /// A directory that a preloaded shim shows to programs as the whole of the file system; needs no rights. Programs are
    /// kept from other files and from changing what they share, but not from the network; see the crate's documentation
    /// for what cannot run there.
    Relocated,
    /// Programs run in the real tree; they are not isolated.
    Plain,
}

/// How to run worker processes.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Where values come from and go to.
    pub store: Arc<Store>,
    /// How many worker processes there are at most: one for each job that runs at the same time. At least one.
    pub processes: usize,
    /// A directory for this pool's mount points, made where it is missing. It must be on no path of a thunk. Pools may share it.
    pub scratch: PathBuf,
    /// The command that starts a worker process; it calls [`crate::worker_main`] with [`crate::SOCKET_FD`].
    pub worker_command: Vec<OsString>,
    /// The most bytes of data that each process of a program may have (setrlimit(2), `RLIMIT_DATA`).
    pub memory_limit: Option<u64>,
    /// Which kind of sandbox to use.
    pub sandbox: SandboxChoice,
}

/// The worker processes of this machine. Each is started when it is first needed and then runs one job after the other.
pub struct Pool {
    config: PoolConfig,
    setup: Setup,
    kind: SandboxKind,
    reason: Option<String>,
    planner: Planner,
    materialise: OnceLock<Box<Materialise>>,
    places: Mutex<Places>,
    freed: Condvar,
}

struct Places {
    /// One for each process that may be started or used now.
    free: Vec<Option<Process>>,
    closed: bool,
}

impl Pool {
    /// Starts a first worker process and finds out which kind of sandbox is to be had.
    ///
    /// # Errors
    /// [`WorkerError::NoNamespaces`] and [`WorkerError::NoSandbox`] when what was demanded is not to be had; when a worker process cannot be started.
    pub fn start(config: PoolConfig) -> Result<Self> {
        for name in ["root", "dev"] {
            let path = config.scratch.join(name);
            fs::create_dir_all(&path).map_err(at("create", path))?;
        }
        let scratch = config.scratch.canonicalize().map_err(at("resolve", &config.scratch))?;
        let mut setup = Setup { kind: SandboxKind::Plain, scratch, tmpfs_bytes: memory::for_sandbox(), visit: false };
        let (mut first, mut reasons) = (None, Vec::new());
        for &kind in config.sandbox.kinds() {
            setup.kind = kind;
            match Process::start(&config.worker_command, &setup)? {
                Ok(process) => {
                    first = Some(process);
                    break;
                }
                Err(reason) => reasons.push(reason),
            }
        }
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        let Some(first) = first else { return Err(no_sandbox(setup.kind, reason.unwrap_or_default())) };
        let mut free: Vec<_> = (1..config.processes).map(|_| None).collect();
        free.push(Some(first));
        Ok(Self {
            kind: setup.kind,
            reason,
            planner: Planner::new(config.store.clone(), setup.kind == SandboxKind::Namespace),
            materialise: OnceLock::new(),
            places: Mutex::new(Places { free, closed: false }),
            freed: Condvar::new(),
            setup,
            config,
        })
    }

    /// The kind of sandbox in use and, when namespaces were wanted and are not to be had, why.
    pub fn kind(&self) -> (SandboxKind, Option<String>) {
        (self.kind, self.reason.clone())
    }

    /// Says how inputs come to their real paths when there is no sandbox. Only the first call counts.
    pub fn on_materialise(&self, materialise: Box<Materialise>) {
        // Said before: then it stays.
        let _ = self.materialise.set(materialise);
    }

    /// Runs a job to its end and puts what it wrote into the store. Blocks; to be called from as many threads as there are
    /// processes, and from more, which then wait for one another.
    ///
    /// # Errors
    /// Whatever is not the program's own doing; see [`WorkerError`].
    pub fn run(&self, job: &Job<'_>, cancel: &Cancel) -> Result<Outcome> {
        self.run_timed(job, cancel, &mut Spent::default())
    }

    /// [`Pool::run`], which also says where the time went, as far as it is known.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub fn run_timed(&self, job: &Job<'_>, cancel: &Cancel, spent: &mut Spent) -> Result<Outcome> {
        let begun = Instant::now();
        let memory_limit = self.config.memory_limit.unwrap_or(0);
        let Planned { mut request, shelf } = match self.kind {
            SandboxKind::Namespace | SandboxKind::Relocated => self.planner.request(job, memory_limit)?,
            SandboxKind::Plain => Planned { request: bare_request(job, memory_limit), shelf: None },
        };
        request.stdin = stdin_of(job, &self.config.store)?;
        let request = request.encode();
        spent.fetch = begun.elapsed();
        let mut place = self.take(cancel)?;
        if self.kind == SandboxKind::Plain {
            plain::prepare(job, &self.config.store, self.materialise.get().map(|m| &**m))?;
        }
        let process = match place.process.take() {
            Some(process) => process,
            None => Process::start(&self.config.worker_command, &self.setup)?
                .map_err(|reason| no_sandbox(self.kind, reason))?,
        };
        let process = place.process.insert(process);
        let given = Instant::now();
        spent.wait = begun.elapsed().saturating_sub(spent.fetch);
        let answer = process.run(&request, shelf.as_ref(), &self.config.store, cancel).inspect_err(|_| {
            // The next job gets a fresh one.
            place.process = None;
        })?;
        drop(place);
        let answer = answer?;
        spent.store = answer.told.elapsed();
        let had = answer.told.saturating_duration_since(given);
        if let Ended::Ran { cost, .. } = &answer.ended {
            spent.run = Duration::from_micros(cost.wall_us).min(had);
        }
        spent.prepare = had - spent.run;
        outcome(job, answer)
    }

    /// The numbers of the worker processes that wait for work.
    pub fn idle_processes(&self) -> Vec<u32> {
        self.lock().free.iter().flatten().map(Process::id).collect()
    }

    /// Ends the worker processes that are idle, and the others when their jobs end. Jobs begun later are
    /// [`WorkerError::Cancelled`]. Dropping the pool does the same.
    pub fn shutdown(&self) {
        let mut places = self.lock();
        places.closed = true;
        places.free.clear();
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, cancel: &Cancel) -> Result<Place<'_>> {
        let mut places = self.lock();
        loop {
            if places.closed || cancel.is_cancelled() {
                return Err(WorkerError::Cancelled);
            }
            // One that runs already, if there is one.
            if let Some(at) = places.free.iter().rposition(Option::is_some).or(places.free.len().checked_sub(1)) {
                return Ok(Place { pool: self, process: places.free.swap_remove(at) });
            }
            let waited = self.freed.wait_timeout(places, Duration::from_millis(50));
            places = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The right to one process; goes back to the pool when it is dropped.
struct Place<'a> {
    pool: &'a Pool,
    process: Option<Process>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.pool.lock();
        if !places.closed {
            places.free.push(self.process.take());
            self.pool.freed.notify_one();
        }
    }
}

fn no_sandbox(kind: SandboxKind, reason: String) -> WorkerError {
    match kind {
        SandboxKind::Relocated => WorkerError::NoSandbox(reason),
        SandboxKind::Namespace | SandboxKind::Plain => WorkerError::NoNamespaces(reason),
    }
}

/// What it cost to let a program run until its time was over, as far as that is known.
fn over_time(limit: Duration) -> Cost {
    Cost { wall_us: limit.as_micros().try_into().unwrap_or(u64::MAX), ..Cost::default() }
}

fn outcome(job: &Job<'_>, answer: Answer) -> Result<Outcome> {
    let Answer { ended, stdout, stderr, files, .. } = answer;
    let (status, cost) = match ended {
        Ended::Ran { status, cost } => (status, cost),
        Ended::CannotStart { errno } => {
            return Err(WorkerError::cannot_start(job.description.function.executable.clone(), errno));
        }
        Ended::Setup { step, errno } => return Err(WorkerError::sandbox(step, errno)),
        Ended::Died { signal } => return Err(WorkerError::Died { what: "sandbox's first process", signal }),
        Ended::Unfit { reason } => return Err(WorkerError::Unfit { reason }),
        Ended::TimedOut if job.is_own_limit() => (Status::OverTime, over_time(job.timeout)),
        Ended::TimedOut => return Err(WorkerError::TimedOut { after: job.timeout }),
        Ended::Cancelled => return Err(WorkerError::Cancelled),
    };
    let mut outputs: BTreeMap<Tag, Made> = BTreeMap::new();
    let mut undeclared: BTreeMap<AbsPath, Made> = BTreeMap::new();
    for (which, made) in files {
        match which {
            Which::Declared(index) => {
                if let Some(tag) = job.description.outputs.keys().nth(index as usize) {
                    outputs.insert(tag.clone(), made);
                }
            }
            Which::Undeclared(path) => {
                let mut absolute = OsString::from("/");
                absolute.push(path);
                if let Ok(path) = AbsPath::new(absolute) {
                    undeclared.insert(path, made);
                }
            }
        }
    }
    let wanted = job.description.outputs.iter().filter(|(_, output)| !output.optional).map(|(tag, _)| tag);
    let missing_outputs: Vec<Tag> = wanted.filter(|tag| !outputs.contains_key(tag)).cloned().collect();
    if status.success() && missing_outputs.is_empty() {
        return Ok(Outcome::Done(Reduction { thunk: *job.thunk, outputs, undeclared, stdout, stderr, cost }));
    }
    Ok(Outcome::Failed(Failure { status, stdout, stderr, cost, missing_outputs, outputs, undeclared }))
}
