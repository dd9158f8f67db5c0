//! Runs thunks on this machine: each in a sandbox that holds its inputs and nothing else.
//!
//! # Layout
//!
//! In the order in which a job goes:
//!
//! - `job`: [`Job`], [`Outcome`]: what is run, and how it ended
//! - `pool`: [`Pool`]: the worker processes of this machine
//! - `plan`: what a sandbox holds, from a thunk's inputs to the steps that a worker takes
//! - `farm`: files and directories of the host that stand for values, fit to be mounted
//! - `visit`: [`Visit`], [`unpack`]: a sandbox for a person
//! - `plain`: running a program where no namespaces are to be had
//! - `process`: one worker process, seen from the pool
//! - `link`, `codec`, `request`, `reply`: what the two say to each other, over a Unix socket; `shelf`: in shared memory
//! - `inside`: [`worker_main`]: the worker process itself
//! - `library`: [`missing_library`]: what loaders say of libraries that are not there
//! - `memory`: how much of it a sandbox may take
//! - `import`: from files that a program wrote to values in the store
//! - `wire`, `remote` (feature `remote`): what gg and a worker far away say to each other; that worker
//! - `cancel`, `error`: [`Cancel`], [`WorkerError`]
//!
//! # What a program finds
//!
//! Its inputs at their paths, and where directories have to be for them; `/tmp`, and `TMPDIR` and the working directory
//! where no input makes them; `/dev` with `null`, `zero`, `full`, `random`, `urandom` and links to its open files; its own
//! `/proc`. No network, not even a loopback that is up. Standard input is `/dev/null`, or the thunk's. It is the user who called gg, without
//! capabilities (root keeps those over its own files). What was mounted is read-only; small inputs, and those that are
//! outputs too, are files of the sandbox's own. When the program ends, everything that it left running is killed.
//!
//! # What comes back
//!
//! The declared outputs, and every other regular file that the program made or changed, also in directories that it made (whoever
//! puts those files in place makes the directories). Not what is in `/tmp` or `TMPDIR`, unless it is the working directory, the
//! directory of an output, or holds inputs; not what is in `/dev` and `/proc`, nor what was mounted, which no program can
//! change. A file whose permission bits and content are what they were has not changed, whatever else was done to it.
//!
//! Of what a program does besides, nothing comes back: empty directories, symbolic links, pipes and sockets that it made,
//! inputs that it removed, times. No known tool depends on that; one that does must be run outside.
//!
//! The sandbox's own files are in memory, at most three quarters of it for each sandbox; an output goes from there into the
//! store in pieces, so it is never in memory twice.
//!
//! Namespace sandboxes need Linux 5.12 and the right to make user namespaces (or root).
//!
//! # The relocated sandbox
//!
//! [`SandboxKind::Relocated`], with the feature `relocated`, is for machines that grant no rights at all: an unprivileged user,
//! a read-only root without compilers or a matching C library, one directory to write to, as on AWS Lambda. What a sandbox holds
//! is laid out as a directory below the scratch directory, with links to what several share; a program is started through the
//! dynamic loader *among its inputs*, with a preloaded library (`stubs/shim`) that maps each path into the sandbox, strips the
//! sandbox's place from what the program is told, and starts children in the same way. Arguments and environment are as the
//! thunk says, the results byte for byte those of the namespace sandbox, at the same cost within a few percent.
//!
//! It reaches what goes through the C library of a dynamically linked program. A step that starts anything else (a static
//! program, one for another processor, one whose loader is not the GNU C library's, one that wants libraries preloaded, or one that
//! finds a library only outside the sandbox) is [`WorkerError::Unfit`], whatever came of it, and is to be run in another kind
//! of sandbox. Needs: Linux 5.6, a scratch directory and store from which programs may be started, a GNU C library of 2.17 or newer
//! in the thunk.
//!
//! What it cannot do: forbid the network, or hide other processes (`/proc` is the machine's own). It keeps tools that mean well
//! apart, not programs that make system calls by themselves: an attacker's program can read and write whatever the worker's user
//! can. The sandbox's files are on the scratch directory's disk, not in memory.

#![warn(clippy::undocumented_unsafe_blocks)]

mod cancel;
mod codec;
mod error;
mod farm;
mod import;
mod inside;
mod job;
mod library;
mod link;
mod memory;
mod plain;
mod plan;
mod pool;
mod process;
#[cfg(feature = "remote")]
pub mod remote;
mod reply;
mod request;
mod shelf;
mod visit;
#[cfg(feature = "remote")]
pub mod wire;

pub use cancel::Cancel;
pub use error::{Result, WorkerError};
pub use inside::{MOST_OUTPUT, worker_main};
pub use job::{Failure, Job, Outcome, Spent, Status};
pub use library::missing_library;
pub use plain::Materialise;
pub use pool::{Pool, PoolConfig, SandboxChoice, SandboxKind};
pub use visit::{Brought, Visit, holds, unpack};

/// The descriptor at which a worker process finds the socket to its pool: its standard input.
pub const SOCKET_FD: std::os::fd::RawFd = 0;
