//! The threads around the plan.
//!
//! One thread owns the plan; all else reaches it as a message. It never blocks on anything but its inbox: the store and
//! the caller's functions are asked on threads of their own (`clerks`), the observer is told on another.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use gg_ir::{Name, Reduction, Reference, Thunk};

use crate::clerks::Clerks;
use crate::clock::Clock;
use crate::coordinator::{Config, OnFailure, Resupply};
use crate::engine::{Engine, EngineResult};
use crate::failure::Outcome;
use crate::growth::take_up;
use crate::history::History;
use crate::ledger::{Ledger, LedgerError};
use crate::observer::{Message, Notifier};
use crate::plan::{Command, Event, Plan, Setup};
use crate::progress::{Progress, Summary};
use crate::snapshot::Snapshot;

/// What reaches the coordinator's thread.
pub(crate) enum Post {
    Plan(Event),
    Recorded(Option<String>),
    Wait(Name, Sender<Outcome>),
    Redo(Name, Name, Sender<Outcome>),
    WaitAll(Sender<Summary>),
    /// The observer has been told all that it could be told when this many reports had been sent.
    Told(u64, Sender<Summary>),
    /// The state of things, with or without the time left.
    Look(bool, Sender<Snapshot>),
    Stopped(Sender<()>),
    Close,
}

/// What callers may look at without asking.
#[derive(Default)]
pub(crate) struct Shared {
    pub progress: Progress,
    pub history: History,
}

/// Answers for a job that ends without an answer: an engine that drops its callback, a caller's function that panics.
struct Reply {
    inbox: Sender<Post>,
    instead: Option<Event>,
}

impl Reply {
    fn send(mut self, event: Event) {
        self.instead = Some(event);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(event) = self.instead.take() {
            // The coordinator may be gone.
            let _ = self.inbox.send(Post::Plan(event));
        }
    }
}

/// What the coordinator's thread holds.
pub(crate) struct Shell {
    plan: Plan,
    posts: Receiver<Post>,
    inbox: Sender<Post>,
    store: Arc<dyn Ledger>,
    engines: Vec<Arc<dyn Engine>>,
    clock: Arc<dyn Clock>,
    on_failure: Option<OnFailure>,
    resupply: Option<Resupply>,
    disk: Clerks,
    /// What `disk` is to do, gathered for as long as the plan has commands.
    jobs: Vec<Box<dyn FnOnce() + Send>>,
    callers: Clerks,
    notifier: Notifier,
    /// Jobs that clerks have not answered.
    asked: usize,
    /// Reports that were sent to the observer.
    reports: u64,
    waiters: HashMap<Name, Vec<Sender<Outcome>>>,
    all: Vec<Sender<Summary>>,
    stopping: Vec<Sender<()>>,
    record_failed: bool,
    shared: Arc<Mutex<Shared>>,
}

