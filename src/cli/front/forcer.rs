//! A coordinator whose results go to whoever asked for them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use gg_force::{Cause, Finished, Observer, Request, Served, ThunkFailure};
use gg_ir::{Name, Reduction, Thunk};
use gg_store::Store;

use super::failure::{Failed, Said};
use super::stated::Stated;
use crate::console::Console;
use crate::engine::{Forces, Manner};
use crate::report::{Chronicle, Recorder};
use crate::settings::Settings;

/// How a thunk ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it came to.
    pub result: Result<Arc<Reduction>, Box<Failed>>,
    /// The engine that ran it; none where the result was known.
    pub engine: Option<String>,
}

type Tell = Box<dyn FnOnce(&Ended) + Send>;

/// Somebody who asked for a thunk.
struct Waiting {
    asker: u64,
    tell: Tell,
}

/// Who is to be told of what.
#[derive(Default)]
struct Routes {
    waiting: HashMap<Name, Vec<Waiting>>,
    /// What failed, and what a person calls it; a thunk that needs one of these says so.
    failed: HashMap<Name, (Arc<ThunkFailure>, Arc<str>)>,
    said: HashMap<Name, Said>,
}

/// Tells those who asked.
struct Router {
    store: Arc<Store>,
    console: Arc<Console>,
    recorder: Option<Arc<Recorder>>,
    routes: Mutex<Routes>,
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, Routes> {
        // Changed by single calls: whole even if a thread panicked.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said of a failure, of which the coordinator calls the thunk so; that of a thunk which another needs is that one's.
    fn failed(&self, failure: &Arc<ThunkFailure>, label: &Arc<str>) -> Failed {
        let (root, label, dependency) = match &failure.cause {
            Cause::Dependency(name) => {
                let known = self.lock().failed.get(name).cloned();
                let (root, label) = known.unwrap_or_else(|| (failure.clone(), label.clone()));
                (root, label, true)
            }
            _ => (failure.clone(), label.clone(), false),
        };
        let thunk = self.store.read_thunk(&root.name).ok();
        let said = self.lock().said.get(&root.name).cloned();
        // A thunk that a program has stated is known by what that calls it.
        let label =
            said.as_ref().and_then(|said| said.label.clone()).or((!label.is_empty()).then(|| label.to_string()));
        Failed::of(&root, thunk.as_deref(), label, said.map(|said| said.inputs), dependency)
    }
}

impl Observer for Router {
    fn finished(&self, done: &Finished) {
        if let Some(recorder) = &self.recorder {
            recorder.finished(done);
        }
        let tells = {
            let mut routes = self.lock();
            if let Err(failure) = &done.result
                && !matches!(failure.cause, Cause::Dependency(_) | Cause::Cancelled)
            {
                routes.failed.insert(done.name, (failure.clone(), done.label.clone()));
            }
            routes.waiting.remove(&done.name).unwrap_or_default()
        };
        if tells.is_empty() {
            return;
        }
        let ended = Ended {
            result: done.result.clone().map_err(|failure| Box::new(self.failed(&failure, &done.label))),
            engine: match &done.served {
                Served::Executed { engine } if !done.again => Some(engine.to_string()),
                Served::Executed { .. } | Served::FromCache | Served::NotRun => None,
            },
        };
        for Waiting { tell, .. } in tells {
            tell(&ended);
        }
    }

