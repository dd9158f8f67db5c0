//! Programs with all that they need, as inputs of a thunk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use gg_capture::{Captured, Need, Note, Request, Sight, capture_counting};
use gg_ir::{AbsPath, Entry, Input, Kind, Name, Reference, Tree};
use gg_store::Store;

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

/// A program, and the argument vector that it was asked for with.
pub struct Found {
    /// The program.
    pub program: Arc<Program>,
    /// Its name and arguments.
    pub args: Vec<OsString>,
}

/// Programs by what was asked for but for its arguments, and then by those arguments that decided what is needed
/// ([`Captured::decisive`]). So a command that is stated with a hundred thousand items is captured once.
struct Known<T>(HashMap<Request, BTreeMap<usize, ByArgs<T>>>);

/// By the first arguments, as many as decided; none where there were no more.
type ByArgs<T> = HashMap<Vec<Option<OsString>>, T>;

/// Programs that were captured in one moment, or why they could not be.
type Moment = Known<Result<Arc<Program>, String>>;

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Known<T> {
    /// `request` is without arguments.
    fn get(&self, request: &Request, args: &[OsString]) -> Option<T> {
        let known = self.0.get(request)?;
        known.iter().find_map(|(count, programs)| programs.get(&decisive(args, *count)).cloned())
    }

    fn put(&mut self, request: &Request, args: &[OsString], count: usize, program: T) {
        let known = self.0.entry(request.clone()).or_default();
        known.entry(count).or_default().insert(decisive(args, count), program);
    }
}

fn decisive(args: &[OsString], count: usize) -> Vec<Option<OsString>> {
    (0..count).map(|at| args.get(at).cloned()).collect()
}

/// As many programs of earlier moments are kept; each is some hundred paths.
const MOST_EARLIER: usize = 200;

/// Captures programs, and tells of what may be missing, each thing once.
///
/// What is captured holds for a moment, in which nothing is expected to change: while one graph is stated ([`Programs::begin`]), or for
/// all of a short command ([`Programs::lasting`]). In another moment it is looked whether all is still so ([`Captured::sight`]).
pub struct Programs {
    /// The only moment, if there is one.
    moment: Option<Arc<Mutex<Moment>>>,
    /// Programs of earlier moments, and how all was when they were captured.
    earlier: Mutex<Known<(Arc<Program>, Sight)>>,
    /// Held while something is captured.
    capturing: Mutex<()>,
    told: Mutex<HashSet<String>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Default for Programs {
    /// Captured anew for each graph; what may be missing is told on standard error.
    fn default() -> Self {
        let tell = |text: &str| {
            // Who has closed that does not want to know.
            let _ = writeln!(io::stderr(), "gg: {text}");
        };
        Self {
            moment: None,
            earlier: Mutex::default(),
            capturing: Mutex::default(),
            told: Mutex::default(),
            tell: Box::new(tell),
        }
    }
}

impl Programs {
    /// Each captured once, for a command that is over soon.
    pub fn lasting(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            moment: Some(Arc::default()),
            earlier: Mutex::default(),
            capturing: Mutex::default(),
            told: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    /// Begins to state a graph.
    pub fn begin(&self) -> Captures<'_> {
        Captures { programs: self, moment: self.moment.clone().unwrap_or_default() }
    }

    /// One of an earlier moment, if all is still so.
    fn earlier(&self, request: &Request, args: &[OsString]) -> Option<Arc<Program>> {
        let (program, sight) = lock(&self.earlier).get(request, args)?;
        (program.captured.sight() == Some(sight)).then_some(program)
    }

    /// Keeps one for later moments, if it can be seen then whether all is still so.
    fn keep(&self, request: &Request, args: &[OsString], program: &Arc<Program>, begun: SystemTime) {
        let Some(sight) = program.captured.sight().filter(|sight| sight.is_settled(begun)) else { return };
        let mut earlier = lock(&self.earlier);
        if earlier.0.values().flat_map(BTreeMap::values).map(HashMap::len).sum::<usize>() >= MOST_EARLIER {
            *earlier = Known::default();
        }
        earlier.put(request, args, program.captured.decisive, (Arc::clone(program), sight));
    }

    fn tell(&self, note: &Note) {
        let text = note.to_string();
        if lock(&self.told).insert(text.clone()) {
            (self.tell)(&text);
        }
    }
}

/// The programs of one graph.
pub struct Captures<'a> {
    programs: &'a Programs,
    moment: Arc<Mutex<Moment>>,
}

impl Captures<'_> {
    /// A program with all that it needs.
    ///
    /// # Errors
    /// When it cannot be captured; the text says which file is at fault.
    pub fn capture(&self, store: &Store, mut request: Request) -> Result<Found> {
        request.bytecode = Some(store.dir().join(bytecode::FOLDER));
        let args = std::mem::take(&mut request.args);
        let known = lock(&self.moment).get(&request, &args);
        let program = match known {
            Some(known) => known.map_err(|why| anyhow!(why))?,
            None => self.seen(store, &request, &args)?,
        };
        Ok(Found { args: program.captured.args_with(&args), program })
    }

    /// A program that this moment does not know: as it was seen earlier, or captured anew.
    fn seen(&self, store: &Store, request: &Request, args: &[OsString]) -> Result<Arc<Program>> {
        // One after the other: a hundred requests at once for one program capture it once, and not in a hundred processes.
        let _one = lock(&self.programs.capturing);
        if let Some(known) = lock(&self.moment).get(request, args) {
            return known.map_err(|why| anyhow!(why));
        }
        let Some(program) = self.programs.earlier(request, args) else { return self.anew(store, request, args) };
        lock(&self.moment).put(request, args, program.captured.decisive, Ok(Arc::clone(&program)));
        Ok(program)
    }

    fn anew(&self, store: &Store, request: &Request, args: &[OsString]) -> Result<Arc<Program>> {
        let begun = SystemTime::now();
        let (decisive, captured) = capture_counting(&Request { args: args.to_vec(), ..request.clone() });
        let put = |known| lock(&self.moment).put(request, args, decisive, known);
        let captured = captured.inspect_err(|error| put(Err(error.to_string())))?;
        captured.notes.iter().filter(|note| matters(note, request)).for_each(|note| self.programs.tell(note));
        let inputs = inputs(store, &captured)?;
        let program = Arc::new(Program { captured, inputs });
        put(Ok(Arc::clone(&program)));
        // A command with one moment has no later ones.
        if self.programs.moment.is_none() {
            self.programs.keep(request, args, &program, begun);
        }
        Ok(program)
    }
}

/// Whether a person is told. Most of what was not found is missing here as well: modules that are imported if they are there, plugins
/// that nobody loads. Numpy alone has some.
fn matters(note: &Note, request: &Request) -> bool {
    let named = |library: &Path| {
        let also = request.also.iter().filter_map(|path| fs::canonicalize(request.cwd.join(path)).ok());
        also.into_iter().any(|path| library.starts_with(path))
    };
    match note {
        Note::SearchPath { .. } | Note::LinkOut { .. } => true,
        Note::MissingLibrary { library, .. } => named(library),
        Note::MissingModule { .. } | Note::NotCompiled { .. } => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
