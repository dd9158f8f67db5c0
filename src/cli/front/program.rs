//! Programs with all that they need, as inputs of a thunk.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use gg_capture::{Captured, Need, Request, capture};
use gg_ir::{AbsPath, Entry, Input, Kind, Name, Reference, Tree};
use gg_store::{Stamp, Store};

use super::bytecode;
use crate::system;

/// A program that was captured, in the store.
#[derive(Debug)]
pub struct Program {
    /// What it is, and what of its needs is not in `inputs`.
    pub captured: Captured,
    /// What a thunk that runs it has as inputs: a tree at `/`, and what lies over parts of that.
    pub inputs: BTreeMap<AbsPath, Input>,
}

/// A program, and the states of its files when it was captured.
struct Known {
    program: Arc<Program>,
    files: Vec<(PathBuf, Stamp)>,
}

/// The programs that were captured, each once, for as long as none of its files has changed.
#[derive(Default)]
pub struct Programs {
    known: Mutex<HashMap<String, Known>>,
}

impl Programs {
    /// A program with all that it needs; `args` are those that follow its name.
    ///
    /// # Errors
    /// When it cannot be captured; the text says which file is at fault.
    pub fn capture(&self, store: &Store, request: &Request) -> Result<Arc<Program>> {
        let request = &Request { bytecode: Some(store.dir().join(bytecode::FOLDER)), ..request.clone() };
        let key = format!("{request:?}");
        if let Some(Known { program, files }) = self.lock().get(&key)
            && files.iter().all(|(path, stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp))
        {
            return Ok(Arc::clone(program));
        }
        let captured = capture(request)?;
        let files = captured.needs.iter().filter(|(_, need)| matches!(need, Need::File(_))).map(|(path, _)| path);
        let files =
            files.filter_map(|path| Some((path.as_path().to_owned(), Stamp::of(path.as_path()).ok()?))).collect();
        let inputs = inputs(store, &captured)?;
        let program = Arc::new(Program { captured, inputs });
        self.lock().insert(key, Known { program: Arc::clone(&program), files });
        Ok(program)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Changed by single calls: whole even if a thread panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tree for all, since thunks are to stay small; what lies over a whole directory beside it.
fn inputs(store: &Store, captured: &Captured) -> Result<BTreeMap<AbsPath, Input>> {
    let mut inputs = BTreeMap::new();
    let mut nodes: Vec<(&AbsPath, &Need)> = Vec::new();
    let mut trees: Vec<&AbsPath> = Vec::new();
    for (path, need) in &captured.needs {
        // What a capture itself writes is for the sandbox to read as well, which looks among the inputs.
        let is_over_tree = trees.iter().any(|tree| path.as_path().starts_with(tree.as_path()));
        if is_over_tree || matches!(need, Need::Text(_)) {
            inputs.insert(path.clone(), input(store, path, need)?);
            continue;
        }
        if matches!(need, Need::Tree(_)) {
            trees.push(path);
        }
        nodes.push((path, need));
    }
    inputs.insert(AbsPath::root(), Input::Tree(tree(store, &nodes, 0)?));
    Ok(inputs)
}

fn input(store: &Store, path: &AbsPath, need: &Need) -> Result<Input> {
    Ok(match entry(store, path, need)? {
        Some(Entry::File { content, mode }) => Input::File { object: Reference::Value(content), mode },
        Some(Entry::Tree(name)) => Input::Tree(name),
        Some(Entry::Symlink(target)) => Input::Symlink(target),
        None => Input::Directory,
    })
}

/// What is at the end of a path; none for an empty directory.
fn entry(store: &Store, path: &AbsPath, need: &Need) -> Result<Option<Entry>> {
    Ok(match need {
        Need::File(file) => {
            let mode = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.mode() & 0o7777;
            Some(Entry::File { content: take_in(store, file)?, mode })
        }
        Need::Text(text) => Some(Entry::File { content: store.put(Kind::Value, text)?, mode: 0o644 }),
        Need::Symlink(target) => Some(Entry::Symlink(target.clone())),
        Need::Tree(subtree) => {
            let name = store.snapshot_without(&subtree.directory, &|path| subtree.leaves_out(path));
            Some(Entry::Tree(name.with_context(|| format!("cannot take in {path}"))?))
        }
        Need::Directory => None,
    })
}

/// The directory that holds `nodes`, all of which have the same first `depth` parts.
fn tree(store: &Store, nodes: &[(&AbsPath, &Need)], depth: usize) -> Result<Name> {
    let mut out = Tree::new();
    let part = |path: &AbsPath| path.components().nth(depth).map(OsString::from).unwrap_or_default();
    for group in nodes.chunk_by(|(a, _), (b, _)| part(a) == part(b)) {
        let [(path, need), ..] = group else { continue };
        let is_leaf = path.components().count() == depth + 1;
        let found = if is_leaf { entry(store, path, need)? } else { None };
        let entry = match found {
            Some(entry) => entry,
            None if is_leaf && group.len() == 1 => Entry::Tree(store.put_tree(&Tree::new())?),
            None => Entry::Tree(tree(store, if is_leaf { &group[1..] } else { group }, depth + 1)?),
        };
        if !out.insert(part(path), entry) {
            bail!("{path} cannot be in a tree; this is a fault of gg");
        }
    }
    Ok(store.put_tree(&out)?)
}

/// The content of a file: that of the system's own stays where it is.
fn take_in(store: &Store, path: &Path) -> Result<Name> {
    if system::holds(path) {
        let (name, stamp) = store.hash(path)?;
        store.note_origin(&name, path, &stamp)?;
        return Ok(name);
    }
    Ok(store.import(path)?.0)
}
