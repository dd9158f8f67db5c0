//! A world for the plan in tests: a store, engines and a clock that are imagined, and checks after each step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gg_ir::{AbsPath, Cost, Function, Input, Kind, Made, Name, Output, Reduction, Reference, Tag, Thunk};
use gg_worker::{Failure, Status};

use crate::engine::{EngineResult, Work};
use crate::growth::{GrowError, Grown, take_up};
use crate::history::History;
use crate::ids::{EngineIndex, RunId};
use crate::ledger::{Ledger, LedgerError};
use crate::observer::Finished;
use crate::plan::{Command, Event, Plan, Setup};
use crate::policy::Policy;
use crate::request::Request;

/// The one output of every imagined thunk.
pub fn tag() -> Tag {
    Tag::new("o").unwrap()
}

/// A thunk that is called `label` and needs these.
pub fn thunk(label: &str, dependencies: &[Name]) -> Arc<Thunk> {
    let inputs = dependencies.iter().enumerate().map(|(i, name)| {
        let object = Reference::Output(*name, tag());
        (AbsPath::new(format!("/in/{i}")).unwrap(), Input::File { object, mode: 0o644 })
    });
    Arc::new(Thunk {
        function: Function {
            executable: AbsPath::new("/bin/tool").unwrap(),
            args: vec![label.into()],
            env: BTreeMap::new(),
            cwd: AbsPath::root(),
            umask: 0o22,
        },
        inputs: inputs.collect(),
        outputs: [(
            tag(),
            Output { path: AbsPath::new(format!("/out/{label}")).unwrap(), optional: false, dynamic: false },
        )]
        .into(),
        timeout: None,
        volatile: false,
        strict: false,
    })
}

/// A request for it; its label is its only argument.
pub fn request(thunk: &Arc<Thunk>) -> Request {
    let label = thunk.function.args[0].to_string_lossy().into_owned();
    Request {
        name: thunk.name(),
        thunk: Some(thunk.clone()),
        kind: "step".into(),
        label,
        volatile: false,
        eager: false,
        anew: false,
    }
}

/// What a thunk writes when nothing goes wrong: bytes that depend on its label alone.
pub fn product(thunk: &Thunk) -> Name {
    Name::of_value(thunk.function.args[0].as_encoded_bytes())
}

/// The reduction with this output.
pub fn made(name: Name, object: Reference) -> Reduction {
    Reduction {
        thunk: name,
        outputs: [(tag(), Made { object, mode: 0o644 })].into(),
        undeclared: BTreeMap::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        cost: Cost::default(),
    }
}

/// A failure with this status.
pub fn exit(status: i32) -> EngineResult {
    EngineResult::Failed(Failure {
        status: Status::Exited(status),
        stdout: Vec::new(),
        stderr: Vec::new(),
        cost: Cost::default(),
        missing_outputs: Vec::new(),
        outputs: BTreeMap::new(),
        undeclared: BTreeMap::new(),
    })
}

/// The store of a world, as far as graphs go.
struct Shelf<'a> {
    contents: &'a HashMap<Name, Vec<u8>>,
    thunks: Mutex<HashMap<Name, Arc<Thunk>>>,
}

impl Ledger for Shelf<'_> {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        Err(LedgerError::Missing(*name))
    }

    fn reduction(&self, _: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ok(None)
    }

    fn record(&self, _: &Reduction) -> Result<(), LedgerError> {
        Ok(())
    }

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        self.contents.get(value).cloned().ok_or(LedgerError::Missing(*value))
    }

    fn begins(&self, value: &Name, with: &[u8]) -> Result<bool, LedgerError> {
        Ok(self.read(value)?.starts_with(with))
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError> {
        let name = Name::of(kind, bytes);
        if kind == Kind::Thunk {
            self.thunks.lock().unwrap().insert(name, Arc::new(Thunk::decode(bytes).unwrap()));
        }
        Ok(name)
    }

    fn forget(&self, _: &Name) {}
}