impl Shell {
    pub fn new(
        config: Config,
        inbox: Sender<Post>,
        posts: Receiver<Post>,
        shared: Arc<Mutex<Shared>>,
    ) -> std::io::Result<Self> {
        let setup = Setup {
            engines: config.engines.iter().map(|engine| engine.name().into()).collect(),
            reserves: (0..)
                .zip(&config.engines)
                .filter(|(_, engine)| engine.is_reserve())
                .fold(0, |set, (e, _)| set | crate::schedule::bit(e)),
            policy: config.policy,
            history: config.history,
            keep_going: config.keep_going,
            consults: config.on_failure.is_some(),
            resupplies: config.resupply.is_some(),
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            plan: Plan::new(setup),
            posts,
            inbox,
            store: config.store,
            engines: config.engines,
            clock: config.clock,
            on_failure: config.on_failure,
            resupply: config.resupply,
            jobs: Vec::new(),
            disk: Clerks::start("gg-ledger", cores.clamp(2, 8))?,
            callers: Clerks::start("gg-consult", 2)?,
            notifier: Notifier::start(config.observer)?,
            asked: 0,
            reports: 0,
            waiters: HashMap::new(),
            all: Vec::new(),
            stopping: Vec::new(),
            record_failed: false,
            shared,
        })
    }

    pub fn run(mut self) {
        let mut open = true;
        while open {
            open = self.receive();
            // A round takes what has come in by its beginning.
            for post in self.posts.try_iter().take(4096).collect::<Vec<_>>() {
                open &= self.take(post);
            }
            let capacity = self.capacity();
            self.plan.dispatch(self.clock.now(), &capacity);
            self.carry_out();
            self.look_around();
        }
    }

    /// How many thunks each engine can have at once.
    fn capacity(&self) -> Vec<usize> {
        self.engines.iter().map(|engine| engine.capacity()).collect()
    }

    /// Waits for a message or for the time to do something without one. `false` when it is time to end.
    fn receive(&mut self) -> bool {
        let post = match self.posts.try_recv() {
            Ok(post) => Some(post),
            Err(_) => match self.clock.idle(self.plan.deadline(), self.asked == 0) {
                None => self.posts.recv().ok(),
                Some(time) => match self.posts.recv_timeout(time) {
                    Ok(post) => Some(post),
                    Err(RecvTimeoutError::Timeout) => {
                        self.plan.handle(self.clock.now(), Event::Tick);
                        None
                    }
                    Err(RecvTimeoutError::Disconnected) => return false,
                },
            },
        };
        post.is_none_or(|post| self.take(post))
    }

    fn take(&mut self, post: Post) -> bool {
        let now = self.clock.now();
        match post {
            Post::Plan(event) => {
                self.asked -= usize::from(event.is_answer());
                self.plan.handle(now, event);
            }
            Post::Recorded(problem) => {
                self.asked -= 1;
                if let Some(problem) = problem.filter(|_| !std::mem::replace(&mut self.record_failed, true)) {
                    let text = format!("results cannot be kept for the next build (told once): {problem}");
                    self.notifier.send(Message::Notice(text));
                }
            }
            Post::Wait(name, sender) => match self.plan.wait(now, name) {
                // The caller may have given up.
                Some(outcome) => drop(sender.send(outcome)),
                None => self.waiters.entry(name).or_default().push(sender),
            },
            Post::Redo(thunk, object, sender) => {
                let name = self.plan.redo(now, &thunk, &object);
                return self.take(Post::Wait(name, sender));
            }
            Post::WaitAll(sender) => self.all.push(sender),
            Post::Told(reports, sender) => {
                if reports == self.reports && self.plan.idle() {
                    let _ = sender.send(self.plan.summary().clone());
                } else {
                    self.all.push(sender);
                }
            }
            Post::Look(estimate, sender) => {
                let _ = sender.send(self.plan.snapshot(now, &self.capacity(), estimate));
            }
            Post::Stopped(sender) => self.stopping.push(sender),
            Post::Close => return false,
        }
        true
    }

    fn carry_out(&mut self) {
        while let Some(command) = self.plan.next() {
            match command {
                Command::Look { id, name } => {
                    let store = self.store.clone();
                    self.ask(Event::Looked { id, found: None }, move || Event::Looked {
                        id,
                        found: look_up(&*store, &name),
                    });
                }
                Command::LookResolved { id, round, thunk, resolved } => {
                    let store = self.store.clone();
                    let unknown = Event::Resolved { id, round, key: thunk.name(), found: None };
                    self.ask(unknown, move || {
                        let key = with_values(&thunk, &resolved).name();
                        Event::Resolved { id, round, key, found: look_up(&*store, &key) }
                    });
                }
                Command::Load { id, name } => {
                    let store = self.store.clone();
                    let failed = LedgerError::Other(format!("reading {name} failed"));
                    self.ask(Event::Loaded { id, thunk: Err(failed) }, move || Event::Loaded {
                        id,
                        thunk: store.read_thunk(&name),
                    });
                }
                Command::Grow { id, thunk, resolved, reduction } => {
                    let store = self.store.clone();
                    let failed = LedgerError::Other(format!("reading what {} wrote failed", reduction.thunk));
                    self.ask(Event::Grown { id, grown: Err(failed.into()) }, move || Event::Grown {
                        id,
                        grown: take_up(&*store, &thunk, &resolved, &reduction),
                    });
                }
                Command::Start { run, engine, work } => {
                    let result = EngineResult::Broken { text: "the engine gave no answer".to_owned(), again: true };
                    let reply = self.reply(Event::Ended { run, result });
                    let done = Box::new(move |result| reply.send(Event::Ended { run, result }));
                    self.engines[engine].start(*work, done);
                }
                Command::Cancel { engine, id } => self.engines[engine].cancel(id),
                Command::Record(reduction) => self.write(move |store| store.record(&reduction)),
                Command::Forget(name) => self.write(move |store| {
                    store.forget(&name);
                    Ok(())
                }),
                Command::Consult { id, name, failure } => {
                    let ask = self.on_failure.clone();
                    let reply = self.reply(Event::Consulted { id, replacement: None });
                    self.asked += 1;
                    self.callers.give(move || {
                        let replacement = ask.and_then(|ask| ask(&name, &failure));
                        reply.send(Event::Consulted { id, replacement });
                    });
                }
                Command::Resupply(object) => {
                    let ask = self.resupply.clone();
                    let reply = self.reply(Event::Resupplied { object, back: false });
                    self.asked += 1;
                    self.callers.give(move || {
                        let back = ask.is_some_and(|ask| ask(&object));
                        reply.send(Event::Resupplied { object, back });
                    });
                }
                Command::Settled { done, report } => {
                    for waiter in self.waiters.remove(&done.name).unwrap_or_default() {
                        // The caller may have given up.
                        let _ = waiter.send(done.result.clone());
                    }
                    if report {
                        self.reports += 1;
                        self.notifier.send(Message::Finished(done));
                    }
                }
                Command::Notice(text) => self.notifier.send(Message::Notice(text)),
            }
        }
        if !self.jobs.is_empty() {
            self.disk.give_all(std::mem::take(&mut self.jobs));
        }
    }

    fn reply(&self, instead: Event) -> Reply {
        Reply { inbox: self.inbox.clone(), instead: Some(instead) }
    }

    fn ask(&mut self, instead: Event, job: impl FnOnce() -> Event + Send + 'static) {
        let reply = self.reply(instead);
        self.asked += 1;
        self.jobs.push(Box::new(move || reply.send(job())));
    }

    fn write(&mut self, job: impl FnOnce(&dyn Ledger) -> Result<(), LedgerError> + Send + 'static) {
        let (store, inbox) = (self.store.clone(), self.inbox.clone());
        self.asked += 1;
        self.jobs.push(Box::new(move || {
            let problem = job(&*store).err().map(|error| error.to_string());
            // The coordinator may be gone.
            let _ = inbox.send(Post::Recorded(problem));
        }));
    }

    /// Answers those who wait for everything.
    fn look_around(&mut self) {
        let settled = self.asked == 0;
        if !self.all.is_empty() && settled && self.plan.halted() && !self.plan.idle() {
            self.plan.end_the_rest();
            self.carry_out();
        }
        {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.progress = self.plan.progress();
            if self.plan.idle() && (!self.all.is_empty() || !self.stopping.is_empty()) {
                shared.history = self.plan.history().clone();
            }
        }
        if self.plan.idle() && self.asked == 0 {
            for sender in self.all.drain(..) {
                let (inbox, reports) = (self.inbox.clone(), self.reports);
                let marker = move || drop(inbox.send(Post::Told(reports, sender)));
                self.notifier.send(Message::Marker(Box::new(marker)));
            }
        }
        if self.plan.running() == 0 {
            for sender in self.stopping.drain(..) {
                let _ = sender.send(());
            }
        }
    }
}

/// A record that cannot be read is as good as none.
fn look_up(store: &dyn Ledger, thunk: &Name) -> Option<Reduction> {
    store.reduction(thunk).ok().flatten()
}

/// The thunk with every reference replaced by what it stands for: its name tells the result, whatever was volatile.
fn with_values(thunk: &Thunk, resolved: &BTreeMap<Reference, Name>) -> Thunk {
    let mut thunk = thunk.clone();
    for input in thunk.inputs.values_mut() {
        if let gg_ir::Input::File { object, .. } = input
            && let Some(value) = resolved.get(object)
        {
            *object = Reference::Value(*value);
        }
    }
    thunk
}
