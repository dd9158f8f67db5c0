//! What can go wrong, and whose fault it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::outcome::{Bytes, Value, values};
use crate::pipe::Pipe;

/// What a fallible call here gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The caller's: a thunk that is none, a file that is not there.
    #[error("{0}")]
    Request(String),
    /// The program of the thunk that was asked for.
    #[error("{}", .0.message)]
    Program(Box<Failure>),
    /// The program of a thunk whose output it needs.
    #[error("{}", .0.message)]
    Dependency(Box<Failure>),
    /// gg's, the machine's or the service's.
    #[error("{0}")]
    Infrastructure(String),
    /// Nobody's: it was cancelled.
    #[error("{0}")]
    Cancelled(String),
    /// `gg` could not be started, or has ended; the text says why.
    #[error("{0}")]
    Gone(String),
}

/// How a program failed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// What happened, to which program, on which input.
    pub message: String,
    /// The thunk's name.
    pub thunk: String,
    /// What a person calls it.
    pub label: String,
    /// The command.
    pub command: Vec<String>,
    /// The paths of what it works on, ten at most.
    pub inputs: Vec<String>,
    /// Its exit status, if it came to that.
    pub status: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether it was ended since its time was over.
    pub timed_out: bool,
    /// Outputs that it did not write.
    pub missing: Vec<String>,
    /// Outputs that it wrote all the same, by tag.
    #[serde(skip)]
    pub outputs: BTreeMap<String, Value>,
    /// What it wrote to standard output.
    pub stdout: Bytes,
    /// What it wrote to standard error.
    pub stderr: Bytes,
}

impl Error {
    /// The error that an answer tells of.
    pub(crate) fn of(value: serde_json::Value, pipe: Option<&Arc<Pipe>>) -> Self {
        let field = |name: &str| value.get(name).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
        let (kind, message) = (field("kind"), field("message"));
        let failure = || {
            let known = serde_json::from_value(value.clone());
            let failure = known.unwrap_or_else(|_| Failure { message: message.clone(), ..Failure::default() });
            let outputs = pipe.and_then(|pipe| values(value.get("outputs")?, pipe)).unwrap_or_default();
            Box::new(Failure { outputs, ..failure })
        };
        match kind.as_str() {
            "program" => Self::Program(failure()),
            "dependency" => Self::Dependency(failure()),
            "cancelled" => Self::Cancelled(message),
            "request" => Self::Request(message),
            _ => Self::Infrastructure(message),
        }
    }
}
