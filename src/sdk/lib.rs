//! Thunks for Rust programs: state computations, and let gg force them, here or on thousands of cloud functions.
//!
//! A [`Thunk`] is one run of a program on exactly the inputs that it names. A [`Session`] talks to a `gg` of its own
//! (`docs/api.md`), which captures the program with all that it needs, runs the thunk in a sandbox, or serves what is known
//! already. Outputs of thunks can be inputs of others: what is forced is a graph, in parallel.
//!
//! ```no_run
//! use gg_sdk::{Session, Thunk};
//!
//! let session = Session::start()?;
//! let words = Thunk::program("sh")
//!     .programs(["wc"])
//!     .args(["-c", "wc -w </w/text >/w/count"])
//!     .input("/w/text", "to be or not to be")
//!     .output("count", "/w/count");
//! let double = Thunk::program("sh")
//!     .args(["-c", "read n </w/n; echo $((n * 2)) >/w/twice"])
//!     .input("/w/n", words.output_of("count"))
//!     .output("twice", "/w/twice");
//! let done = session.force(&double)?;
//! assert_eq!(done.outputs["twice"].text()?, "12\n");
//! # Ok::<(), gg_sdk::Error>(())
//! ```
//!
//! [`Session::submit`] does not wait: a [`Pending`] is a [`Future`], and can be waited for without a runtime as well. A program that
//! runs as a thunk states further thunks with a [`Graph`].
//!
//! The tests of this crate's examples run with the built `gg`, in `tests/sdk.rs` of the project.
//!
//! # Layout
//!
//! - `session`: [`Session`], [`Options`]; `pipe`: the `gg` behind it
//! - `thunk`: [`Thunk`], [`Input`]: what is stated; `stating`: what becomes of that before it is sent
//! - `outcome`: [`Outcome`], [`Value`]: what it came to; `pending`: [`Pending`]
//! - `graph`: [`Graph`], for programs that run as thunks
//! - `error`: [`Error`], [`Failure`]

mod error;
mod graph;
mod outcome;
mod pending;
mod pipe;
mod session;
mod stating;
mod thunk;

pub use error::{Error, Failure, Result};
pub use gg_recipe::{Recipe, Source, Text};
pub use graph::Graph;
pub use outcome::{Outcome, Value};
pub use pending::Pending;
pub use session::{Options, Session};
pub use thunk::{Input, Thunk};
