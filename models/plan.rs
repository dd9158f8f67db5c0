//! What a model answers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Environment, State};

/// What is to become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The call is one sealed computation.
    Thunk(Step),
    /// The real tool runs here and now.
    Here(Reason),
}

/// One sealed computation: the call as it was, with all it reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What kind of work this is, for reports and scheduling.
    pub kind: StepKind,
    /// The argument vector to run. The user's own, but for what only this machine can say (`-march=native`).
    pub argv: Vec<OsString>,
    /// The environment variables that the tool may see.
    pub env: Environment,
    /// Everything the tool may read, in no particular order, duplicates allowed. Relative paths are made absolute
    /// against the call's directory (not normalised).
    pub reads: Vec<Read>,
    /// Everything the tool may write.
    pub writes: Vec<Write>,
    /// The result depends on the clock (`__DATE__`, `__TIME__`): never served from the reduction cache of an earlier build.
    pub volatile: bool,
    /// Its result is what it prints (`-E` and `-M` without a file, `--version`) or whether it succeeds (`-o /dev/null`):
    /// whoever called waits for that.
    pub awaited: bool,
    /// An input that is nowhere: the tool will fail, and say so. Where nobody waits for that, it runs here.
    pub missing: Option<PathBuf>,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepKind {
    /// C, C++ and the like to an object or to assembly.
    Compile,
    /// Assembly to an object.
    Assemble,
    /// Preprocessing to a file.
    Preprocess,
    /// A static archive written or indexed.
    Archive,
    /// A program, shared library or relocatable object linked.
    Link,
    /// Sources compiled and linked by one call.
    CompileLink,
    /// Symbols or sections removed or copied.
    Strip,
    /// A question to the tool about itself.
    Query,
    /// A tool described by a data file.
    Other,
}

/// One source of a call that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compilation {
    /// As the call spells it.
    pub source: PathBuf,
    /// What it becomes, absolute; none where that is not kept.
    pub output: Option<PathBuf>,
}

/// Something that a step may read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// A file (a source, header, object, library, linker script, ...). It exists.
    File(PathBuf),
    /// A header or library found below a directory that belongs to the system rather than to the project:
    /// `path` lies below `root` (`/usr/include`), and may be sealed as part of a whole tree.
    System {
        /// The file.
        path: PathBuf,
        /// The system directory it was found in.
        root: PathBuf,
    },
    /// A source or header that the include scanner found.
    Header(Header),
    /// What comes from standard input.
    Stdin,
    /// A directory whose existence matters though nothing in it may (`-I dir`, `-L dir`, the directory of an output).
    /// Ignored where it does not exist.
    Directory(PathBuf),
}

/// A source or header, as the include scanner found it. A scanner that finds a file again gives the same allocations, so
/// their addresses stand for what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Header {
    /// The file.
    pub path: Arc<Path>,
    /// The directory in which it was found.
    pub directory: Arc<Path>,
    /// The state in which it was found, where that shows every later change and the path itself is no symbolic link.
    pub state: Option<State>,
    /// The system directory that it was found in or below, if it was in one: see [`Read::System`].
    pub root: Option<Arc<Path>>,
}

impl Read {
    /// The path of the file or directory.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::System { path, .. } | Self::Directory(path) => Some(path),
            Self::Header(header) => Some(&header.path),
            Self::Stdin => None,
        }
    }
}

/// A file that a step writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// What the output is called within its step: `o`, `d`, `dwo`, `gcno`, `out`, ... (ASCII letters, digits, `.`, `_`, `-`; unique within a step).
    pub tag: String,
    /// Where it goes, absolute (not normalised).
    pub path: PathBuf,
    /// The tool marks it executable (a link without `-r`).
    pub executable: bool,
    /// The tool may leave it out; no placeholder stands for it.
    pub optional: bool,
    /// What is known of its content by now, in the model's own words; whoever plans a step that reads it is given that
    /// while it is a placeholder ([`crate::World::outline`]).
    pub outline: Option<Vec<u8>>,
}

/// Why a call runs here and now. One variant a reason; each is counted and shown by `gg report`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// No table row describes the option.
    #[error("option {0:?} is not known to gg")]
    UnknownOption(String),
    /// `--version`, `-print-*`, `-dumpmachine`, `-###`, ...
    #[error("asks the tool about itself ({0})")]
    Query(String),
    /// An operation that only reads and prints (`ar t`).
    #[error("only reads ({0})")]
    Reads(String),
    /// The output goes to standard output (`-o -`, a listing).
    #[error("writes to standard output")]
    Stdout,
    /// The input comes from standard input (`-`).
    #[error("reads standard input")]
    Stdin,
    /// An output is no regular file (`-o /dev/null`), so only the exit status counts.
    #[error("writes to a device ({0})")]
    Device(String),
    /// There is nothing to do (no input files).
    #[error("has no input files")]
    NoInput,
    /// An input is missing; the tool says it best.
    #[error("input {0:?} does not exist")]
    MissingInput(PathBuf),
    /// The arguments make no sense to the model; the tool says it best.
    #[error("cannot be understood: {0}")]
    Malformed(String),
    /// What is included cannot be known without running the preprocessor, and the preprocessor failed.
    #[error("includes cannot be resolved: {0}")]
    Includes(String),
    /// The result depends on something that cannot be sealed (times of files, the process id, a plugin with side effects).
    #[error("depends on {0}")]
    Unsealable(String),
    /// Standard output and error are one file or pipe, and the tool wrote on both: only itself puts them in order.
    #[error("writes results and messages to one place")]
    Mixed,
    /// The tool is a script or wrapper around another tool.
    #[error("is a wrapper script")]
    Wrapper,
    /// The tool was started by a compiler that runs here itself.
    #[error("is part of a compiler that runs here")]
    PartOfCompiler,
    /// There is no model for this tool.
    #[error("no model for this tool")]
    NoModel,
}
