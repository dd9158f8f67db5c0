//! What the requests came to, for the report and the bill.

use std::sync::{Mutex, PoisonError};

use gg_worker::wire::{Phases, WorkerReport};

/// What an engine's requests came to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: u64,
    /// Answers that counted.
    pub answers: u64,
    /// Requests that the service refused as too many.
    pub throttled: u64,
    /// Requests that the service failed.
    pub failed: u64,
    /// Requests whose function crashed, or was ended for memory or time.
    pub crashed: u64,
    /// Connections that were lost.
    pub lost: u64,
    /// Answers that were not what they should be.
    pub corrupt: u64,
    /// Requests that were sent a second time since the first lagged.
    pub duplicated: u64,
    /// Duplicates whose answer came first.
    pub duplicates_won: u64,
    /// Times that objects had to be uploaded again, since they were gone or damaged.
    pub uploaded_again: u64,
    /// Steps that were given back, for another engine.
    pub given_back: u64,
    /// Workers that were started for a request.
    pub cold: u64,
    /// Time that functions took, milliseconds, each rounded up, as it is billed.
    pub billed_ms: u64,
    /// The same times the function's memory: MiB times milliseconds.
    pub mib_ms: u64,
    /// Where that time went, in microseconds.
    pub phases: Phases,
    /// Requests of workers to the store.
    pub store_requests: u64,
    /// Those of them that wrote an object.
    pub stored: u64,
    /// Bytes that workers took from the store.
    pub bytes_down: u64,
    /// Bytes that workers brought to the store.
    pub bytes_up: u64,
    /// Bytes of requests to the service.
    pub sent: u64,
    /// Bytes of its answers.
    pub received: u64,
}

impl Tally {
    /// Adds what one worker reports.
    pub(crate) fn add(&mut self, report: &WorkerReport, memory_mib: u64) {
        let billed = report.phases.total.div_ceil(1000).max(1);
        self.answers += 1;
        self.cold += u64::from(report.cold);
        self.billed_ms += billed;
        self.mib_ms += billed * if report.memory_mib > 0 { report.memory_mib } else { memory_mib };
        self.phases.fetch += report.phases.fetch;
        self.phases.materialise += report.phases.materialise;
        self.phases.run += report.phases.run;
        self.phases.store += report.phases.store;
        self.phases.total += report.phases.total;
        self.store_requests += report.requests;
        self.bytes_down += report.bytes_down;
        self.bytes_up += report.bytes_up;
    }
}

/// A tally that many tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<Tally>);

impl Tallies {
    pub fn count(&self, add: impl FnOnce(&mut Tally)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn read(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
