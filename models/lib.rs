//! What the command lines of compilers, linkers and their kin read and write.
//!
//! A model turns one [`Call`] (a tool's command line, directory and environment) into a [`Plan`]: either a [`Step`],
//! which names every file that the tool will read and every file that it will write, or the [`Reason`] why the call
//! must run here and now. A model never guesses: what no table row describes is run here. Models know nothing of
//! thunks, stores or engines, and look at the machine only through [`World`].
//!
//! # Layout
//!
//! - `dispatch`: [`Models`]: which model a tool's name leads to
//! - `driver`: gcc, clang and their kin; `response`: their response files
//! - `scan`: what sources include
//! - `binutils`: ld, ar, as, strip, objcopy, ranlib, nasm; `args`: their option tables
//! - `tools`: tools that a data file describes
//! - `toolchain`: [`Toolchain`]: what a tool needs around it to run
//! - `call`: a tool call as its stub saw it
//! - `plan`: what a model answers: steps, reads, writes, reasons
//! - `world`: the one seam to the machine; [`World`] and its in-memory twin for tests

pub mod args;
pub mod binutils;
mod call;
mod dispatch;
pub mod driver;
mod plan;
mod queries;
pub mod response;
pub mod scan;
pub mod toolchain;
pub mod tools;
mod world;

pub use call::{Call, Environment};
pub use dispatch::{Models, ToolNames};
pub use plan::{Compilation, Header, Plan, Read, Reason, Step, StepKind, Write};
pub use toolchain::Toolchain;
pub use tools::ToolError;
pub use world::{Answer, FileKind, Folder, Glance, MemoryWorld, Names, State, World, stdin_path};
