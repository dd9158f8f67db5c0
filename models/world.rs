//! The one seam between models and the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Environment;
use crate::scan::hash::QuickSet;

/// What a path is, symlinks followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, socket, pipe.
    Other,
}

/// The state of a file, such as its times, length and inode: as long as a path leads to a file in the same state, the file
/// has the same content.
pub type State = [u64; 6];

/// The names in a directory.
pub type Names = QuickSet<OsString>;

/// What a path is, looked at as one that is expected to lead to a regular file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// What it is, symlinks followed; `None` when there is nothing.
    pub kind: Option<FileKind>,
    /// The file's state, where that shows every change since.
    pub state: Option<State>,
    /// The path itself is no symbolic link.
    pub plain: bool,
    /// All this is so for as long as [`Folder::changes`] of the path's directory is this number.
    pub lasts: Option<u64>,
}

/// What is known of a directory.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The names in it, where they are known anyway and surely all: what is not among them is not there. As long as they
    /// stay the same, it is the same allocation.
    pub names: Option<Arc<Names>>,
    /// A number that never comes again once a name in it of which [`Glance::lasts`] was said, there or not, may be something
    /// else; `None` where that would not be known.
    pub changes: Option<u64>,
}

/// What a queried program answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// It exited with status 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// How the standard input of a call in `cwd` is known to its [`World`]: `-` there, which as a path would be `./-`.
pub fn stdin_path(cwd: &Path) -> PathBuf {
    cwd.join("-")
}

/// What models may ask of the machine. Implementations cache, and give the finished content of a file whose
/// placeholder stands in the tree.
pub trait World: Send + Sync {
    /// Whether the call's standard input is known; it is then the file at [`stdin_path`].
    fn has_stdin(&self) -> bool {
        false
    }

    /// What `path` (absolute) is, symlinks followed; `None` when there is nothing.
    fn kind(&self, path: &Path) -> Option<FileKind>;

    /// The same for a path that is expected to lead to a regular file, with all that is known of it.
    fn glance(&self, path: &Path) -> Glance {
        Glance { kind: self.kind(path), ..Glance::default() }
    }

    /// Whether what was read at a path is what the file contains in the state that [`World::glance`] gave.
    fn steady(&self, path: &Path, state: &State) -> bool {
        let _ = (path, state);
        true
    }

    /// The directory that a path leads to, if it leads to one.
    fn folder(&self, path: &Path) -> Option<Folder> {
        (self.kind(path) == Some(FileKind::Directory)).then(Folder::default)
    }

    /// The content of a file.
    ///
    /// # Errors
    /// Whatever the file system says, or the failure of the step that makes the file.
    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>>;

    /// The first `limit` bytes of a file, for telling kinds of files apart; `None` when it is a placeholder whose
    /// content does not exist yet, which this must not force. A placeholder whose output is tagged `thin` begins with
    /// `!<thin>\n` whether it exists yet or not.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn head(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let content = self.read(path)?;
        Ok(Some(content.get(..limit).unwrap_or(&content).to_vec()))
    }

    /// What the model that planned a step wrote down of the output for which a placeholder stands at `path`, symlinks followed
    /// ([`crate::Write::outline`]); `None` for anything else.
    fn outline(&self, path: &Path) -> Option<Arc<[u8]>> {
        let _ = path;
        None
    }

    /// Whether any execute bit of `path` is set, symlinks followed; for a placeholder, whether its output will have it.
    fn executable(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// `path` with every symlink resolved.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;

    /// Runs a real tool for its answer (`gcc -###`, `gcc -M`), with no standard input. Not cached: callers that repeat
    /// a query cache it themselves.
    ///
    /// # Errors
    /// When the program cannot be started.
    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer>;

    /// The same where an earlier answer will do, even an earlier build's: as long as the program has not changed, nor any of the
    /// files and directories that `rests_on` names for that answer, there or not. What fails is not kept, nor that for which it
    /// names none.
    ///
    /// # Errors
    /// When the program cannot be started.
    fn ask_once(
        &self,
        argv: &[OsString],
        cwd: &Path,
        env: &Environment,
        rests_on: &dyn Fn(&Answer) -> Option<Vec<PathBuf>>,
    ) -> io::Result<Answer> {
        let _ = rests_on;
        self.ask(argv, cwd, env)
    }
}

/// A [`World`] in memory, for tests: files by absolute path, directories implied by them, no programs.
#[derive(Clone, Debug, Default)]
pub struct MemoryWorld {
    files: BTreeMap<PathBuf, Arc<[u8]>>,
    /// Placeholders, and what is known of them. What they stand for cannot be read.
    outlines: BTreeMap<PathBuf, Option<Arc<[u8]>>>,
    /// What [`World::ask`] answers, by the argument vector.
    pub answers: BTreeMap<Vec<OsString>, Answer>,
}

impl MemoryWorld {
    /// An empty world.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), content.as_ref().into());
        self
    }

    /// Adds a placeholder; whoever reads it instead of its outline panics.
    #[must_use]
    pub fn with_placeholder(mut self, path: impl Into<PathBuf>, outline: Option<&[u8]>) -> Self {
        let path = path.into();
        self.outlines.insert(path.clone(), outline.map(Arc::from));
        self.with(path, "")
    }
}

/// `path` without `.`, `..` and doubled slashes; right only where there are no symlinks.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

impl World for MemoryWorld {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let path = lexical(path);
        if self.files.contains_key(&path) {
            return Some(FileKind::File);
        }
        self.files.keys().any(|file| file.starts_with(&path)).then_some(FileKind::Directory)
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        assert!(!self.outlines.contains_key(&lexical(path)), "forced {}", path.display());
        self.files.get(&lexical(path)).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn head(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        if self.outlines.contains_key(&lexical(path)) {
            return Ok(None);
        }
        let content = self.read(path)?;
        Ok(Some(content.get(..limit).unwrap_or(&content).to_vec()))
    }

    fn outline(&self, path: &Path) -> Option<Arc<[u8]>> {
        self.outlines.get(&lexical(path))?.clone()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let path = lexical(path);
        let mut names: Vec<OsString> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&path).ok()?.iter().next().map(OsString::from))
            .collect();
        names.dedup();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.kind(path).map(|_| lexical(path)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn ask(&self, argv: &[OsString], _: &Path, _: &Environment) -> io::Result<Answer> {
        self.answers.get(argv).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
