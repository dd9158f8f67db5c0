//! Why a job could not be run to the program's own end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gg_ir::{AbsPath, Name, Reference};
use gg_store::StoreError;

/// A result of the worker.
pub type Result<T, E = WorkerError> = std::result::Result<T, E>;

/// Why a job did not end by the program's own doing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// An input is not in the store; make or fetch it, then run the job again.
    #[error("input {0} is not in the store")]
    Missing(Name),
    /// An input was damaged in the store and has been set aside; make or fetch it, then run the job again.
    #[error("input {0} was damaged in the store and has to be made again")]
    Corrupt(Name),
    /// The worker process or the sandbox's first process died: infrastructure, not the program. Running the job again
    /// may help.
    #[error("the {what} died{}; run the step again", signal.map(|s| format!(" by signal {s}")).unwrap_or_default())]
    Died {
        /// Which process.
        what: &'static str,
        /// The signal, where it is known.
        signal: Option<i32>,
    },
    /// The deadline passed; everything that the program started was killed.
    #[error("the program was killed after {} s, its time limit", after.as_secs_f64())]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// Memory did not suffice to set the sandbox up.
    #[error("out of memory while {step}: run fewer steps at once")]
    OutOfMemory {
        /// What was being done.
        step: String,
    },
    /// The caller cancelled the job; everything that the program started was killed.
    #[error("cancelled")]
    Cancelled,
    /// The program could not be started at all.
    #[error("{path} cannot be started in the sandbox: {source}; {hint}")]
    CannotStart {
        /// The thunk's executable.
        path: AbsPath,
        /// What `execve` said.
        source: io::Error,
        /// What that usually means.
        hint: &'static str,
    },
    /// An input that is an output of another thunk, without the value that it is.
    #[error("input {0} has not been computed yet")]
    Unresolved(Reference),
    /// The inputs contradict one another.
    #[error("input {path}: {why}")]
    Conflict {
        /// The input's path.
        path: AbsPath,
        /// What is wrong.
        why: &'static str,
    },
    /// Without namespaces a step sees the real files, and this one is not what the step was recorded with.
    #[error(
        "{path} is not the file that the step was recorded with, and without a sandbox nothing else can stand there"
    )]
    InputDiffers {
        /// The input's path.
        path: AbsPath,
    },
    /// A step of setting a sandbox up failed.
    #[error("cannot set a sandbox up: {step}: {source}")]
    Sandbox {
        /// What was tried, on what.
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// Namespaces were demanded and are not to be had; or, once a pool runs, not for one more worker process.
    #[error("no namespace sandbox: {0}")]
    NoNamespaces(String),
    /// No kind of sandbox that was demanded is to be had; or, once a pool runs, not for one more worker process.
    #[error("no sandbox: {0}")]
    NoSandbox(String),
    /// The step uses something that the relocated sandbox cannot show its files to, so it has to run in another kind of
    /// sandbox, or locally. Whatever it wrote was thrown away.
    #[error("the step cannot run in a relocated sandbox: {reason}")]
    Unfit {
        /// What, and why.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// Any other error of the system.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { name } => Self::Missing(name),
            StoreError::Corrupt { name, .. } => Self::Corrupt(name),
            other => Self::Store(other),
        }
    }
}

impl WorkerError {
    /// Whether the same job may well succeed when it is simply run again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Died { .. } | Self::OutOfMemory { .. } | Self::NoNamespaces(_) | Self::NoSandbox(_) => true,
            Self::Sandbox { source, .. } => source.raw_os_error() == Some(libc::EAGAIN),
            _ => false,
        }
    }

    pub(crate) fn sandbox(step: String, errno: i32) -> Self {
        if matches!(errno, libc::ENOMEM | libc::ENOSPC) {
            return Self::OutOfMemory { step };
        }
        Self::Sandbox { step, source: io::Error::from_raw_os_error(errno) }
    }

    pub(crate) fn cannot_start(path: AbsPath, errno: i32) -> Self {
        let hint = match errno {
            libc::ENOENT => "it, or the loader or interpreter that it names, is not among the step's inputs",
            libc::EACCES => "it is not an executable file",
            libc::ENOEXEC => "it is in no format that this machine runs",
            libc::E2BIG => "its arguments and environment are longer than the system allows",
            _ => "the same command outside the sandbox shows whether the file is at fault",
        };
        Self::CannotStart { path, source: io::Error::from_raw_os_error(errno), hint }
    }
}

/// For `map_err`: what was tried, on what.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> WorkerError {
    let path = path.into();
    move |source| WorkerError::Io { action, path, source: source.into() }
}
