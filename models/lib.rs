//! What the command lines of compilers, linkers and their kin read and write.
//!
//! A model turns one [`Call`] (a tool's command line, directory and environment) into a [`Plan`]: either a [`Step`],
//! which names every file that the tool will read and every file that it will write, or the [`Reason`] why the call
//! must run here and now. A model never guesses: what no table row describes is run here. Models know nothing of
//! thunks, stores or engines, and look at the machine only through [`World`].
//!
//! # Layout
//!
//! - `call`: a tool call as its stub saw it
//! - `plan`: what a model answers: steps, reads, writes, reasons
//! - `world`: the one seam to the machine; [`World`] and its in-memory twin for tests

mod call;
mod plan;
mod world;

pub use call::{Call, Environment};
pub use plan::{Plan, Read, Reason, Step, StepKind, Write};
pub use world::{Answer, FileKind, MemoryWorld, World};
