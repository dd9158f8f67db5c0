//! What is asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A program that is to run in a sandbox, and what cannot be seen of what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The program as a shell would be told: a name that PATH leads to, or a path.
    pub program: OsString,
    /// Its arguments, without the program's own name. An interpreter's script is among them.
    pub args: Vec<OsString>,
    /// The directory that relative paths are seen from (absolute).
    pub cwd: PathBuf,
    /// The environment in which names and libraries are looked up: PATH, `LD_LIBRARY_PATH`, `PYTHONPATH` and the like. Of the variables
    /// for locales (`LANG`) only those that the program will have.
    pub env: BTreeMap<OsString, OsString>,
    /// Programs that it starts, as a shell would be told.
    pub programs: Vec<OsString>,
    /// Programs that it may start, or that may be no programs at all: what cannot be captured is left out.
    pub guessed: Vec<OsString>,
    /// Python packages that it imports by names which its text does not show; names of modules or of distributions.
    pub packages: Vec<String>,
    /// Files and whole directories that it opens besides, with what the shared libraries among them need.
    pub also: Vec<PathBuf>,
    /// A directory in which compiled Python modules are kept from capture to capture. It is made if it is not there; captures may share it
    /// at the same time, and it may be deleted between them. With `None`, Python compiles what it imports each time that it starts.
    pub bytecode: Option<PathBuf>,
}

impl Request {
    /// A program without arguments, run in the root directory with an empty environment.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            cwd: "/".into(),
            env: BTreeMap::new(),
            programs: Vec::new(),
            guessed: Vec::new(),
            packages: Vec::new(),
            also: Vec::new(),
            bytecode: None,
        }
    }
}
