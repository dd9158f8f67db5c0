//! Forcing: a graph of thunks, which may still grow, is evaluated on engines.
//!
//! # Layout, from what is asked for to who does it
//!
//! - `request`, `failure`, `observer`, `progress`, `snapshot`: what goes in and what comes out
//! - `coordinator`: [`Coordinator`]: what a caller sees
//! - `shell`, `clerks`: the threads behind it, which decide nothing
//! - `plan`: the state machine behind it, events in and commands out, without threads and I/O
//!   - `node`: one thunk, with a picture of its life; `kept`: what it came to
//!   - `evaluate`: its way when all goes well; `retry`: when a program or an engine fails; `repair`: when an object is
//!     lost; `outcome`: how it ends
//!   - `graph`: who needs whom, and the longest path from each thunk to a sink
//!   - `growth`: graphs that programs write in place of outputs
//!   - `schedule`: who picks the next thunk, and where it runs
//! - `attempt`: [`Attempt`]: what one try came to, for whoever reports on a build
//! - `policy`, `history`: the figures it goes by; `limit`: how many requests at once; `pace`: when one lags
//! - `engine`: [`Engine`]: where thunks run; `local`: on this machine; `lambda`: as calls of an AWS Lambda function (feature `lambda`)
//! - `ledger`: [`Ledger`]: what is asked of the store
//! - `clock`: [`Clock`]: time, real or imagined
//! - `simulator`: [`simulator::simulate`]: the plan on imagined time, against a model of a service
//!
//! # What is cached under which name
//!
//! A thunk's name tells its result only where nothing that it depends on is volatile. A thunk with thunks among its
//! inputs is therefore looked up, and kept, under two names: its own, and that of itself with all inputs resolved to
//! values. The second finds a link whose objects were compiled again and came out the same; and it alone is used
//! where something below is volatile.

#[cfg(test)]
mod again;
mod attempt;
#[cfg(test)]
mod chaos;
mod clerks;
mod clock;
mod coordinator;
mod engine;
mod evaluate;
mod failure;
mod graph;
#[cfg(test)]
mod growing;
mod growth;
mod history;
mod ids;
mod kept;
#[cfg(feature = "lambda")]
mod lambda;
mod ledger;
mod limit;
mod local;
mod node;
mod observer;
mod outcome;
mod pace;
mod plan;
mod policy;
mod progress;
mod repair;
mod request;
mod retry;
#[cfg(test)]
mod scenarios;
mod schedule;
mod shell;
pub mod simulator;
mod snapshot;
#[cfg(test)]
mod threads;
mod withdraw;
#[cfg(test)]
mod world;

pub use attempt::{Attempt, AttemptEnd, Phases, RunLog};
pub use clock::{Clock, RealClock, VirtualClock};
pub use coordinator::{Config, Coordinator, OnFailure, Resupply, StartError};
pub use engine::{Engine, EngineResult, Work};
pub use failure::{Cause, Outcome, ThunkFailure};
pub use gg_worker::{Failure, Status};
pub use history::History;
pub use ids::ThunkId;
#[cfg(feature = "lambda")]
pub use lambda::{Account, LambdaEngine, LambdaError, LambdaOptions, NotMet, Tally, Visit, visit};
pub use ledger::{Ledger, LedgerError};
pub use local::{LocalEngine, LocalOptions};
pub use observer::{Finished, NoObserver, Observer, Served};
pub use policy::{Order, Policy};
pub use progress::{Progress, Summary};
pub use request::Request;
pub use snapshot::{Running, Snapshot};
