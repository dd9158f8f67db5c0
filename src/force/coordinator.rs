//! The coordinator: what a caller sees of the evaluation; the threads behind it are in `shell`.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gg_ir::{Made, Name, Placeholder, Thunk};
use gg_worker::Failure;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::failure::{Cause, Outcome, ThunkFailure};
use crate::history::History;
use crate::ledger::Ledger;
use crate::observer::Observer;
use crate::plan::Event;
use crate::policy::Policy;
use crate::progress::{Progress, Summary};
use crate::request::Request;
use crate::shell::{Post, Shared, Shell};
use crate::snapshot::Snapshot;

/// Asked when the program of a thunk failed for the first time: a thunk to run in its place, with the same outputs, or
/// `None`. Called on a thread of its own; must not wait for thunks.
///
/// The replacement's reduction becomes the thunk's own for the rest of this process. It is recorded under the
/// replacement's name only: the thunk itself did fail.
pub type OnFailure = Arc<dyn Fn(&Name, &Failure) -> Option<Arc<Thunk>> + Send + Sync>;

/// Asked when an object is lost that no known thunk makes: brings it back into the store, and says whether it did.
/// Called on a thread of its own; must not wait for thunks.
pub type Resupply = Arc<dyn Fn(&Name) -> bool + Send + Sync>;

/// What a coordinator is started with.
pub struct Config {
    /// Where thunks, objects and reductions are.
    pub store: Arc<dyn Ledger>,
    /// Where thunks run, the preferred first: a thunk goes to the first that has room. At most 64, and no other
    /// coordinator's.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Where the time is from.
    pub clock: Arc<dyn Clock>,
    /// Caps and delays.
    pub policy: Policy,
    /// Past run times.
    pub history: History,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    /// Whether further thunks are started after one has failed. Without, those that run are finished, those that
    /// someone waits for are run, and [`Coordinator::wait_all`] ends the others as cancelled. Probes do not count.
    pub keep_going: bool,
    /// See [`OnFailure`].
    pub on_failure: Option<OnFailure>,
    /// See [`Resupply`].
    pub resupply: Option<Resupply>,
}

/// Why no coordinator was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No engine, or too many.
    #[error("{0} engines were given; a coordinator takes 1 to 64")]
    Engines(usize),
    /// The system gave no thread.
    #[error("no thread could be started; is a limit on processes reached? {0}")]
    Thread(#[from] std::io::Error),
}

/// Evaluates thunks. All methods may be called from any thread, also from the observer's.
pub struct Coordinator {
    inbox: Sender<Post>,
    thread: Option<JoinHandle<()>>,
    engines: Vec<Arc<dyn Engine>>,
    shared: Arc<Mutex<Shared>>,
}

/// How long [`Coordinator::cancel_all`] waits for engines to let go, and [`Coordinator::snapshot`] for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

impl Coordinator {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`StartError`] when the configuration or the system does not allow it.
    pub fn start(config: Config) -> Result<Self, StartError> {
        if !(1..=64).contains(&config.engines.len()) {
            return Err(StartError::Engines(config.engines.len()));
        }
        let (inbox, posts) = channel();
        let shared = Arc::new(Mutex::new(Shared { history: config.history.clone(), ..Shared::default() }));
        let engines = config.engines.clone();
        let shell = Shell::new(config, inbox.clone(), posts, shared.clone())?;
        let thread = std::thread::Builder::new().name("gg-coordinator".into()).spawn(move || shell.run())?;
        Ok(Self { inbox, thread: Some(thread), engines, shared })
    }

    /// Adds a thunk, and those that it depends on; returns at once. The observer hears of its end, also when it has
    /// ended already. A thunk that is known is not evaluated twice.
    pub fn add(&self, request: Request) {
        self.post(Post::Plan(Event::Add(request)));
    }

    /// Takes back that these were added or waited for. What only they need is given up: it ends as [`Cause::Cancelled`], what
    /// runs is killed, and all is taken up again when it is asked for again. What has ended stays.
    pub fn withdraw(&self, names: Vec<Name>) {
        self.post(Post::Plan(Event::Withdraw(names)));
    }

    /// Blocks until the thunk has ended, and puts it and all that it waits for before everything else. A thunk that was
    /// not added is read from the store. The observer may not have heard of it yet.
    ///
    /// # Errors
    /// [`ThunkFailure`] when it failed.
    pub fn wait(&self, name: &Name) -> Outcome {
        let (sender, answer) = channel();
        self.post(Post::Wait(*name, sender));
        Self::answer(name, &answer)
    }

    /// What a placeholder stands for, as after [`Coordinator::wait`]; `None` where that output is optional and was not
    /// written.
    ///
    /// # Errors
    /// [`ThunkFailure`] when the thunk failed.
    pub fn collect(&self, placeholder: &Placeholder) -> Result<Option<Made>, Arc<ThunkFailure>> {
        Ok(self.wait(&placeholder.thunk)?.outputs.get(&placeholder.tag).cloned())
    }

    /// For a caller who found that `object`, an output of `thunk`, is missing or damaged in the store: runs again what
    /// made it, ignoring the cache, and blocks until that has ended. The reduction may name other objects than before.
    ///
    /// # Errors
    /// [`ThunkFailure`] when it failed this time.
    pub fn redo(&self, thunk: &Name, object: &Name) -> Outcome {
        let (sender, answer) = channel();
        self.post(Post::Redo(*thunk, *object, sender));
        Self::answer(thunk, &answer)?;
        self.wait(thunk)
    }

    /// Blocks until every thunk has ended and the observer has heard of it. Not to be called by the observer.
    pub fn wait_all(&self) -> Summary {
        let (sender, answer) = channel();
        self.post(Post::WaitAll(sender));
        answer.recv().unwrap_or_default()
    }

    /// Ends everything: what runs is killed, what does not have an outcome is [`Cause::Cancelled`], and so is all that is
    /// added later. Blocks until the engines have let go, a second at most.
    pub fn cancel_all(&self) {
        let (sender, answer) = channel();
        self.post(Post::Plan(Event::CancelAll));
        for engine in &self.engines {
            engine.stop();
        }
        self.post(Post::Stopped(sender));
        // An engine that has not let go by then is left to itself.
        let _ = answer.recv_timeout(PATIENCE);
    }

    /// How far things are.
    pub fn progress(&self) -> Progress {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).progress
    }

    /// What is going on, for a person; with `estimate`, the time left as well, which takes a while where tens of thousands
    /// of thunks are left. `None` when the coordinator has no time to say, which is rare, or has ended.
    pub fn snapshot(&self, estimate: bool) -> Option<Snapshot> {
        let (sender, answer) = channel();
        self.post(Post::Look(estimate, sender));
        answer.recv_timeout(PATIENCE).ok()
    }

    /// The run times that were given at the start, with those of this build as far as [`Coordinator::wait_all`] or
    /// [`Coordinator::cancel_all`] has seen them.
    pub fn history(&self) -> History {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).history.clone()
    }

    fn post(&self, post: Post) {
        // Fails only when the thread has panicked; every answer is then `gone`.
        let _ = self.inbox.send(post);
    }

    fn answer(name: &Name, answer: &Receiver<Outcome>) -> Outcome {
        answer.recv().unwrap_or_else(|_| {
            let cause = Cause::Infrastructure("the coordinator has ended before the thunk did".to_owned());
            Err(Arc::new(ThunkFailure { name: *name, cause }))
        })
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.cancel_all();
        self.post(Post::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
