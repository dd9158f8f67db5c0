//! What every engine offers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reduction, Reference, Thunk};
use gg_worker::Failure;

use crate::attempt::RunLog;
use crate::ids::ThunkId;

/// One execution that the coordinator asks for.
#[derive(Clone, Debug)]
pub struct Work {
    /// The thunk's number, by which it can be cancelled.
    pub id: ThunkId,
    /// The thunk's name; the reduction is its.
    pub name: Name,
    /// What to run. Inputs that refer to an optional output which was not written have been left out, so this need not
    /// be the object of that name.
    pub thunk: Arc<Thunk>,
    /// The value of each of the thunk's inputs that is an output of another.
    pub resolved: BTreeMap<Reference, Name>,
    /// How often the thunk has been started before.
    pub earlier: u32,
    /// The kind of step: compile, link, ...
    pub kind: Arc<str>,
    /// The label for a person.
    pub label: Arc<str>,
    /// How long this very step took before, where that is known.
    pub expected: Option<Duration>,
    /// Where the engine notes each try down, if it knows more of it than its beginning and its end.
    pub log: RunLog,
}

/// How one execution ended.
#[derive(Clone, Debug)]
pub enum EngineResult {
    /// The program succeeded; all outputs are in the store.
    Done(Reduction),
    /// The program failed.
    Failed(Failure),
    /// The thunk itself is at fault, not its program's result: it took longer than the thunk allows, or its program is not
    /// among its inputs. The text says what.
    Breach(String),
    /// An object that is needed is not in the store.
    Missing(Name),
    /// An object that is needed is not what its name says.
    Corrupt(Name),
    /// The engine failed, and nothing is known of the program.
    Broken {
        /// What happened, for a person.
        text: String,
        /// Whether the same engine may do better next time.
        again: bool,
    },
    /// This engine cannot run the thunk, by no fault of its program, and need not be asked again: the next one is.
    Declined {
        /// Why, for a person, who is told of each reason once.
        text: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// Where thunks run: processes here, functions in a cloud, or nothing at all in a test.
pub trait Engine: Send + Sync {
    /// Its name for a person: `local`, `lambda`.
    fn name(&self) -> &str;

    /// How many thunks it runs at once. Asked before each round of scheduling, and may change.
    fn capacity(&self) -> usize;

    /// Whether it only takes thunks that every other engine has given back.
    fn is_reserve(&self) -> bool {
        false
    }

    /// Starts an execution and returns at once. `done` is called exactly once, from any thread; one that is dropped
    /// uncalled counts as [`EngineResult::Broken`].
    fn start(&self, work: Work, done: Box<dyn FnOnce(EngineResult) + Send>);

    /// Ends the execution of this thunk, soon: its `done` is still called. Unknown numbers are ignored.
    fn cancel(&self, id: ThunkId);

    /// Ends every execution, and answers later ones with [`EngineResult::Cancelled`].
    fn stop(&self);
}
