//! What a server is told when it starts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::SandboxChoice;

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A directory of its own, made where it is missing; on no path of a thunk.
    pub scratch: PathBuf,
    /// The most bytes that it may take there; without it, all but a reserve of the file system.
    pub scratch_bytes: Option<u64>,
    /// The one remote store that requests may name, as a URI. `None` allows any.
    pub store: Option<String>,
    /// Which kind of sandbox programs run in.
    pub sandbox: SandboxChoice,
    /// How many programs run at once.
    pub processes: usize,
    /// The memory that it has, MiB; 0 where that is not known.
    pub memory_mib: u64,
    /// How long before the function's deadline programs are ended, so that there is time left to say so.
    pub margin: Duration,
    /// The command that starts a worker process; see [`crate::PoolConfig::worker_command`].
    pub worker_command: Vec<OsString>,
}
