//! What is run, and how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use gg_ir::{AbsPath, Cost, Made, Name, Reduction, Reference, Tag, Thunk};

/// One thunk to run.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The thunk's name, as it goes into the reduction.
    pub thunk: &'a Name,
    /// The thunk.
    pub description: &'a Thunk,
    /// For each input that is an output of another thunk: the value that it is.
    pub resolved: BTreeMap<Reference, Name>,
    /// How long the program may run, set-up not counted.
    pub timeout: Duration,
    /// Whether standard output and error are terminals for the program (pseudo-terminals, whose text is kept as it
    /// is), so that it colours what it says as it would on the user's own.
    pub terminal: bool,
}

impl Job<'_> {
    /// Whether `timeout` is the thunk's own limit, and not that of whoever runs it.
    pub(crate) fn is_own_limit(&self) -> bool {
        self.description.timeout.is_some_and(|seconds| self.timeout >= Duration::from_secs(seconds.into()))
    }
}

/// Where the time of a job went, one after the other; what did not happen took none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Getting the inputs together.
    pub fetch: Duration,
    /// Waiting for a worker process.
    pub wait: Duration,
    /// Setting the sandbox up.
    pub prepare: Duration,
    /// The program itself.
    pub run: Duration,
    /// Bringing the outputs into the store.
    pub store: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal that gg did not send.
    Signalled(i32),
    /// gg ended it, since the time was over that its thunk allows.
    OverTime,
}

impl Status {
    /// Whether the program says that it succeeded.
    pub fn success(self) -> bool {
        self == Status::Exited(0)
    }

    /// The exit status that a shell would show: 128 and the signal's number for a signal. 124 for what took too long, as
    /// `timeout` has it (GNU coreutils manual).
    pub fn code(self) -> i32 {
        match self {
            Status::Exited(code) => code,
            Status::Signalled(signal) => 128 + signal,
            Status::OverTime => 124,
        }
    }
}

/// The program's own failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended; [`Status::success`] when only outputs are missing.
    pub status: Status,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// What it cost.
    pub cost: Cost,
    /// The outputs that are not optional and were not written as regular files.
    pub missing_outputs: Vec<Tag>,
    /// The outputs that were written all the same (a `.d` file, say); their values are in the store.
    pub outputs: BTreeMap<Tag, Made>,
    /// Other files that were written, as in [`Reduction::undeclared`].
    pub undeclared: BTreeMap<AbsPath, Made>,
}

/// How a job ended, where it is the program that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0, and all outputs that are not optional were written. The outputs' values are in the store, the
    /// reduction is not recorded there yet.
    Done(Reduction),
    /// The program's own failure.
    Failed(Failure),
}
