//! What calls came to, for the log of a step.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gg_worker::wire::{Response, WorkerReport};

use super::call::CallEnd;
use crate::attempt::{Attempt, AttemptEnd, Phases, RunLog};

/// The functions' workers that have answered, numbered in the order in which they first did.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<HashMap<String, u32>>);

impl Workers {
    fn number(&self, name: &str) -> u32 {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match workers.get(name) {
            Some(&number) => number,
            None => {
                let number = workers.len() as u32;
                workers.insert(name.to_owned(), number);
                number
            }
        }
    }
}

/// One call of a function, as it goes into the log.
pub(super) struct Call {
    pub begun: Instant,
    pub attempt: Attempt,
}

impl Call {
    /// A call that began then and ended now; `sent`: how long its request is, in bytes.
    pub fn ended(begun: Instant, number: usize, sent: u64, end: &CallEnd, workers: &Workers) -> Self {
        let attempt = match end {
            CallEnd::Answer(response, received) => answered(response, begun.elapsed(), (sent, *received), workers),
            CallEnd::Throttled(text)
            | CallEnd::Failed(text)
            | CallEnd::Lost(text)
            | CallEnd::Crashed(text)
            | CallEnd::TooSmall(text)
            | CallEnd::Corrupt(text)
            | CallEnd::Refused(text) => {
                Attempt { bytes_up: sent, trouble: Some(text.as_str().into()), ..Attempt::default() }
            }
            CallEnd::TooLarge => Attempt::default(),
        };
        Self { begun, attempt: Attempt { duplicate: number > 0, ..attempt } }
    }

    /// A call that is not waited for any more, since another one was answered.
    pub fn beaten(begun: Instant, number: usize, sent: u64) -> Self {
        let attempt = Attempt { end: AttemptEnd::Beaten, duplicate: number > 0, bytes_up: sent, ..Attempt::default() };
        Self { begun, attempt }
    }

    /// Counts the time since `prepared`, in which what the step needs was brought to the store, as the call's.
    pub fn prepared(mut self, prepared: Instant) -> Self {
        self.attempt.phases.upload = self.begun.saturating_duration_since(prepared);
        self.begun = prepared;
        self
    }

    /// Writes it down.
    pub fn note(self, log: &RunLog) {
        log.note(self.begun, self.attempt);
    }
}

fn answered(response: &Response, took: Duration, (sent, received): (u64, u64), workers: &Workers) -> Attempt {
    let report: &WorkerReport = &response.report;
    let us = Duration::from_micros;
    let phases = &report.phases;
    Attempt {
        worker: Some(workers.number(&report.worker)),
        cold: report.cold,
        phases: Phases {
            upload: Duration::ZERO,
            queue: took.saturating_sub(us(phases.total)),
            fetch: us(phases.fetch),
            prepare: us(phases.materialise),
            run: us(phases.run),
            store: us(phases.store),
        },
        bytes_up: sent + report.bytes_down,
        bytes_down: received + report.bytes_up,
        end: AttemptEnd::Done,
        ..Attempt::default()
    }
}
