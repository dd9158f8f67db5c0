//! The plan: which thunk is where, and what to do next. A state machine, without threads and I/O: events in, commands
//! out. The life of one thunk is drawn in `node`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reduction, Reference, Thunk};
use gg_worker::Failure;

use crate::attempt::RunLog;
use crate::engine::{EngineResult, Work};
use crate::failure::{Cause, Outcome};
use crate::graph::Graph;
use crate::growth::{GrowError, Grown};
use crate::history::History;
use crate::ids::{EngineIndex, NameMap, RunId, ThunkId};
use crate::kept::{Ended, Words};
use crate::ledger::LedgerError;
use crate::node::{Node, State};
use crate::observer::Finished;
use crate::policy::{Order, Policy};
use crate::progress::{Progress, Summary};
use crate::repair::Losses;
use crate::request::Request;
use crate::schedule::Schedule;

/// What the plan is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// A thunk is to be evaluated.
    Add(Request),
    /// Whoever asked for these does not want them any more.
    Withdraw(Vec<Name>),
    /// The cache's answer to [`Command::Look`].
    Looked { id: ThunkId, found: Option<Reduction> },
    /// The cache's answer to [`Command::LookResolved`], and the name that was looked up.
    Resolved { id: ThunkId, round: u32, key: Name, found: Option<Reduction> },
    /// The answer to [`Command::Load`].
    Loaded { id: ThunkId, thunk: Result<Arc<Thunk>, LedgerError> },
    /// An execution ended.
    Ended { run: RunId, result: EngineResult },
    /// The answer to [`Command::Consult`].
    Consulted { id: ThunkId, replacement: Option<Arc<Thunk>> },
    /// The answer to [`Command::Grow`].
    Grown { id: ThunkId, grown: Result<Grown, GrowError> },
    /// The answer to [`Command::Resupply`].
    Resupplied { object: Name, back: bool },
    /// Everything is to end.
    CancelAll,
    /// Time has passed.
    Tick,
}

impl Event {
    /// Whether it answers what was asked of the store or of the caller.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Looked { .. }
            | Self::Resolved { .. }
            | Self::Loaded { .. }
            | Self::Consulted { .. }
            | Self::Grown { .. }
            | Self::Resupplied { .. } => true,
            Self::Add(_) | Self::Withdraw(_) | Self::Ended { .. } | Self::CancelAll | Self::Tick => false,
        }
    }
}

/// What the plan wants done.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask the cache for this name's reduction.
    Look { id: ThunkId, name: Name },
    /// Ask the cache for the reduction of this thunk with these inputs resolved.
    LookResolved { id: ThunkId, round: u32, thunk: Arc<Thunk>, resolved: BTreeMap<Reference, Name> },
    /// Read the thunk of this name.
    Load { id: ThunkId, name: Name },
    /// Look whether the outputs that may be graphs are, and take those up.
    Grow { id: ThunkId, thunk: Arc<Thunk>, resolved: BTreeMap<Reference, Name>, reduction: Arc<Reduction> },
    /// Start an execution.
    Start { run: RunId, engine: EngineIndex, work: Box<Work> },
    /// End the executions of a thunk.
    Cancel { engine: EngineIndex, id: ThunkId },
    /// Keep a reduction.
    Record(Arc<Reduction>),
    /// Drop a reduction.
    Forget(Name),
    /// Ask the caller for a replacement of this thunk, whose program failed.
    Consult { id: ThunkId, name: Name, failure: Failure },
    /// Ask the caller to bring this object back.
    Resupply(Name),
    /// A thunk has an outcome; `report` when the observer is to hear of it.
    Settled { done: Box<Finished>, report: bool },
    /// Tell the observer.
    Notice(String),
}

