//! Why a thunk has no reduction.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Name, Reduction};
use gg_worker::{Failure, Status};

/// How a thunk ended. In the reduction, every reference is a value.
pub type Outcome = Result<Arc<Reduction>, Arc<ThunkFailure>>;

/// Whether a signal ended the program, or a shell or driver between it and us said so: such report 128 plus the signal's
/// number as their exit status (POSIX, Shell Command Language 2.8.2; Linux has 64 signals).
pub(crate) fn by_signal(failure: &Failure) -> bool {
    match failure.status {
        Status::Exited(status) => (129..=192).contains(&status),
        Status::Signalled(_) => true,
        Status::OverTime => false,
    }
}

/// How a program failed, in a few words.
pub(crate) fn summarise(failure: &Failure) -> String {
    match failure.status {
        Status::Exited(0) => {
            let tags: Vec<&str> = failure.missing_outputs.iter().map(|tag| tag.as_str()).collect();
            format!("exit status 0, but not written: {}", tags.join(", "))
        }
        Status::Exited(status) => format!("exit status {status}"),
        Status::Signalled(signal) => format!("killed by signal {signal}"),
        Status::OverTime => {
            let limit = Duration::from_micros(failure.cost.wall_us);
            format!("it was ended after {} s, its limit of time", limit.as_secs_f64())
        }
    }
}

/// A thunk that could not be reduced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {cause}")]
pub struct ThunkFailure {
    /// The thunk.
    pub name: Name,
    /// Why.
    pub cause: Cause,
}

/// Why a thunk could not be reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its program failed, and failed again when it was run once more.
    Program(Box<Failure>),
    /// The program or the thunk itself did what a thunk may not: a file that is no output, a malformed graph,
    /// a program that is not among its inputs. The text says what.
    Breach(String),
    /// A thunk whose outputs it needs failed; this is the one that failed first, whose own cause is not `Dependency`.
    Dependency(Name),
    /// The machinery failed; the text says how, and what to do.
    Infrastructure(String),
    /// It was cancelled, or not started since another had failed.
    Cancelled,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Program(failure) => f.write_str(&summarise(failure)),
            Cause::Dependency(name) => write!(f, "not run, since {name} failed"),
            Cause::Breach(text) | Cause::Infrastructure(text) => f.write_str(text),
            Cause::Cancelled => f.write_str("cancelled"),
        }
    }
}