type Behaviour = Box<dyn FnMut(&Work, EngineIndex) -> (Duration, EngineResult)>;

/// The world.
pub struct World {
    pub plan: Plan,
    pub now: Duration,
    pub capacity: Vec<usize>,
    /// What engines do with a thunk, and how long they take.
    pub behaviour: Behaviour,
    /// The thunks in the store.
    pub thunks: HashMap<Name, Arc<Thunk>>,
    /// The reductions in the store.
    pub cache: HashMap<Name, Reduction>,
    pub replacement: Option<Arc<Thunk>>,
    pub supplies: bool,
    /// The content of values that may be graphs.
    pub graphs: HashMap<Name, Vec<u8>>,
    agenda: BinaryHeap<Reverse<(Duration, u64)>>,
    results: HashMap<u64, (RunId, EngineIndex, EngineResult)>,
    running: Vec<usize>,
    /// Every outcome that was announced, in order.
    pub settled: Vec<Finished>,
    /// Those that an observer hears of.
    pub reported: Vec<Finished>,
    pub notices: Vec<String>,
    /// What was started, in order: label and engine.
    pub started: Vec<(String, EngineIndex)>,
    pub forgotten: HashSet<Name>,
}

/// Succeeds after a second.
pub fn succeed(work: &Work) -> (Duration, EngineResult) {
    (Duration::from_secs(1), EngineResult::Done(made(work.name, Reference::Value(product(&work.thunk)))))
}

impl World {
    pub fn new(capacity: &[usize]) -> Self {
        Self::with(capacity, |_| {})
    }

