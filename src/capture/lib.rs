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
//!   `/etc/ld.so.cache` only where a library is found through nothing else. Where libraries lie in directories of their own, an
//!   `/etc/ld.so.conf` that lists those: no program reads it, but the relocated sandbox of `gg-worker` does. Of a static program,
//!   nothing more.
//! - Of a script: its interpreter, through any number of `#!` lines that Linux follows, and what `env` (also `env -S`) finds by PATH.
//! - The locales that the environment names, and `C.UTF-8`. So it is the program's environment that has to name them.
//! - What the [`Request`] names besides: programs that are started, Python packages that are imported by name, and files and directories.
//!   Shared libraries among those come with what they need.
//! - What links in whole directories lead to: files and libraries, and directories outside as far as they are small together (10,000
//!   entries, 64 MiB). Others, and directories that enclose the link, are a [`Note`]: name them, if they are needed.
//! - The links on the way to the working directory, and those from `/bin` and the like into `/usr` where what they lead to is there: a
//!   program that is found as `/usr/bin/sh` is often started as `/bin/sh`.
//!
//! # Interpreters
//!
//! Of some interpreters more is taken, for nothing runs without it:
//!
//! - perl: the directories of `@INC`; those of `PERL5LIB` are told to it.
//! - Python 3.9 and newer (a program called `python`, perhaps with a version, or a script called so that starts one, as pyenv's shims are):
//!   - the interpreter that `sys.executable` is, with `pyvenv.cfg` and the base interpreter of a virtual environment;
//!   - the standard library as one tree, without compiled modules; `test`, `ensurepip`, `idlelib`, `turtledemo` and `tkinter` only if they
//!     are imported;
//!   - what the script, the module (`-m`) or the text (`-c`) imports, by the texts and through them: also inside of functions, by
//!     `importlib.import_module("NAME")`, and `sitecustomize`;
//!   - of the program's own modules (beside the script, in the working directory, in `PYTHONPATH`, and where its own texts make
//!     `sys.path` lead): the files of those that are imported; the whole package where it is named in [`Request::packages`]. Changes
//!     of `sys.path` are followed in the order in which they stand, as far as they can be told from literals, `__file__`, `os.path` and
//!     `pathlib`; others are a [`Note`];
//!   - of what is installed: whole distributions with all that their records name in the directory of packages (packages, `NAME.libs`, metadata,
//!     `.pth` files), and the distributions that they require; what is there without a record: the whole package; what is installed for
//!     development: the whole package, with the `.pth` file or finder that leads there;
//!   - with all extension modules and shared libraries in there, what these are loaded with. One that lacks a library is a [`Note`], and
//!     fails when it is imported, as here;
//!   - compiled modules of all that, without times, so that they are valid and the same everywhere, if [`Request::bytecode`] says where
//!     they are kept: by them numpy is imported in a third of the time. They are a function of the text, its path and Python's release.
//!
//!   It is told `PYTHONDONTWRITEBYTECODE=1`, or compiled modules would be among what a program wrote, and `PYTHONHASHSEED=0`, or the
//!   order of sets, and with it outputs, would differ between runs of one and the same thunk; unless the request's environment
//!   says otherwise.
//!
//! # What is not captured
//!
//! - Programs that a program or shell script starts: name them ([`Request::programs`]).
//! - Python modules whose names are computed, and what a text on standard input imports: name them ([`Request::packages`]). Files that a program's own packages read (their data):
//!   they are the caller's inputs. What distributions install outside of the directory of packages (`share`, `bin`). Archives are taken, but
//!   what the modules inside import is found only if Python's own loader reads their texts.
//! - What is loaded by name at run time (`dlopen`): plugins, `libnss_*`, character sets (`gconv`), Python's `ctypes`: name the files
//!   ([`Request::also`]).
//! - Data: `/etc/passwd`, `/etc/localtime` (local time is UTC), `/usr/share`, CA certificates, the files that the program reads: these are
//!   the caller's inputs.
//! - `LD_PRELOAD`.
//!
//! `LD_LIBRARY_PATH` is told to the program only if the loader finds something else by it than without.
//!
//! A script is told its absolute path, whatever it was asked for by, since that is what is executed.
//!
//! # Layout
//!
//! - `request`: [`Request`]: what is asked for
//! - `captured`: [`Captured`], [`Note`]: the answer; `sight`: [`Sight`]: whether it is still so
//! - `places`: [`Need`], [`Subtree`]: what stands at which path, links on the way included
//! - `lookup`: which file a name leads to; `script`: who runs a script
//! - `gather`: a capture under way: programs and scripts; `objects`: ELF programs, libraries, trees with libraries in them
//! - `interpreters`: what interpreters answer about themselves; `python`: that one
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
mod sight;

pub use captured::{Captured, Note};
pub use error::CaptureError;
pub use places::{Need, Subtree};
pub use request::Request;
pub use sight::Sight;

/// Finds what a program needs.
///
/// # Errors
/// [`CaptureError`], whose text says what is wrong with which file and what to do: the program or something that it surely needs is
/// not there, or cannot be started on this machine.
pub fn capture(request: &Request) -> Result<Captured, CaptureError> {
    gather::capture(request).1
}

/// The same, with how many of the arguments decided that, as [`Captured::decisive`] says it: also for what cannot be captured, so that
/// a command with many items is not tried for each.
///
/// # Errors
/// As [`capture`].
pub fn capture_counting(request: &Request) -> (usize, Result<Captured, CaptureError>) {
    gather::capture(request)
}
