//! The coordinator with the engines that the settings ask for.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gg_force::{
    Config, Coordinator, Engine, Ledger, LedgerError, LocalEngine, LocalOptions, Observer, Policy, RealClock,
};
use gg_ir::{Kind as ObjectKind, Name, Reduction, Thunk};
use gg_store::Store;
use gg_worker::{Materialise, Pool, PoolConfig, SandboxKind, WorkerError};

use crate::console::{self, Console, Oldest, Status};
use crate::engines::{Choice, Kind};
#[cfg(feature = "lambda")]
use crate::far::Far;
use crate::history;
use crate::report::EngineRecord;
use crate::session::{Placeholders, Rescue};
use crate::settings::Settings;

/// How long a step may run: a program that hangs must not hang the build for ever, and the link of a very large one with
/// link-time optimisation takes hours.
const LIMIT: Duration = Duration::from_secs(6 * 3600);

/// This very program, even if its file has been replaced meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// How thunks are forced.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Further thunks are begun after one has failed.
    pub keep_going: bool,
    /// A program that fails is run once more before that is believed, or a better thunk in its place. What somebody states
    /// may well fail each time, and take long.
    pub confirm: bool,
    /// Programs find terminals as their output where the console is one. Of a compiler that is a matter of colours; what somebody
    /// states may write something else to a terminal, and the result is kept for whoever has none.
    pub terminal: bool,
}

/// Who forces.
pub struct Forces {
    /// The coordinator.
    pub coordinator: Arc<Coordinator>,
    /// How steps are isolated, for the report.
    pub sandbox: String,
    /// Whether steps are isolated at all. Without, a step works in the tree itself: it must be awaited, since its inputs have to
    /// be real files while it runs, and what it came to is not kept for later builds.
    pub isolated: bool,
    history: PathBuf,
    /// How many steps run on this machine at once, if any do.
    local: Option<usize>,
    #[cfg(feature = "lambda")]
    far: Option<Arc<Far>>,
}

impl Forces {
    /// Starts the worker processes and the coordinator, whose clock has run since `begun`.
    ///
    /// # Errors
    /// When processes or threads cannot be started.
    pub fn start(
        store: Arc<Store>,
        settings: &Settings,
        observer: Arc<dyn Observer>,
        manner: Manner,
        rescue: &Arc<Rescue>,
        console: &Arc<Console>,
        begun: Instant,
    ) -> Result<Self> {
        let terminal = manner.terminal && console.is_terminal();
        let mut ledger: Arc<dyn Ledger> = Arc::clone(&store) as _;
        let mut engines: Vec<Arc<dyn Engine>> = Vec::new();
        let mut sandboxes = Vec::new();
        let mut isolated = true;
        let mut local = None;
        #[cfg(feature = "lambda")]
        let mut far = None;
        for choice in choices(settings) {
            match choice.kind {
                Kind::Local => {
                    let jobs = choice.jobs.unwrap_or(settings.jobs);
                    local = Some(jobs);
                    let (pool, sandbox) = local_pool(&store, settings, jobs, console)?;
                    isolated &= pool.kind().0 != SandboxKind::Plain;
                    let options = LocalOptions { jobs, timeout: LIMIT, terminal, reserve: choice.reserve };
                    let engine = LocalEngine::new(Arc::new(pool), options).context("cannot start the local engine")?;
                    engines.push(Arc::new(engine));
                    sandboxes.push(sandbox.to_owned());
                }
                #[cfg(feature = "lambda")]
                Kind::Lambda => {
                    let started = Far::start(&store, settings, choice.jobs, terminal)?;
                    let told = Arc::clone(console);
                    started.on_down(move |why| told.notice(why));
                    engines.push(started.engine());
                    sandboxes.push("functions of AWS Lambda".to_owned());
                    ledger = started.ledger(ledger);
                    far = Some(Arc::new(started));
                }
                #[cfg(not(feature = "lambda"))]
                Kind::Lambda => {
                    anyhow::bail!("this gg was built without the engine lambda; build it with its default features")
                }
            }
        }
        let sandbox = sandboxes.join(", ");
        if !isolated {
            ledger = Arc::new(Unsealed(ledger));
        }
        let history = settings.directory.join("history");
        let (widening, resupplying) = (Arc::clone(rescue), Arc::clone(rescue));
        let coordinator = Coordinator::start(Config {
            store: ledger,
            engines,
            clock: Arc::new(RealClock::since(begun)),
            policy: Policy { confirm: manner.confirm, ..Policy::default() },
            history: history::load(&history),
            observer,
            keep_going: manner.keep_going,
            on_failure: if manner.confirm { Some(Arc::new(move |name, _| widening.widen(name))) } else { None },
            resupply: Some(Arc::new(move |name| resupplying.resupply(name))),
        })
        .context("cannot start the coordinator")?;
        Ok(Self {
            coordinator: Arc::new(coordinator),
            sandbox,
            isolated,
            history,
            local,
            #[cfg(feature = "lambda")]
            far,
        })
    }

    /// Ends in order, and keeps what was learned about run times.
    pub fn end(&self) {
        // Run times only order the work: losing them costs little.
        let _ = history::save(&self.history, &self.coordinator.history());
        #[cfg(feature = "lambda")]
        if let Some(far) = &self.far {
            far.end();
        }
    }

