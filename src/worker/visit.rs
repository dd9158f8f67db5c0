//! A person's own visit to a job's sandbox: a program of theirs runs in it, with their streams and at their terminal.
//!
//! Besides the inputs it holds what a visitor brings along: directories of the host, read-only, and small files. As for any
//! program, what was mounted cannot be changed, and what is written there is gone afterwards.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gg_store::Store;

use crate::error::{Result, at};
use crate::inside::{Setup, root};
use crate::plan::Planner;
use crate::process::Process;
use crate::reply::Ended;
use crate::request::{Content, Op, Request, What};
use crate::{Job, SandboxKind, Status, WorkerError, memory};

/// What a visitor brings along. Paths are relative to the sandbox's root; parents come before what they hold.
#[derive(Clone, Debug)]
pub enum Brought {
    /// A directory.
    Directory(PathBuf),
    /// A file with these bytes and permission bits.
    File(PathBuf, Vec<u8>, u32),
    /// A symbolic link with this text.
    Link(PathBuf, PathBuf),
    /// A view of a directory of the host's.
    Host(PathBuf, PathBuf),
}

/// A visit.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Where the inputs' values are.
    pub store: &'a Arc<Store>,
    /// As [`crate::PoolConfig::scratch`].
    pub scratch: &'a Path,
    /// As [`crate::PoolConfig::worker_command`].
    pub worker_command: &'a [OsString],
    /// Whose sandbox it is.
    pub job: &'a Job<'a>,
    /// What is brought along. What stands at the place of an input already is left out.
    pub brought: Vec<Brought>,
    /// The program, as the sandbox knows it.
    pub executable: OsString,
    /// Its arguments, `argv[0]` included.
    pub args: Vec<OsString>,
    /// Its environment, `NAME=value`.
    pub env: Vec<OsString>,
}

impl Visit<'_> {
    /// Runs the program with these three streams; how it ended.
    ///
    /// # Errors
    /// [`WorkerError::NoNamespaces`] where there are none; when an input is not in the store; when the program cannot be started.
    pub fn run(self, streams: [BorrowedFd<'_>; 3]) -> Result<Status> {
        for name in ["root", "dev"] {
            let path = self.scratch.join(name);
            std::fs::create_dir_all(&path).map_err(at("create", path))?;
        }
        let scratch = self.scratch.canonicalize().map_err(at("resolve", self.scratch))?;
        let mut request = Planner::new(self.store.clone(), true).unshelved(self.job)?;
        for thing in self.brought {
            let (path, what) = match thing {
                Brought::Directory(path) => (path, What::Dir { mode: 0o755 }),
                Brought::File(path, bytes, mode) => (path, What::File { mode, content: Content::Owned(bytes) }),
                Brought::Link(path, target) => (path, What::Link { target: target.into() }),
                Brought::Host(path, source) => (path, What::Bind { source: source.into(), directory: true }),
            };
            if !request.ops.iter().any(|op| op.path == *path) {
                request.ops.push(Op { path: path.into(), what });
            }
        }
        (request.executable, request.args, request.env) = (self.executable, self.args, self.env);
        request.visit = true;
        let setup = Setup { kind: SandboxKind::Namespace, scratch, tmpfs_bytes: memory::for_sandbox(), visit: true };
        let mut process = Process::start(self.worker_command, &setup)?.map_err(WorkerError::NoNamespaces)?;
        let executable = self.job.description.function.executable.clone();
        match process.visit(&request.encode(), &streams)? {
            Ended::Ran { status, .. } => Ok(status),
            Ended::CannotStart { errno } => {
                let path = gg_ir::AbsPath::new(&request.executable).unwrap_or(executable);
                Err(WorkerError::cannot_start(path, errno))
            }
            Ended::Setup { step, errno } => Err(WorkerError::sandbox(step, errno)),
            Ended::Died { signal } => Err(WorkerError::Died { what: "sandbox's first process", signal }),
            Ended::Unfit { reason } => Err(WorkerError::Unfit { reason }),
            Ended::TimedOut | Ended::Cancelled => Err(WorkerError::Cancelled),
        }
    }
}

/// Whether the sandbox of a job holds something at a path (relative to its root), as far as that can be told without looking
/// into directories that are mounted whole.
///
/// # Errors
/// When an input is not in the store.
pub fn holds(store: &Arc<Store>, job: &Job<'_>, path: &Path) -> Result<bool> {
    let request = Planner::new(store.clone(), true).unshelved(job)?;
    Ok(request.ops.iter().any(|op| Path::new(&op.path) == path))
}

/// Lays everything that the sandbox of a job holds out as files below `place`, an empty directory, with copies that belong to
/// nobody else. The host's file that is the job's standard input, if it has one.
///
/// # Errors
/// When an input is not in the store, or whatever the file system says.
pub fn unpack(store: &Arc<Store>, job: &Job<'_>, place: &Path) -> Result<Option<PathBuf>> {
    let request: Request<'_> = Planner::new(store.clone(), true).unshelved(job)?;
    let root = File::open(place).map_err(at("open", place))?;
    for op in &request.ops {
        let path = place.join(&op.path);
        match &op.what {
            What::Bind { source, directory: true } => copy_tree(Path::new(source), &path)?,
            What::Bind { source, directory: false } => copy(Path::new(source), &path)?,
            What::Over { source } => {
                std::fs::remove_file(&path).map_err(at("replace", &path))?;
                copy(Path::new(source), &path)?;
            }
            // The owner must be able to fill it; the rest of its bits are its own.
            What::Dir { mode } => {
                let op = Op { path: op.path.clone(), what: What::Dir { mode: mode | 0o700 } };
                root::put(&root, &op).map_err(at("create", &path))?;
            }
            _ => {
                root::put(&root, op).map_err(at("write", &path))?;
            }
        }
    }
    Ok(Some(PathBuf::from(request.stdin)).filter(|path| path.as_os_str() != OsStr::new("")))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(drop).map_err(at("copy to", to))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o755).create(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(at("create", to))?,
    }
    for entry in std::fs::read_dir(from).map_err(at("list", from))? {
        let entry = entry.map_err(at("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let info = entry.metadata().map_err(at("read", &source))?;
        if info.is_dir() {
            copy_tree(&source, &target)?;
        } else if info.is_symlink() {
            let text = std::fs::read_link(&source).map_err(at("read", &source))?;
            symlink(text, &target).map_err(at("link", &target))?;
        } else if info.is_file() {
            copy(&source, &target)?;
        } else {
            let kind = format!("{} is of a kind that is no input (mode {:o})", source.display(), info.mode());
            return Err(at("copy", &source)(io::Error::other(kind)));
        }
    }
    // Its owner must be able to remove it.
    let mode = std::fs::metadata(from).map_err(at("read", from))?.permissions().mode() | 0o700;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).map_err(at("set the permissions of", to))
}
