//! The engine on this machine: worker processes, each with a thread that waits for it.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gg_worker::{Cancel, Job, Outcome, Pool, Spent, WorkerError};

use crate::attempt::{Attempt, Phases};
use crate::engine::{Engine, EngineResult, Work};
use crate::ids::ThunkId;

/// How a [`LocalEngine`] runs thunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// How many at once; best the pool's number of processes.
    pub jobs: usize,
    /// How long a thunk may run that sets no limit of its own.
    pub timeout: Duration,
    /// Whether programs find terminals as their standard output and error.
    pub terminal: bool,
    /// Whether it only takes what all other engines have given back.
    pub reserve: bool,
}

/// Runs thunks in the worker processes of this machine.
pub struct LocalEngine {
    desk: Arc<Desk>,
    jobs: usize,
    threads: Vec<JoinHandle<()>>,
}

type Done = Box<dyn FnOnce(EngineResult) + Send>;

struct Desk {
    pool: Arc<Pool>,
    options: LocalOptions,
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Work, Done)>,
    running: HashMap<ThunkId, Cancel>,
    stopped: bool,
    closed: bool,
}

impl LocalEngine {
    /// An engine on this pool, which others may use as well.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(pool: Arc<Pool>, options: LocalOptions) -> std::io::Result<Self> {
        let desk = Arc::new(Desk { pool, options, state: Mutex::default(), came: Condvar::new() });
        let jobs = options.jobs.max(1);
        let mut engine = Self { desk, jobs, threads: Vec::with_capacity(jobs) };
        for number in 0..jobs {
            let desk = engine.desk.clone();
            let thread = std::thread::Builder::new().name(format!("gg-local-{number}"));
            engine.threads.push(thread.spawn(move || desk.work(number as u32))?);
        }
        Ok(engine)
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, number: u32) {
        while let Some((work, done, cancel)) = self.next() {
            let (begun, mut spent) = (Instant::now(), Spent::default());
            let result =
                match &cancel {
                    Ok(cancel) => catch_unwind(AssertUnwindSafe(|| self.run(&work, cancel, &mut spent)))
                        .unwrap_or_else(|_| EngineResult::Broken {
                            text: "the thread that ran it panicked; what it said is above".to_owned(),
                            again: true,
                        }),
                    Err(text) => EngineResult::Broken { text: text.clone(), again: true },
                };
            self.lock().running.remove(&work.id);
            work.log.note(begun, attempt(number, &spent));
            done(result);
        }
    }

    fn next(&self) -> Option<(Work, Done, Result<Cancel, String>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((work, done)) = state.waiting.pop_front() {
                let cancel = Cancel::new().map_err(|error| error.to_string());
                if let Ok(cancel) = &cancel {
                    state.running.insert(work.id, cancel.clone());
                }
                return Some((work, done, cancel));
            }
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, work: &Work, cancel: &Cancel, spent: &mut Spent) -> EngineResult {
        let own = work.thunk.timeout.map(|seconds| Duration::from_secs(seconds.into()));
        let job = Job {
            thunk: &work.name,
            description: &work.thunk,
            resolved: work.resolved.clone(),
            timeout: own.unwrap_or(self.options.timeout),
            terminal: self.options.terminal,
        };
        match self.pool.run_timed(&job, cancel, spent) {
            Ok(Outcome::Done(reduction)) => EngineResult::Done(reduction),
            Ok(Outcome::Failed(failure)) => EngineResult::Failed(failure),
            Err(WorkerError::Missing(name)) => EngineResult::Missing(name),
            Err(WorkerError::Corrupt(name)) => EngineResult::Corrupt(name),
            Err(WorkerError::Cancelled) => EngineResult::Cancelled,
            Err(error @ (WorkerError::CannotStart { .. } | WorkerError::Conflict { .. })) if work.thunk.strict => {
                EngineResult::Breach(error.to_string())
            }
            Err(error) => EngineResult::Broken { again: again(&error, work.earlier), text: error.to_string() },
        }
    }
}

/// A try by the thread of this number, for the log.
fn attempt(number: u32, spent: &Spent) -> Attempt {
    let &Spent { fetch, wait: queue, prepare, run, store } = spent;
    let phases = Phases { upload: Duration::ZERO, queue, fetch, prepare, run, store };
    Attempt { worker: Some(number), phases, ..Attempt::default() }
}

/// Whether another try is worth while, after so many.
fn again(error: &WorkerError, earlier: u32) -> bool {
    match error {
        // A machine that was suspended or swapping is no reason to fail; a program that hangs is not waited for twice.
        WorkerError::TimedOut { .. } => earlier == 0,
        WorkerError::Sandbox { .. } | WorkerError::Store(_) | WorkerError::Io { .. } => true,
        other => other.is_transient(),
    }
}

impl Engine for LocalEngine {
    fn name(&self) -> &str {
        "local"
    }

    fn capacity(&self) -> usize {
        self.jobs
    }

    fn is_reserve(&self) -> bool {
        self.desk.options.reserve
    }

    fn start(&self, work: Work, done: Done) {
        let mut state = self.desk.lock();
        if state.stopped {
            drop(state);
            return done(EngineResult::Cancelled);
        }
        state.waiting.push_back((work, done));
        drop(state);
        self.desk.came.notify_one();
    }

    fn cancel(&self, id: ThunkId) {
        let mut state = self.desk.lock();
        if let Some(cancel) = state.running.get(&id) {
            cancel.cancel();
        }
        let (ended, waiting) = state.waiting.drain(..).partition(|(work, _)| work.id == id);
        state.waiting = waiting;
        drop(state);
        answer(ended);
    }

    fn stop(&self) {
        let mut state = self.desk.lock();
        state.stopped = true;
        state.running.values().for_each(Cancel::cancel);
        let ended = std::mem::take(&mut state.waiting);
        drop(state);
        answer(ended);
    }
}

fn answer(ended: VecDeque<(Work, Done)>) {
    ended.into_iter().for_each(|(_, done)| done(EngineResult::Cancelled));
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        self.stop();
        self.desk.lock().closed = true;
        self.desk.came.notify_all();
        for thread in self.threads.drain(..) {
            // The last owner may be a callback that runs on one of them.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
