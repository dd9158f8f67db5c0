//! Where commands are worked on that a person states: a store, engines, a console.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use gg_store::{Lease, Store};

use super::failure::Failed;
use super::forcer::Forcer;
use super::host::Taken;
use super::job::Job;
use super::program::Programs;
use super::stated::{Place, Stated, state_one};
use crate::console::Console;
use crate::report::Chronicle;
use crate::settings::Settings;
use crate::signals::{Signals, die_of};

/// All that a command needs to be forced.
pub struct Bench {
    store: Arc<Store>,
    _lease: Lease,
    console: Arc<Console>,
    forcer: Forcer,
    programs: Programs,
    taken: Taken,
    cwd: PathBuf,
    env: BTreeMap<OsString, OsString>,
    failed: Arc<AtomicU64>,
    begun: Instant,
    chronicle: Option<Arc<Chronicle>>,
    /// A signal has come, of which this process is about to die.
    interrupted: Arc<AtomicBool>,
}

impl Bench {
    /// Starts the engines; a signal ends everything from now on. A record is kept where a `command` is given that goes by that.
    ///
    /// # Errors
    /// When gg cannot work.
    pub fn start(settings: &Settings, stop: Signals, keep_going: bool, command: Option<Vec<String>>) -> Result<Self> {
        let begun = Instant::now();
        let cwd = std::env::current_dir().context("the current directory is gone")?;
        let store = Arc::new(Store::open(&settings.directory)?);
        let lease = store.lease()?;
        let console = Arc::new(Console::new(settings.look));
        let chronicle = command.map(|command| {
            let mut chronicle = Chronicle::new(&settings.directory, &cwd, command, true, begun);
            chronicle.announce();
            Arc::new(chronicle)
        });
        let forcer = Forcer::start(&store, settings, &console, keep_going, chronicle.as_deref(), begun)?;
        let (coordinator, told) = (Arc::clone(&forcer.forces.coordinator), Arc::clone(&console));
        let (ended, interrupted) = (chronicle.clone(), Arc::new(AtomicBool::new(false)));
        let arrives = Arc::clone(&interrupted);
        drop(std::thread::Builder::new().name("gg-signals".into()).spawn(move || {
            let arrived = stop.wait();
            arrives.store(true, Ordering::SeqCst);
            told.end();
            coordinator.cancel_all();
            ended.iter().for_each(|chronicle| chronicle.end());
            die_of(arrived.signal);
        }));
        Ok(Self {
            store,
            _lease: lease,
            programs: Programs::lasting({
                let console = Arc::clone(&console);
                move |text| console.notice(text)
            }),
            taken: Taken::default(),
            console,
            forcer,
            cwd,
            env: std::env::vars_os().collect(),
            failed: Arc::default(),
            begun,
            chronicle,
            interrupted,
        })
    }

    /// Where relative paths begin.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who forces.
    pub fn forcer(&self) -> &Forcer {
        &self.forcer
    }

    /// Makes the thunk of a job.
    ///
    /// # Errors
    /// When it is none; the text says why.
    pub fn state(&self, job: &Job) -> Result<Stated> {
        let Self { store, programs, cwd, env, taken, .. } = self;
        let place = Place { store, programs, cwd, taken, env };
        state_one(job.recipe.clone(), &job.guessed, &place)
    }

    /// Shows how far things are from now on.
    pub fn show(&self) {
        let failed = Arc::clone(&self.failed);
        let count = move || failed.load(Ordering::SeqCst);
        self.console.follow(self.forcer.forces.status(self.cwd.clone(), self.begun, || false, count));
    }

    /// Goes no further once a signal has come: what was cancelled by it is no failure, and the exit status is not this one's to say.
    fn outlive_no_signal(&self) {
        while self.interrupted.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    /// Passes on what a command has written.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn pass_on(&self, stdout: &[u8], stderr: &[u8]) -> Result<()> {
        self.console.pass_on(stdout, stderr).context("cannot write to standard output")
    }

    /// Says of something that it failed.
    pub fn say(&self, what: &str) {
        self.outlive_no_signal();
        self.failed.fetch_add(1, Ordering::SeqCst);
        self.console.notice(what);
    }

    /// Says how a command failed.
    pub fn tell(&self, job: &Job, failed: &Failed) {
        self.say(&failed.message);
        if let Some(hint) = job.hint(failed, &self.cwd) {
            self.console.notice(&hint);
        }
    }

    /// Ends in order, with this exit status.
    pub fn end(&self, status: i32) {
        self.outlive_no_signal();
        self.forcer.forces.coordinator.wait_all();
        self.forcer.forces.end();
        self.console.end();
        if let Some(chronicle) = &self.chronicle {
            chronicle.save(&self.forcer.forces, status, &self.console);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Without a record, too, where something could not be stated: it was not killed.
        self.chronicle.iter().for_each(|chronicle| chronicle.end());
    }
}