/// How a plan is made.
pub(crate) struct Setup {
    pub engines: Vec<Arc<str>>,
    /// Those that only take what all others have given back, a bit for each.
    pub reserves: u64,
    pub policy: Policy,
    pub history: History,
    pub keep_going: bool,
    /// Whether [`Command::Consult`] will be answered.
    pub consults: bool,
    /// Whether [`Command::Resupply`] will be answered.
    pub resupplies: bool,
}

/// An execution that has been started.
pub(crate) struct Run {
    pub id: ThunkId,
    pub engine: EngineIndex,
    pub log: RunLog,
    /// What it was given, where it may write a graph, which may name that.
    pub given: Option<Given>,
}

/// A thunk, and what its references stood for.
pub(crate) type Given = (Arc<Thunk>, BTreeMap<Reference, Name>);

/// The state of everything.
pub(crate) struct Plan {
    pub(crate) setup: Setup,
    pub(crate) graph: Graph,
    pub(crate) schedule: Schedule,
    pub(crate) now: Duration,
    pub(crate) commands: VecDeque<Command>,
    /// Thunks whose dependencies may all have ended, or of which one has failed.
    pub(crate) agenda: VecDeque<ThunkId>,
    pub(crate) runs: HashMap<RunId, Run>,
    next_run: u64,
    /// A thunk that made a value, for each; from when the first one is lost.
    pub(crate) makers: Option<NameMap<ThunkId>>,
    pub(crate) words: Words,
    pub(crate) supplying: HashMap<Name, Vec<ThunkId>>,
    pub(crate) losses: Losses,
    pub(crate) timers: BTreeSet<(Duration, ThunkId)>,
    /// A step has failed: only what is waited for is still started.
    pub(crate) stopped: bool,
    pub(crate) cancelled: bool,
    pub(crate) summary: Summary,
    pub(crate) unended: usize,
    /// What programs call thunks that have not been read yet.
    pub(crate) labels: HashMap<Name, String>,
    /// How many thunks programs have stated.
    pub(crate) sprouts: usize,
    /// What has been told of steps that engines gave back.
    pub(crate) told: HashSet<String>,
}

/// How soon to look again when no engine has room and none is busy.
const POLL: Duration = Duration::from_millis(100);