    fn notice(&self, text: &str) {
        self.console.detail(text);
        if let Some(recorder) = &self.recorder {
            recorder.notice(text);
        }
    }
}

/// Forces thunks that were stated.
pub struct Forcer {
    /// The store.
    pub store: Arc<Store>,
    /// The engines.
    pub forces: Arc<Forces>,
    router: Arc<Router>,
}

impl Forcer {
    /// Starts the engines; what they do is noted in the chronicle of a run that began then, if there is one.
    ///
    /// # Errors
    /// As [`Forces::start`].
    pub fn start(
        store: &Arc<Store>,
        settings: &Settings,
        console: &Arc<Console>,
        keep_going: bool,
        chronicle: Option<&Chronicle>,
        begun: Instant,
    ) -> Result<Self> {
        let store = Arc::clone(store);
        let (routed, told) = (Arc::clone(&store), Arc::clone(console));
        let recorder = chronicle.map(|chronicle| Arc::clone(chronicle.recorder()));
        let router = Arc::new(Router { store: routed, console: told, recorder, routes: Mutex::default() });
        let told: Arc<dyn Observer> = Arc::clone(&router) as _;
        let observer = match chronicle {
            Some(chronicle) => Arc::new(chronicle.observer(&store, told)),
            None => told,
        };
        let manner = Manner { keep_going, confirm: false, terminal: false };
        let forces = Forces::start(Arc::clone(&store), settings, observer, manner, &Arc::default(), console, begun)?;
        if !forces.isolated {
            bail!(
                "this machine lets gg make no sandboxes, in which alone it runs what is stated by hand (`gg doctor` tells why); \
                 -e lambda --no-fallback runs it elsewhere"
            );
        }
        Ok(Self { store, forces: Arc::new(forces), router })
    }

    /// Evaluates a thunk, and tells of its end, once. `asker` is who [`Forcer::forget`] can speak of.
    pub fn force(&self, stated: &Stated, asker: u64, tell: impl FnOnce(&Ended) + Send + 'static) {
        self.name(stated);
        let request = Request {
            name: stated.name,
            thunk: Some(Arc::clone(&stated.thunk)),
            kind: kind(&stated.thunk),
            label: stated.label.clone().unwrap_or_else(|| command_line(&stated.thunk)),
            volatile: stated.thunk.volatile,
            eager: false,
            anew: true,
        };
        self.ask(request, asker, Box::new(tell));
    }

    /// As [`Forcer::force`], of a thunk that is known by its name.
    pub fn force_name(&self, name: Name, asker: u64, tell: impl FnOnce(&Ended) + Send + 'static) {
        let (kind, label) = (String::new(), String::new());
        let request = Request { name, thunk: None, kind, label, volatile: false, eager: false, anew: true };
        self.ask(request, asker, Box::new(tell));
    }

    /// Notes what was said of a thunk that others may need.
    pub fn name(&self, stated: &Stated) {
        let said = Said { label: stated.label.clone(), inputs: Arc::clone(&stated.inputs) };
        self.router.lock().said.insert(stated.name, said);
    }

    fn ask(&self, request: Request, asker: u64, tell: Tell) {
        let mut routes = self.router.lock();
        routes.waiting.entry(request.name).or_default().push(Waiting { asker, tell });
        // Still locked: nobody is to take back meanwhile, for another, what is asked for here.
        self.forces.coordinator.add(request);
    }

    /// Tells these askers nothing more of these thunks. What nobody else asked for or needs is given up, and killed where it runs.
    pub fn forget(&self, askers: &[(Name, u64)]) {
        let mut routes = self.router.lock();
        let mut given_up = Vec::new();
        for (name, asker) in askers {
            let Some(tells) = routes.waiting.get_mut(name) else { continue };
            tells.retain(|waiting| waiting.asker != *asker);
            if tells.is_empty() {
                routes.waiting.remove(name);
                given_up.push(*name);
            }
        }
        if !given_up.is_empty() {
            self.forces.coordinator.withdraw(given_up);
        }
    }

    /// Ends everything.
    pub fn cancel_all(&self) {
        self.forces.coordinator.cancel_all();
    }
}

/// The kind of step that a thunk is: its program.
pub fn kind(thunk: &Thunk) -> String {
    let program = thunk.function.executable.as_path().file_name().map(Path::new);
    program.map_or_else(String::new, |program| program.display().to_string())
}

/// The command of a thunk, for a person.
pub fn command_line(thunk: &Thunk) -> String {
    let words: Vec<_> = thunk.function.args.iter().map(|arg| arg.to_string_lossy()).collect();
    words.join(" ")
}
