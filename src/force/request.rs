//! What a caller asks for.

use std::sync::Arc;

use gg_ir::{Name, Thunk};

/// A thunk to evaluate.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name.
    pub name: Name,
    /// Its description; read from the store when it is not given and the cache does not know the thunk.
    pub thunk: Option<Arc<Thunk>>,
    /// The kind of step, for statistics: `compile`.
    pub kind: String,
    /// What to show a person; also what past run times are found by.
    pub label: String,
    /// Never take it from the cache, nor keep its reduction beyond this process.
    pub volatile: bool,
    /// A probe, whose failure is an answer: it is not confirmed by another run, and does not stop the build.
    pub eager: bool,
    /// Evaluate it anew if it, or what it needs, has failed in this run, or its name does not tell its result: for a caller who
    /// asks again later, when a disk has room again, or another day has begun.
    pub anew: bool,
}
