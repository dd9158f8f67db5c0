//! The coordinator with the engines that the settings ask for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gg_force::{Config, Coordinator, LocalEngine, LocalOptions, Observer, Policy, RealClock};
use gg_store::Store;
use gg_worker::{Pool, PoolConfig, SandboxKind};

use crate::console::Console;
use crate::history;
use crate::session::Rescue;
use crate::settings::Settings;

/// How long a step may run: a program that hangs must not hang the build for ever, and the link of a very large one with
/// link-time optimisation takes hours.
const LIMIT: Duration = Duration::from_secs(6 * 3600);

/// Who forces.
pub struct Forces {
    /// The coordinator.
    pub coordinator: Arc<Coordinator>,
    /// How steps are isolated, for the report.
    pub sandbox: String,
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
            SandboxKind::Plain => "none (plain directory)".to_owned(),
        };
        if let Some(why) = why {
            console.notice(&format!("steps are not isolated: {why}"));
        }
        let options = LocalOptions { jobs: settings.jobs, timeout: LIMIT, terminal: console.is_terminal() };
        let history = settings.directory.join("history");
        let engine = Arc::new(LocalEngine::new(Arc::new(pool), options).context("cannot start the local engine")?);
        let (widening, resupplying) = (Arc::clone(rescue), Arc::clone(rescue));
        let coordinator = Coordinator::start(Config {
            store,
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
        Ok(Self { coordinator: Arc::new(coordinator), sandbox, history })
    }

    /// Ends in order, and keeps what was learned about run times.
    pub fn end(&self) {
        // Run times only order the work: losing them costs little.
        let _ = history::save(&self.history, &self.coordinator.history());
    }
}

/// How a worker process is started: this very program, even if its file has been replaced meanwhile.
fn worker_command() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), crate::WORKER.into()]
}
