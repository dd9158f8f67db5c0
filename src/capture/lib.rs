//! Finds what a program needs around it to run in a sandbox that holds its inputs and nothing else.
//!
//! [`capture`] takes a [`Request`] (a program by name or path, its arguments, directory and environment) and gives a
//! [`Captured`]: what is to be executed, what has to stand at which absolute path, and the few variables that the program must be
//! given. It executes nothing but dynamic loaders (`--list`) and the interpreters of [what is listed below](#interpreters), uses no
//! network, and gives the same answer for the same files, whatever processor it runs on.
//!
//! # What is captured
//!
//! - The program, at the path by which it is executed, with every symbolic link and every directory that is climbed through on the
//!   way (`/bin -> usr/bin`, `/etc/alternatives`), as links. So it is with all that follows.
//! - Of an ELF program: its loader, and its shared libraries as that loader finds them (`RPATH`, `RUNPATH`, `$ORIGIN`,
//!   `LD_LIBRARY_PATH`), transitively; the builds of these libraries for newer and older processors (`glibc-hwcaps`);
//!   `/etc/ld.so.cache` only where a library is found through nothing else. Of a static program, nothing more.
//! - Of a script: its interpreter, through any number of `#!` lines that Linux follows, and what `env` (also `env -S`) finds by PATH.
//! - The locales that the environment names, and `C.UTF-8`.
//! - What the [`Request`] names besides: programs that are started, Python packages that are imported by name, and files and directories.
//!   Shared libraries among those come with what they need.
//! - The links on the way to the working directory.
//!
//! # Interpreters
//!
//! Of some interpreters more is taken, for nothing runs without it:
//!
//! - perl: the directories of `@INC`.
//!
//! # What is not captured
//!
//! - Programs that a program or shell script starts: name them ([`Request::programs`]).
//! - What is loaded by name at run time (`dlopen`): plugins, `libnss_*`, character sets (`gconv`), Python's `ctypes`: name the files
//!   ([`Request::also`]).
//! - Data: `/etc/passwd`, `/etc/localtime` (local time is UTC), `/usr/share`, CA certificates, the files that the program reads: these are
//!   the caller's inputs.
//! - `LD_PRELOAD`.
//!
//! # Layout
//!
//! - `request`: [`Request`]: what is asked for
//! - `captured`: [`Captured`], [`Note`]: the answer
//! - `places`: [`Need`], [`Subtree`]: what stands at which path, links on the way included
//! - `lookup`: which file a name leads to; `script`: who runs a script
//! - `gather`: a capture under way: programs and scripts; `objects`: ELF programs, libraries, trees with libraries in them
//! - `interpreters`: what interpreters answer about themselves
//! - `disk`: the machine as the models of `gg-models` ask about it
//! - `error`: [`CaptureError`]

mod captured;
mod disk;
mod error;
mod gather;
mod interpreters;
mod lookup;
mod objects;
mod places;
mod python;
mod request;
mod script;

pub use captured::{Captured, Note};
pub use error::CaptureError;
pub use places::{Need, Subtree};
pub use request::Request;

/// Finds what a program needs.
///
/// # Errors
/// [`CaptureError`], whose text says what is wrong with which file and what to do: the program or something that it surely needs is
/// not there, or cannot be started on this machine.
pub fn capture(request: &Request) -> Result<Captured, CaptureError> {
    gather::capture(request)
}
