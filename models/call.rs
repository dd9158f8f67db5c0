//! A tool call as its stub saw it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The environment of a call; the session has already dropped what no tool reads.
pub type Environment = BTreeMap<OsString, OsString>;

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The real tool as PATH finds it: absolute, symlinks not resolved (`/usr/bin/cc`).
    pub tool: PathBuf,
    /// The whole argument vector, `argv[0]` (as the caller spelled it) included.
    pub argv: Vec<OsString>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The environment.
    pub env: Environment,
}

impl Call {
    /// The arguments without `argv[0]`.
    pub fn args(&self) -> &[OsString] {
        self.argv.get(1..).unwrap_or_default()
    }

    /// `path` made absolute against the working directory; `.` and `..` stay as they are, since removing `..` before
    /// symlinks are resolved changes what a path means.
    pub fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.cwd.join(path)
    }

    /// The value of an environment variable.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}
