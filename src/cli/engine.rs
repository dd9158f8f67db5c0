//! The coordinator with the engines that the settings ask for.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gg_force::{Config, Coordinator, Ledger, LedgerError, LocalEngine, LocalOptions, Observer, Policy, RealClock};
use gg_ir::{Name, Reduction, Thunk};
use gg_store::Store;
use gg_worker::{Materialise, Pool, PoolConfig, SandboxKind};

use crate::console::Console;
use crate::history;
use crate::session::{Placeholders, Rescue};
use crate::settings::Settings;

/// How long a step may run: a program that hangs must not hang the build for ever, and the link of a very large one with
/// link-time optimisation takes hours.
const LIMIT: Duration = Duration::from_secs(6 * 3600);

/// This very program, even if its file has been replaced meanwhile.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

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
}

impl Forces {
    /// Starts the worker processes and the coordinator.
    ///
    /// # Errors
    /// When processes or threads cannot be started.
    pub fn start(
        store: Arc<Store>,
        settings: &Settings,
        observer: Arc<dyn Observer>,
        keep_going: bool,
        rescue: &Arc<Rescue>,
        console: &Console,
    ) -> Result<Self> {
        let pool = Pool::start(PoolConfig {
            store: Arc::clone(&store),
            processes: settings.jobs,
            scratch: settings.directory.join("scratch"),
            worker_command: worker_command(),
            memory_limit: None,
            sandbox: settings.sandbox,
        })
        .context("cannot start gg's worker processes")?;
        let (kind, why) = pool.kind();
        let sandbox = match kind {
            SandboxKind::Namespace => "namespaces".to_owned(),
            SandboxKind::Relocated => "relocated".to_owned(),
            SandboxKind::Plain => "none (plain directory)".to_owned(),
        };
        if let Some(why) = why {
            console.notice(&format!("steps are not isolated: {why}"));
        }
        let isolated = kind != SandboxKind::Plain;
        let ledger: Arc<dyn Ledger> =
            if isolated { Arc::clone(&store) as _ } else { Arc::new(Unsealed(Arc::clone(&store))) };
        pool.on_materialise(in_place(Arc::clone(&store)));
        let options = LocalOptions { jobs: settings.jobs, timeout: LIMIT, terminal: console.is_terminal() };
        let history = settings.directory.join("history");
        let engine = Arc::new(LocalEngine::new(Arc::new(pool), options).context("cannot start the local engine")?);
        let (widening, resupplying) = (Arc::clone(rescue), Arc::clone(rescue));
        let coordinator = Coordinator::start(Config {
            store: ledger,
            engines: vec![engine],
            clock: Arc::new(RealClock::new()),
            policy: Policy::default(),
            history: history::load(&history),
            observer,
            keep_going,
            on_failure: Some(Arc::new(move |name, _| widening.widen(name))),
            resupply: Some(Arc::new(move |name| resupplying.resupply(name))),
        })
        .context("cannot start the coordinator")?;
        Ok(Self { coordinator: Arc::new(coordinator), sandbox, isolated, history })
    }

    /// Ends in order, and keeps what was learned about run times.
    pub fn end(&self) {
        // Run times only order the work: losing them costs little.
        let _ = history::save(&self.history, &self.coordinator.history());
    }
}

/// The ledger for steps that are not isolated. Such a step may have read what its thunk does not name; believed by later
/// builds, its result would be wrong as soon as that changes. What isolated steps came to is believed.
struct Unsealed(Arc<Store>);

impl Ledger for Unsealed {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        Ledger::read_thunk(&*self.0, name)
    }

    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ledger::reduction(&*self.0, thunk)
    }

    fn record(&self, _: &Reduction) -> Result<(), LedgerError> {
        Ok(())
    }

    fn forget(&self, thunk: &Name) {
        Ledger::forget(&*self.0, thunk);
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
fn worker_command() -> Vec<OsString> {
    vec![OWN_PROGRAM.into(), crate::WORKER.into()]
}