    pub fn with(capacity: &[usize], change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            reserves: 0,
            engines: (0..capacity.len()).map(|i| format!("e{i}").into()).collect(),
            policy: Policy::default(),
            history: History::new(),
            keep_going: true,
            consults: false,
            resupplies: false,
        };
        change(&mut setup);
        Self {
            plan: Plan::new(setup),
            now: Duration::ZERO,
            capacity: capacity.to_vec(),
            behaviour: Box::new(|work, _| succeed(work)),
            thunks: HashMap::new(),
            cache: HashMap::new(),
            replacement: None,
            supplies: false,
            graphs: HashMap::new(),
            agenda: BinaryHeap::new(),
            results: HashMap::new(),
            running: vec![0; capacity.len()],
            settled: Vec::new(),
            reported: Vec::new(),
            notices: Vec::new(),
            started: Vec::new(),
            forgotten: HashSet::new(),
        }
    }

    pub fn add(&mut self, thunk: &Arc<Thunk>) -> Name {
        let request = request(thunk);
        let name = request.name;
        self.plan.handle(self.now, Event::Add(request));
        name
    }

    /// Adds a thunk of this label.
    pub fn step(&mut self, label: &str, dependencies: &[Name]) -> Name {
        self.add(&thunk(label, dependencies))
    }

    /// How this thunk ended.
    pub fn outcome(&self, name: &Name) -> crate::failure::Outcome {
        let last = self.settled.iter().rev().find(|done| done.name == *name);
        last.unwrap_or_else(|| panic!("{name} has not ended")).result.clone()
    }

    /// The labels of what was started.
    pub fn labels(&self) -> Vec<&str> {
        self.started.iter().map(|(label, _)| label.as_str()).collect()
    }

    /// Does all that can be done without time passing.
    pub fn turn(&mut self) {
        loop {
            self.plan.dispatch(self.now, &self.capacity);
            let mut events = Vec::new();
            while let Some(command) = self.plan.next() {
                events.extend(self.obey(command));
            }
            if events.is_empty() {
                break;
            }
            for event in events {
                self.plan.handle(self.now, event);
            }
        }
    }

    /// Lets time pass until the next thing happens. `false` when nothing will.
    pub fn tick(&mut self) -> bool {
        self.turn();
        let next = self.agenda.peek().map(|Reverse((at, _))| *at);
        let Some(at) = next.into_iter().chain(self.plan.deadline()).min() else { return false };
        self.now = self.now.max(at);
        if next == Some(at) {
            let Some(Reverse((_, key))) = self.agenda.pop() else { return false };
            let (run, engine, result) = self.results.remove(&key).unwrap();
            self.running[engine] -= 1;
            self.plan.handle(self.now, Event::Ended { run, result });
        } else {
            self.plan.handle(self.now, Event::Tick);
        }
        true
    }

    /// Lets everything end that will.
    pub fn run(&mut self) -> &mut Self {
        while !(self.plan.idle() && self.agenda.is_empty()) && self.tick() {}
        self.turn();
        self
    }

    fn obey(&mut self, command: Command) -> Option<Event> {
        Some(match command {
            Command::Look { id, name } => Event::Looked { id, found: self.cache.get(&name).cloned() },
            Command::LookResolved { id, round, thunk, resolved } => {
                assert!(resolved.keys().all(|reference| thunk.dependencies().any(|name| name == reference.name())));
                let text = format!("{:?} {:?}", thunk.function.args, resolved.values());
                let key = Name::of(Kind::Thunk, text.as_bytes());
                Event::Resolved { id, round, key, found: self.cache.get(&key).cloned() }
            }
            Command::Load { id, name } => {
                let found = self.thunks.get(&name).cloned();
                Event::Loaded { id, thunk: found.ok_or(crate::ledger::LedgerError::Missing(name)) }
            }
            Command::Start { run, engine, work } => {
                self.start(run, engine, &work);
                return None;
            }
            Command::Record(reduction) => {
                assert!(
                    reduction.outputs.values().all(|made| made.object.thunk().is_none())
                        || reduction.outputs.len() == 1
                );
                self.cache.insert(reduction.thunk, Reduction::clone(&reduction));
                return None;
            }
            Command::Forget(name) => {
                self.cache.remove(&name);
                self.forgotten.insert(name);
                return None;
            }
            Command::Grow { id, thunk, resolved, reduction } => {
                Event::Grown { id, grown: self.grow(&thunk, &resolved, &reduction) }
            }
            Command::Consult { id, .. } => Event::Consulted { id, replacement: self.replacement.clone() },
            Command::Resupply(object) => Event::Resupplied { object, back: self.supplies },
            Command::Settled { done, report } => {
                if report {
                    self.reported.push(Finished::clone(&done));
                }
                self.settled.push(*done);
                return None;
            }
            Command::Notice(text) => {
                self.notices.push(text);
                return None;
            }
            // An imagined engine lets go when the time has come.
            Command::Cancel { .. } => return None,
        })
    }

    /// An output whose content is in `graphs` is a graph.
    fn grow(
        &mut self,
        thunk: &Thunk,
        resolved: &BTreeMap<Reference, Name>,
        reduction: &Reduction,
    ) -> Result<Grown, GrowError> {
        let shelf = Shelf { contents: &self.graphs, thunks: Mutex::default() };
        let grown = take_up(&shelf, thunk, resolved, reduction);
        self.thunks.extend(shelf.thunks.into_inner().unwrap());
        grown
    }

    fn start(&mut self, run: RunId, engine: EngineIndex, work: &Work) {
        self.running[engine] += 1;
        assert!(self.running[engine] <= self.capacity[engine], "engine {engine} has no room");
        for name in work.thunk.dependencies() {
            let reference = Reference::Output(*name, tag());
            assert!(work.resolved.contains_key(&reference), "{} started before its inputs", work.label);
        }
        self.started.push((work.label.to_string(), engine));
        let (time, result) = (self.behaviour)(work, engine);
        self.agenda.push(Reverse((self.now + time, run.0)));
        self.results.insert(run.0, (run, engine, result));
    }
}
