//! Thunks that are stated by hand, or by a program, rather than by a build: recipes of this machine, and what forces them.
//!
//! - `host`: what the sources of a recipe stand for here: files, directories, placeholders
//! - `program`: programs with all that they need
//! - `stated`: from recipes to thunks in the store
//! - `forcer`: a coordinator whose results go to whoever asked for them
//! - `job`: a command as a thunk, as a person states it; `template`: many alike; `bench`: where they are worked on
//! - `bytecode`: compiled Python modules that captures have left
//! - `failure`: what went wrong with a thunk, in words that name its program and its input

mod bench;
pub mod bytecode;
mod failure;
mod forcer;
mod host;
mod job;
mod program;
mod stated;
mod template;

pub use bench::Bench;
pub use failure::{Failed, FailureKind};
pub use forcer::{Ended, Forcer};
pub use host::{Host, Taken};
pub use job::{Job, JobArgs};
pub use program::{Found, Programs};
pub use stated::{Place, Stated, environment, source, state, state_each, state_one};
pub use template::{fill, names_item};