    /// The engines, and what those far away did, for the report.
    pub fn report(&self) -> Vec<EngineRecord> {
        let mut engines = Vec::new();
        #[cfg(feature = "lambda")]
        engines.extend(self.far.as_ref().map(|far| far.entry()));
        engines.extend(self.local.map(|jobs| EngineRecord {
            name: "local".to_owned(),
            jobs,
            ..EngineRecord::default()
        }));
        engines
    }

    /// What engines far away came to so far, if there are any.
    pub fn far(&self) -> Option<console::Far> {
        #[cfg(feature = "lambda")]
        return self.far.as_ref().map(|far| far.so_far());
        #[cfg(not(feature = "lambda"))]
        None
    }

    /// Tells how far the build is, each time it is called, with paths as they are called in `root`; its argument says whether
    /// the time left is wanted.
    pub fn status<I, F>(
        self: &Arc<Self>,
        root: PathBuf,
        began: Instant,
        inferring: I,
        failed: F,
    ) -> impl Fn(bool) -> Option<Status> + Send + use<I, F>
    where
        I: Fn() -> bool + Send + 'static,
        F: Fn() -> u64 + Send + 'static,
    {
        let forces = Arc::downgrade(self);
        move |estimate| {
            let forces = forces.upgrade()?;
            let inferring = inferring();
            // As long as steps are added, nobody knows how many there will be.
            let seen = forces.coordinator.snapshot(estimate && !inferring)?;
            let progress = seen.progress;
            let oldest = seen.oldest.map(|step| Oldest {
                label: Path::new(&*step.label)
                    .strip_prefix(&root)
                    .map_or_else(|_| step.label.to_string(), |path| path.display().to_string()),
                kind: step.kind,
                engine: step.engine,
                age: step.age,
            });
            Some(Status {
                elapsed: began.elapsed(),
                inferring,
                inferred: progress.total,
                done: progress.done + progress.cached + progress.failed,
                cached: progress.cached,
                failed: failed(),
                running: seen.running,
                oldest,
                rate: None,
                left: seen.left,
                far: forces.far(),
            })
        }
    }
}

/// One engine to start.
struct Wanted {
    kind: Kind,
    jobs: Option<usize>,
    /// Only for what all others give back.
    reserve: bool,
}

/// The engines that the settings ask for: this machine where nothing is said, and behind all others where it may help out.
fn choices(settings: &Settings) -> Vec<Wanted> {
    let asked = |choice: &Choice| Wanted { kind: choice.kind, jobs: choice.jobs, reserve: false };
    let mut wanted: Vec<Wanted> = settings.engines.iter().map(asked).collect();
    if !wanted.iter().any(|wanted| wanted.kind == Kind::Local) && (settings.fallback || wanted.is_empty()) {
        let reserve = !wanted.is_empty();
        wanted.push(Wanted { kind: Kind::Local, jobs: None, reserve });
    }
    wanted
}

/// Starts worker processes on this machine.
///
/// # Errors
/// As [`Pool::start`].
pub fn workers(store: &Arc<Store>, settings: &Settings, processes: usize) -> std::result::Result<Pool, WorkerError> {
    Pool::start(PoolConfig {
        store: Arc::clone(store),
        processes,
        scratch: settings.directory.join("scratch"),
        worker_command: worker_command(),
        memory_limit: None,
        sandbox: settings.sandbox,
    })
}

fn local_pool(store: &Arc<Store>, settings: &Settings, jobs: usize, console: &Console) -> Result<(Pool, &'static str)> {
    let pool = workers(store, settings, jobs).context("cannot start gg's worker processes")?;
    let (kind, why) = pool.kind();
    if let Some(why) = why {
        console.notice(&format!("steps are not isolated: {why}"));
    }
    pool.on_materialise(in_place(Arc::clone(store)));
    let sandbox = match kind {
        SandboxKind::Namespace => "namespaces",
        SandboxKind::Relocated => "relocated",
        SandboxKind::Plain => "none (plain directory)",
    };
    Ok((pool, sandbox))
}

/// The ledger for steps that are not isolated. Such a step may have read what its thunk does not name; believed by later
/// builds, its result would be wrong as soon as that changes. What isolated steps came to is believed.
struct Unsealed(Arc<dyn Ledger>);

impl Ledger for Unsealed {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        self.0.read_thunk(name)
    }

    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError> {
        self.0.reduction(thunk)
    }

    fn record(&self, _: &Reduction) -> Result<(), LedgerError> {
        Ok(())
    }

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        self.0.read(value)
    }

    fn begins(&self, value: &Name, with: &[u8]) -> Result<bool, LedgerError> {
        self.0.begins(value, with)
    }

    fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Name, LedgerError> {
        self.0.put(kind, bytes)
    }

    fn forget(&self, thunk: &Name) {
        self.0.forget(thunk);
    }
}

/// How an input comes to its place in the tree for a step that is not isolated: over a placeholder that `gg infer` left, or
/// where the build has removed it since. A file of the user's stays, and the step fails.
fn in_place(store: Arc<Store>) -> Box<Materialise> {
    Box::new(move |path, value, mode| {
        let path = path.as_path();
        if path.symlink_metadata().is_ok() && Placeholders::at(path).is_none() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file stands there; build again"));
        }
        store.copy_out(value, path, mode, None).map(drop).map_err(io::Error::other)
    })
}

/// How a worker process is started.
pub fn worker_command() -> Vec<OsString> {
    vec![OWN_PROGRAM.into(), crate::WORKER.into()]
}
