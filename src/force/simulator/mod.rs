//! The simulator: the plan, its graph and its schedule, as they are, on imagined time, against a model of a service that runs
//! functions.
//!
//! # Layout
//!
//! - `recording`: [`Recording`]: a build's graph with its times, and the text that it is kept as; `synthetic`: one that is
//!   made up
//! - `model`: [`Model`]: the service, the store and the client, in figures; `service`: the model at work; `random`: numbers
//!   for it
//! - `scheduling`: [`Scheduling`]: what is compared
//! - `driver`: the loop; `agenda`: what is to happen; `requests`: what the Lambda engine does; `thunks`: recorded steps as
//!   thunks
//! - `calls`: [`SimulatedCall`]: what each call did
//! - `phase`, `chain`: where the time went
//! - `bounds`: [`Bounds`]: what no schedule can beat
//! - `outcome`: [`Simulation`]: what came out
//! - `bare`: [`Bare`]: the plan with nothing around it, to be measured
//!
//! # What is real
//!
//! The plan is the one that builds use: which step is ready, which goes first and when, what follows a failure. So are the
//! rules by which the Lambda engine finds out how many requests it may send, sends those again that lag, and waits before
//! it tries again. The engine itself, the service, the store and the client are models. Batches and chains are modelled
//! here, as no engine does them.

mod agenda;
mod bare;
mod bounds;
mod calls;
mod chain;
mod driver;
mod model;
mod outcome;
mod phase;
mod random;
mod recording;
mod requests;
mod scheduling;
mod service;
mod synthetic;
#[cfg(test)]
mod tests;
mod thunks;

pub use bare::Bare;
pub use bounds::Bounds;
pub use calls::SimulatedCall;
pub use model::{ClientModel, FunctionModel, Model, ModelError, Prices, ScalingModel, StoreModel, TroubleModel};
pub use outcome::{Share, SimulatedStep, Simulation, simulate, simulate_in_detail};
pub use phase::Phase;
pub use recording::{Problem, RecordedStep, Recording, RecordingError};
pub use scheduling::{Scheduling, SchedulingError};
pub use synthetic::{Shape, synthetic};
