//! One try of one thunk on one worker: when it was, how it ended, and where its time went.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a try ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The program succeeded.
    Done,
    /// The program failed.
    Failed,
    /// Another one of the same step was answered first.
    Beaten,
    /// An object that it needs was lost.
    Lost,
    /// The engine or what is behind it failed; nothing is known of the program.
    #[default]
    Broken,
    /// The engine gave the step back.
    Declined,
    /// It was cancelled.
    Cancelled,
}

/// Where the time of a try went, one after the other. What is left of the time from its beginning to its end is the way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// What the step needs went from here to the store.
    pub upload: Duration,
    /// It waited for a worker, which may have had to be started, and was on its way there.
    pub queue: Duration,
    /// The worker got its inputs.
    pub fetch: Duration,
    /// The worker set up the sandbox.
    pub prepare: Duration,
    /// The program ran.
    pub run: Duration,
    /// The worker brought the outputs to the store.
    pub store: Duration,
}

/// One try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The engine's name.
    pub engine: Arc<str>,
    /// Which of the engine's workers it was, from 0, where that is known.
    pub worker: Option<u32>,
    /// When it began, by the coordinator's clock.
    pub sent: Duration,
    /// When it ended.
    pub ended: Duration,
    /// Where the time between went.
    pub phases: Phases,
    /// How it ended.
    pub end: AttemptEnd,
    /// What went wrong, for a person.
    pub trouble: Option<Box<str>>,
    /// It was sent since an earlier one lagged.
    pub duplicate: bool,
    /// The worker was started for it.
    pub cold: bool,
    /// Bytes to the worker: the request, and what the worker took from the store.
    pub bytes_up: u64,
    /// Bytes from the worker: the answer, and what the worker brought to the store.
    pub bytes_down: u64,
}

/// What an engine notes down of one execution; whoever asked for that reads it at the end.
#[derive(Clone, Debug)]
pub struct RunLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Arc<str>,
    /// When it began, by the coordinator's clock and by the system's.
    at: Duration,
    begun: Instant,
    attempts: Mutex<Vec<Attempt>>,
}

impl RunLog {
    /// An empty one for an execution that begins at `at` by the coordinator's clock, which is now.
    pub fn new(engine: Arc<str>, at: Duration) -> Self {
        Self(Arc::new(Inner { engine, at, begun: Instant::now(), attempts: Mutex::default() }))
    }

    /// Notes a try that began then and has ended now; engine and times are filled in.
    pub fn note(&self, begun: Instant, attempt: Attempt) {
        let since = |instant: Instant| self.0.at + instant.saturating_duration_since(self.0.begun);
        let engine = Arc::clone(&self.0.engine);
        let attempt = Attempt { engine, sent: since(begun), ended: since(Instant::now()), ..attempt };
        self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
    }

    /// Takes what was noted; where nothing was, one try from the beginning until `now`.
    pub(crate) fn take(&self, now: Duration) -> Vec<Attempt> {
        let mut attempts = std::mem::take(&mut *self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner));
        if attempts.is_empty() {
            let engine = Arc::clone(&self.0.engine);
            attempts.push(Attempt { engine, sent: self.0.at, ended: now, ..Attempt::default() });
        }
        attempts
    }
}