impl Plan {
    pub fn new(setup: Setup) -> Self {
        Self {
            schedule: Schedule::new(setup.engines.len(), setup.reserves),
            setup,
            graph: Graph::default(),
            now: Duration::ZERO,
            commands: VecDeque::new(),
            agenda: VecDeque::new(),
            runs: HashMap::new(),
            next_run: 0,
            makers: None,
            words: Words::default(),
            supplying: HashMap::new(),
            losses: Losses::default(),
            timers: BTreeSet::new(),
            stopped: false,
            cancelled: false,
            summary: Summary::default(),
            unended: 0,
            labels: HashMap::new(),
            sprouts: 0,
            told: HashSet::new(),
        }
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, now: Duration, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Add(request) => {
                let id = self.add(request);
                self.graph[id].wanted = true;
            }
            Event::Withdraw(names) => self.withdraw(&names),
            Event::Looked { id, found } => self.looked(id, found),
            Event::Resolved { id, round, key, found } => self.resolved(id, round, key, found),
            Event::Loaded { id, thunk } => self.loaded(id, thunk),
            Event::Ended { run, result } => self.run_ended(run, result),
            Event::Consulted { id, replacement } => self.consulted(id, replacement),
            Event::Grown { id, grown } => self.grown(id, grown),
            Event::Resupplied { object, back } => self.resupplied(object, back),
            Event::CancelAll => self.cancel_all(),
            Event::Tick => self.fire_timers(),
        }
        self.work_off();
    }

    /// The next thing to do.
    pub fn next(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When to call with [`Event::Tick`], if nothing happens before.
    pub fn deadline(&self) -> Option<Duration> {
        let stuck =
            self.schedule.running() == 0 && self.schedule.len() > 0 && (!self.stopped || self.schedule.has_urgent());
        let poll = stuck.then(|| self.now + POLL);
        self.timers.first().map(|&(at, _)| at).into_iter().chain(poll).min()
    }

    /// Adds a thunk, or takes note of what else is known of one that is there.
    pub(crate) fn add(&mut self, request: Request) -> ThunkId {
        if let Some(id) = self.graph.find(&request.name) {
            return self.known(id, request);
        }
        let Request { name, thunk, kind, label, volatile, eager, anew: _ } = request;
        let mut node = Node::new(name, thunk, self.words.kind(&kind), &label);
        node.volatile |= volatile;
        node.eager = eager;
        node.rank.weight = self.weight(&node);
        let id = self.graph.add(node);
        self.unended += 1;
        self.summary.total += 1;
        if self.cancelled {
            self.fail(id, Cause::Cancelled)
        } else {
            self.begin(id)
        }
        id
    }

    /// What was first heard of as a dependency, or by its name, may be described now.
    fn known(&mut self, id: ThunkId, request: Request) -> ThunkId {
        self.revive(id, request.anew);
        if request.anew && self.graph[id].tainted {
            self.renew(id);
        }
        let node = &mut self.graph[id];
        let was_eager = node.eager;
        node.eager &= request.eager;
        node.volatile |= request.volatile;
        node.stand_in = false;
        if node.label.is_empty() && !request.label.is_empty() {
            (node.kind, node.label) = (self.words.kind(&request.kind), request.label.as_str().into());
            let weight = self.weight(&self.graph[id]);
            self.graph.weigh(id, weight);
        }
        if let (None, Some(thunk)) = (&self.graph[id].thunk, request.thunk) {
            self.graph[id].describe(thunk);
        }
        if self.graph[id].ended() {
            self.report_again(id, was_eager);
        }
        id
    }

    /// A thunk of which only the name is known.
    pub(crate) fn add_by_name(&mut self, name: Name) -> ThunkId {
        if let Some(id) = self.graph.find(&name) {
            self.revive(id, false);
            return id;
        }
        self.add(Request {
            name,
            thunk: None,
            kind: String::new(),
            label: String::new(),
            volatile: false,
            eager: false,
            anew: false,
        })
    }

    /// A replacement or another thunk like `id`.
    pub(crate) fn add_like(&mut self, id: ThunkId, thunk: Arc<Thunk>) -> ThunkId {
        let node = &self.graph[id];
        let (kind, label) = (node.kind.to_string(), node.label.to_string());
        let (volatile, eager) = (node.volatile, node.eager);
        self.add(Request { name: thunk.name(), thunk: Some(thunk), kind, label, volatile, eager, anew: false })
    }

    pub(crate) fn weight(&self, node: &Node) -> u64 {
        // Where all paths are equally short, what became ready first goes first.
        if self.setup.policy.order == Order::Arrival {
            return 0;
        }
        let expected = self.setup.history.expected(&node.kind, &node.label).as_micros();
        // Never nothing: of two thunks, the one that more depend on in a row is always the more pressing.
        u64::try_from(expected).unwrap_or(u64::MAX).max(1)
    }

    /// Someone waits for this thunk. The outcome, if it has ended.
    pub fn wait(&mut self, now: Duration, name: Name) -> Option<Outcome> {
        self.now = self.now.max(now);
        let id = self.add_by_name(name);
        self.graph[id].awaited = true;
        self.hurry(id);
        self.work_off();
        let node = &self.graph[id];
        node.outcome.as_ref().map(|ended| ended.outcome(node.name))
    }

    pub(crate) fn hurry(&mut self, id: ThunkId) {
        let hurried = self.graph.hurry(id);
        self.rerank(&hurried);
    }

    pub(crate) fn rerank(&mut self, changed: &[ThunkId]) {
        for &id in changed {
            let node = &mut self.graph[id];
            let State::Ready(rank) = &mut node.state else { continue };
            let old = *rank;
            rank.urgent |= node.rank.urgent;
            rank.path = node.rank.path;
            let new = *rank;
            if new != old {
                let banned = node.tries.banned;
                self.schedule.remove(banned, &old);
                self.schedule.insert(banned, new);
            }
        }
    }

    /// Gives ready thunks to engines; `capacity` is how many each engine can have at once.
    pub fn dispatch(&mut self, now: Duration, capacity: &[usize]) {
        self.now = self.now.max(now);
        let changed = self.graph.settle();
        self.rerank(&changed);
        while let Some((id, engine)) = self.schedule.pick(capacity, self.stopped) {
            match self.inputs(id) {
                Ok((thunk, resolved)) => self.start(id, engine, thunk, resolved),
                Err(cause) => {
                    self.schedule.release(engine);
                    self.fail(id, cause);
                    self.work_off();
                }
            }
        }
    }

    fn start(&mut self, id: ThunkId, engine: EngineIndex, thunk: Arc<Thunk>, resolved: BTreeMap<Reference, Name>) {
        self.next_run += 1;
        let run = RunId(self.next_run);
        let now = self.now;
        let log = RunLog::new(self.setup.engines[engine].clone(), now);
        let is_dynamic = thunk.outputs.values().any(|output| output.dynamic);
        let given = is_dynamic.then(|| (thunk.clone(), resolved.clone()));
        self.runs.insert(run, Run { id, engine, log: log.clone(), given });
        let node = &mut self.graph[id];
        let work = Work {
            id,
            name: node.name,
            thunk,
            resolved,
            earlier: node.tries.runs,
            kind: node.kind.clone(),
            label: node.label.clone(),
            expected: self.setup.history.seen(&node.kind, &node.label),
            log,
        };
        node.state = State::Running(run);
        node.tries.runs += 1;
        node.tries.engine = Some(engine);
        node.time.queued += now.saturating_sub(node.time.since);
        node.time.since = now;
        self.commands.push_back(Command::Start { run, engine, work: Box::new(work) });
    }

    fn cancel_all(&mut self) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        for run in self.runs.values() {
            self.commands.push_back(Command::Cancel { engine: run.engine, id: run.id });
        }
        self.end_the_rest();
    }

    /// Ends every thunk that has not ended, as cancelled.
    pub fn end_the_rest(&mut self) {
        for id in self.graph.ids() {
            if !self.graph[id].ended() {
                self.fail(id, Cause::Cancelled);
            }
        }
        self.timers.clear();
        self.supplying.clear();
        self.work_off();
    }

    /// Whether every thunk has ended.
    pub fn idle(&self) -> bool {
        self.unended == 0
    }

    /// Whether nothing more will run by itself, since a step has failed.
    pub fn halted(&self) -> bool {
        self.stopped && self.runs.is_empty() && self.timers.is_empty() && !self.schedule.has_urgent()
    }

    pub fn running(&self) -> usize {
        self.runs.len()
    }

    pub fn progress(&self) -> Progress {
        Progress {
            ready: self.schedule.len(),
            running: self.runs.len(),
            done: self.summary.executed,
            cached: self.summary.cached,
            failed: self.summary.failed + self.summary.cancelled,
            total: self.summary.total,
        }
    }

    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    pub fn history(&self) -> &History {
        &self.setup.history
    }

    pub(crate) fn work_off(&mut self) {
        while let Some(id) = self.agenda.pop_front() {
            self.wake(id);
        }
    }

    /// The failure of this thunk as those see it that depend on it.
    pub(crate) fn root(&self, id: ThunkId) -> Option<Cause> {
        let Some(Ended::Failed(failure)) = &self.graph[id].outcome else { return None };
        Some(match &failure.cause {
            Cause::Dependency(name) => Cause::Dependency(*name),
            Cause::Cancelled => Cause::Cancelled,
            Cause::Program(_) | Cause::Breach(_) | Cause::Infrastructure(_) => Cause::Dependency(failure.name),
        })
    }
}
