//! Counts of what has become of the thunks.

use std::sync::Arc;

use crate::failure::ThunkFailure;

/// How far things are. What is in none of the counts waits for others, or for the cache's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nothing but an engine is wanted.
    pub ready: usize,
    /// Executions that engines have at present.
    pub running: usize,
    /// Executed with success.
    pub done: usize,
    /// Served from the reduction cache.
    pub cached: usize,
    /// Failed or cancelled, or depending on one that did.
    pub failed: usize,
    /// All that are known.
    pub total: usize,
}

/// What became of everything. A thunk that stood in for another counts as well.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// All thunks.
    pub total: usize,
    /// Executed with success.
    pub executed: usize,
    /// Served from the reduction cache.
    pub cached: usize,
    /// Failed, or depending on one that did.
    pub failed: usize,
    /// Cancelled, or not started since another had failed.
    pub cancelled: usize,
    /// Executions of programs, whatever came of them.
    pub runs: usize,
    /// The thunks that failed by themselves, in order; without those that were expected to (`eager`), and those that
    /// stood in for another.
    pub failures: Vec<Arc<ThunkFailure>>,
}
