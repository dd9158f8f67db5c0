//! One thunk as the plan sees it.
//!
//! ```text
//!              a hit: its own dependencies end first
//!          +------------------------------------------> Waiting(Served) --+
//!          |                                                              v
//!  Looking-+--> Loading --> Waiting(Inputs) --> Resolving -- a hit --> Waiting(Chase) --> Ended
//!   (cache?)  (thunk's text)   |                   |                      ^
//!                              +-------------------+--> Ready --> Running +
//!                                                         ^          |
//!              Growing (what it wrote may be a graph) between Running and Waiting(Chase)
//!              Unwinding (given up, and wanted again while its engine still has it)
//!              Paused (back-off), Supplying (lost object), +----------+--> Consulting --> Waiting(StandIn) --> Ended
//!              Waiting(Again) (a dependency is made again)
//! ```

use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reduction, Thunk};
use gg_worker::Failure;

use crate::attempt::Attempt;
use crate::ids::{EngineIndex, RunId, ThunkId};
use crate::kept::Ended;
use crate::observer::Served;
use crate::schedule::Rank;

/// Where a thunk is in its life; the picture is above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The reduction cache is asked for its name.
    Looking,
    /// Its description is being read.
    Loading,
    /// Some dependencies have not ended.
    Waiting { missing: usize, why: Why },
    /// The reduction cache is asked for its name with all inputs resolved.
    Resolving,
    /// Nothing but an engine is wanted.
    Ready(Rank),
    /// An engine failed; it will be tried again.
    Paused,
    /// An engine has it.
    Running(RunId),
    /// It wrote what may be a graph, which is being read.
    Growing,
    /// It was given up and is wanted again; the engine has not let go of it yet.
    Unwinding,
    /// It failed, and the caller is asked for a replacement.
    Consulting,
    /// A lost object is being brought back by the caller.
    Supplying,
    /// It has an outcome.
    Ended,
}

/// What becomes of a thunk when those it waits for have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It can be resolved and run.
    Inputs,
    /// It can be run, without asking the cache again.
    Again,
    /// It was served from the cache, and ends.
    Served,
    /// Its reduction points to them.
    Chase,
    /// This one runs in its place.
    StandIn(ThunkId),
}

/// One thunk.
#[derive(Debug)]
pub(crate) struct Node {
    pub name: Name,
    pub thunk: Option<Arc<Thunk>>,
    pub kind: Arc<str>,
    pub label: Arc<str>,
    /// Somebody outside of the graph asked for it, and has not taken that back.
    pub wanted: bool,
    /// Somebody blocks, or did, until it has ended; that cannot be taken back.
    pub awaited: bool,
    /// It ended as cancelled since nobody wanted it any more.
    pub given_up: bool,
    /// It was given up, and an engine has not let go of it yet.
    pub lingers: bool,
    /// How often one that it needs was made again: what was found for it before is of another time.
    pub round: u32,
    /// Its result must not outlive this process.
    pub volatile: bool,
    /// It, or one it depends on, is volatile: its name does not tell its result; the name with resolved inputs does.
    pub tainted: bool,
    /// How many programs stated it, one the other's thunk; none did of what a caller added.
    pub depth: u32,
    /// A probe: it is expected to fail.
    pub eager: bool,
    /// Runs in the place of another, and is not reported.
    pub stand_in: bool,
    pub state: State,
    pub outcome: Option<Ended>,
    /// Whether the edges from all its inputs are in the graph.
    pub linked: bool,
    /// Whether its inputs refer to thunks.
    pub depends: bool,
    /// How many edges lead to it, and from it.
    pub dependencies: u32,
    /// See `dependencies`.
    pub dependents: u32,
    /// Its name with all inputs resolved, once that was looked up; most thunks have no inputs to resolve.
    pub key: Option<Box<Name>>,
    /// Whether the cache is ignored.
    pub fresh: bool,
    /// A reduction whose references are not all resolved.
    pub held: Option<Arc<Reduction>>,
    pub served: Served,
    pub reported: bool,
    pub rank: Priority,
    pub tries: Tries,
    pub time: Times,
}

/// How soon it should run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Priority {
    /// Someone waits for it, or for one that depends on it.
    pub urgent: bool,
    /// The expected run time, microseconds.
    pub weight: u64,
    /// The expected time along the longest path to a sink, itself included, microseconds.
    pub path: u64,
    /// The path that its dependencies know of.
    pub passed: u64,
}

/// What has been tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tries {
    /// Executions.
    pub runs: u32,
    /// Failures of the present engine since the last success of any.
    pub broken: u32,
    /// Engines that have failed too often: a bit per engine.
    pub banned: u64,
    /// What came of the engines that are banned, for a person.
    pub trail: Option<Box<str>>,
    /// How its program failed the first time.
    pub failed: Option<Box<Failure>>,
    pub engine: Option<EngineIndex>,
}

/// Where its time went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// Since when it is ready, or running.
    pub since: Duration,
    pub queued: Duration,
    pub ran: Duration,
    /// When it was first ready.
    pub ready: Option<Duration>,
    /// What engines tried, until the observer is told.
    pub log: Vec<Attempt>,
}

impl Node {
    pub fn new(name: Name, thunk: Option<Arc<Thunk>>, kind: Arc<str>, label: &str) -> Self {
        let depends = thunk.as_ref().is_some_and(|thunk| thunk.dependencies().next().is_some());
        let volatile = thunk.as_ref().is_some_and(|thunk| thunk.volatile);
        Self {
            name,
            thunk,
            kind,
            label: label.into(),
            wanted: false,
            awaited: false,
            given_up: false,
            lingers: false,
            round: 0,
            volatile,
            tainted: false,
            depth: 0,
            eager: false,
            stand_in: false,
            state: State::Looking,
            outcome: None,
            linked: false,
            depends,
            dependencies: 0,
            dependents: 0,
            key: None,
            fresh: false,
            held: None,
            served: Served::NotRun,
            reported: false,
            rank: Priority::default(),
            tries: Tries::default(),
            time: Times::default(),
        }
    }

    /// Takes a description that was read later.
    pub fn describe(&mut self, thunk: Arc<Thunk>) {
        self.depends = thunk.dependencies().next().is_some();
        self.volatile |= thunk.volatile;
        self.tainted |= thunk.volatile;
        self.thunk = Some(thunk);
    }

    pub fn ended(&self) -> bool {
        self.outcome.is_some()
    }
}
