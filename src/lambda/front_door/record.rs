//! What happened: counts for `GET /_gg/stats`, and a line of the log for each invocation.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::Serialize;

/// One invocation, as it is logged: sizes and times, never what was in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// Its number, from 0.
    pub number: u64,
    /// Its id.
    pub request_id: String,
    /// The function's name.
    pub function: String,
    /// Which place the worker had, from 0, and which worker it was.
    pub place: Option<usize>,
    /// The worker's number, in the order in which workers started.
    pub worker: Option<u64>,
    /// Whether it was the worker's first.
    pub cold: bool,
    /// The HTTP status; 0 where the connection was closed in place of an answer.
    pub status: u16,
    /// What became of the function, where it failed: `Runtime.ExitError`, `Sandbox.Timedout`, ...
    pub error: Option<String>,
    /// What went wrong on purpose.
    pub faults: Vec<&'static str>,
    /// How long it took, milliseconds.
    pub ms: f64,
    /// How long the worker took to start.
    pub init_ms: f64,
    /// The size of the request's body.
    pub bytes_in: u64,
    /// The size of the answer's body.
    pub bytes_out: u64,
}

/// The counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// All invocations, refused ones too.
    pub invocations: u64,
    /// Those that are being worked on.
    pub in_flight: u64,
    /// The most that were worked on at a time.
    pub most_in_flight: u64,
    /// Workers that were started.
    pub cold_starts: u64,
    /// Workers that live.
    pub workers: u64,
    /// Workers that ended by themselves, were killed by a fault or for a time limit.
    pub crashes: u64,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Failed functions, by type.
    pub errors: BTreeMap<String, u64>,
    /// What went wrong on purpose, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Bytes of requests and of answers.
    pub bytes_in: u64,
    /// The same of answers.
    pub bytes_out: u64,
    /// What would have been paid for: milliseconds of all invocations.
    pub billed_ms: u64,
}

/// The log and the counts.
pub struct Record {
    log: Option<Mutex<File>>,
    counts: Mutex<Counts>,
}

impl Record {
    /// Begins with nothing; the log file is added to.
    pub fn new(log: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("cannot write the log {}", path.display()))
        };
        Ok(Self { log: log.map(open).transpose()?.map(Mutex::new), counts: Mutex::default() })
    }

    /// The counts, to be read or changed.
    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An invocation has ended.
    pub fn ended(&self, line: &Line) {
        let mut counts = self.counts();
        counts.invocations += 1;
        *counts.statuses.entry(line.status).or_default() += 1;
        if let Some(error) = &line.error {
            *counts.errors.entry(error.clone()).or_default() += 1;
        }
        for fault in &line.faults {
            *counts.faults.entry(fault).or_default() += 1;
        }
        counts.bytes_in += line.bytes_in;
        counts.bytes_out += line.bytes_out;
        if line.worker.is_some() {
            counts.billed_ms += line.ms.ceil() as u64;
        }
        drop(counts);
        if let Some(log) = &self.log {
            let mut text = serde_json::to_vec(line).unwrap_or_default();
            text.push(b'\n');
            // A log that cannot be written is no reason to stop.
            let _ = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        }
    }
}
