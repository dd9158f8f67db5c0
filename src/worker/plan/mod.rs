//! What a sandbox holds: from a thunk's inputs to the steps that a worker takes.
//!
//! # Layout
//!
//! - `layers`: [`Layers`]: the inputs laid over one another, as a tree that is read from the store where it has to be
//! - `emit`: the steps that make it real: mounts where one directory of the host will do, files of its own elsewhere

mod emit;
mod layers;

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gg_ir::{AbsPath, Input, Name, Thunk};
use gg_store::Store;

use crate::error::Result;
use crate::farm::Farm;
use crate::request::{Content, Request};
use crate::shelf::{Shelf, Shelves};
use crate::{Job, WorkerError};
use layers::Layers;

/// Makes plans, and remembers what most of them have in common.
#[derive(Debug)]
pub(crate) struct Planner {
    store: Arc<Store>,
    farm: Farm,
    /// Of small values, which many sandboxes hold (headers).
    shelves: Mutex<Shelves>,
}

/// A request and what it refers to.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub request: Request<'static>,
    /// Where its small values lie.
    pub shelf: Option<Arc<Shelf>>,
}

impl Planner {
    /// For sandboxes that are made of mounts, if `mounts`, or of links.
    pub fn new(store: Arc<Store>, mounts: bool) -> Self {
        Self { farm: Farm::new(store.clone(), mounts), store, shelves: Mutex::default() }
    }

    /// The request for a job, with everything that its sandbox holds, small values included.
    pub fn unshelved(&self, job: &Job<'_>) -> Result<Request<'static>> {
        let mut request = self.planned(job, 0, None)?;
        request.stdin = stdin_of(job, &self.store)?;
        Ok(request)
    }

    /// The request for a job, with everything that its sandbox holds but its standard input.
    pub fn request(&self, job: &Job<'_>, memory_limit: u64) -> Result<Planned> {
        let shelf = self.shelves().current();
        Ok(Planned { request: self.planned(job, memory_limit, shelf.as_ref())?, shelf })
    }

    fn planned(&self, job: &Job<'_>, memory_limit: u64, shelf: Option<&Arc<Shelf>>) -> Result<Request<'static>> {
        let function = &job.description.function;
        let mut layers = Layers::new(&self.farm);
        for (path, input) in &job.description.inputs {
            match input {
                _ if Thunk::is_stream(path) => {}
                Input::File { object, mode } => layers.file(path, value_of(job, object)?, *mode)?,
                Input::Tree(name) => layers.tree(path, *name)?,
                Input::Symlink(target) => layers.link(path, target)?,
                Input::Directory => drop(layers.directory(path, 0o755)?),
            }
        }
        let mut temporary = vec![layers.writable(&tmp(), 0o1777)?];
        if let Some(path) = function.env.get("TMPDIR".as_ref() as &std::ffi::OsStr).and_then(|t| AbsPath::new(t).ok()) {
            temporary.push(layers.writable(&path, 0o755)?);
        }
        // Where the program writes for good, nothing is temporary, even if it was told to put temporary files there too.
        let cwd = layers.writable(&function.cwd, 0o755)?;
        temporary.retain(|place| *place != cwd);
        for output in job.description.outputs.values() {
            let place = layers.output(&output.path)?;
            temporary.retain(|temporary| *temporary != place);
        }
        let mut request = bare_request(job, memory_limit);
        request.temporary = temporary;
        request.ops = layers.emit(self, shelf)?;
        Ok(request)
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // Whole at every moment, also when a thread that held it panicked.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a small value, on this shelf if that has room.
    fn small(&self, name: &Name, shelf: Option<&Arc<Shelf>>) -> Result<Content<'static>> {
        if let Some(piece) = shelf.and_then(|shelf| self.shelves().find(shelf, name)) {
            return Ok(Content::Shelved(piece));
        }
        let bytes = self.store.read(name)?;
        let piece = shelf.and_then(|shelf| self.shelves().put(shelf, name, &bytes));
        Ok(piece.map_or_else(|| Content::Owned(bytes), Content::Shelved))
    }
}

fn tmp() -> AbsPath {
    // The path is in the one accepted spelling; the root stands in for what cannot happen.
    AbsPath::new("/tmp").unwrap_or_else(|_| AbsPath::root())
}

/// The value that an input is.
pub(crate) fn value_of(job: &Job<'_>, object: &gg_ir::Reference) -> Result<Name> {
    match object {
        gg_ir::Reference::Value(name) => Ok(*name),
        output => job.resolved.get(output).copied().ok_or_else(|| WorkerError::Unresolved(output.clone())),
    }
}

/// Where the value that is a job's standard input lies; empty for a job without one.
pub(crate) fn stdin_of(job: &Job<'_>, store: &Store) -> Result<OsString> {
    let input = AbsPath::new(Thunk::STDIN).ok().and_then(|path| job.description.inputs.get(&path));
    match input {
        Some(Input::File { object, .. }) => Ok(store.file(&value_of(job, object)?)?.into()),
        _ => Ok(OsString::new()),
    }
}

/// The request for a job, without inputs.
pub(crate) fn bare_request(job: &Job<'_>, memory_limit: u64) -> Request<'static> {
    let function = &job.description.function;
    let env = |(name, value): (&OsString, &OsString)| {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        entry
    };
    Request {
        executable: function.executable.as_path().into(),
        args: function.args.clone(),
        env: function.env.iter().map(env).collect(),
        cwd: function.cwd.as_path().into(),
        umask: function.umask,
        // Beyond five centuries there is no deadline.
        timeout_ns: job.timeout.min(Duration::from_nanos(u64::MAX)).as_nanos() as u64,
        stdin: OsString::new(),
        merged: job.description.is_merged(),
        terminal: job.terminal,
        visit: false,
        memory_limit,
        outputs: job.description.outputs.values().map(|output| output.path.as_path().into()).collect(),
        temporary: Vec::new(),
        ops: Vec::new(),
    }
}
