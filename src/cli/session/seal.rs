//! Seals a model's step into a thunk: every path becomes content.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gg_ir::{AbsPath, Entry, Function, Input, Kind, Name, Output, Placeholder, Reference, Tag, Thunk, Tree};
use gg_models::{Call, Header, Read, Step, Toolchain};
use gg_store::{Protection, Stamp, Store, StoreError};

use crate::system;

use super::gather::{Found, Gather, Node};
use super::headers::Headers;
use super::moment::{Disk, Seen, Sight, state};
use super::placeholders::Placeholders;

/// Why a step cannot be sealed; the real tool runs instead.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A path that the model names is not what it should be.
    #[error("{path:?} {what}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file system failed.
    #[error("cannot read {path:?}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A toolchain as one tree, to be merged into a sandbox at its root.
#[derive(Debug)]
struct Sealed {
    root: Name,
    /// All that is visible through it.
    covered: BTreeSet<AbsPath>,
    trees: BTreeSet<AbsPath>,
    /// The directories that hold something of it.
    directories: BTreeSet<AbsPath>,
}

/// What was captured, and what became of it.
type Variant = (Arc<Toolchain>, Arc<Sealed>);

/// What local time depends on.
const LOCALTIME: &str = "/etc/localtime";

/// Seals steps; shared by all threads of a session.
#[derive(Debug)]
pub struct Sealer {
    store: Arc<Store>,
    /// Where the build runs: what lies below it is the project's, wherever that is.
    root: PathBuf,
    /// By tool and by what it needs, which depends on the environment.
    toolchains: Mutex<HashMap<PathBuf, Vec<Variant>>>,
    /// Where each content was last seen.
    seen: Mutex<HashMap<Name, PathBuf>>,
    /// Files of the system that were noted as the origins of their contents, and how they were then.
    noted: Mutex<HashMap<PathBuf, Stamp>>,
    /// The directories of toolchains, which are no directories anywhere.
    composed: Mutex<HashMap<Name, Tree>>,
    headers: Headers,
    /// Directories taken as whole trees.
    snapshots: Mutex<BTreeSet<PathBuf>>,
}

/// A sealed step.
#[derive(Debug)]
pub struct SealedStep {
    /// The thunk.
    pub thunk: Thunk,
    /// Where the outputs go in the tree (as the sandbox sees them, which is where they are).
    pub outputs: BTreeMap<Tag, PathBuf>,
}

impl Sealer {
    /// A sealer for a build in `root`.
    pub fn new(store: Arc<Store>, root: PathBuf) -> Self {
        Self {
            store,
            root,
            toolchains: Mutex::default(),
            seen: Mutex::default(),
            noted: Mutex::default(),
            composed: Mutex::default(),
            headers: Headers::default(),
            snapshots: Mutex::default(),
        }
    }

    /// Seals `step`, planned for `call`, whose standard input is `stdin` if the step reads it.
    ///
    /// # Errors
    /// [`SealError`] when a path is not what the model took it for, or cannot be read.
    pub fn seal(
        &self,
        call: &Call,
        step: &Step,
        toolchain: &Arc<Toolchain>,
        umask: u32,
        stdin: Option<&[u8]>,
        sight: &dyn Sight,
    ) -> Result<SealedStep, SealError> {
        let tools = self.toolchain(&call.tool, toolchain)?;
        let mut gather = Gather::within(tools.trees.clone(), sight);

        gather.directory(&call.cwd);
        // gcc takes the directory's name from PWD, symlinks and all, where that is the same directory.
        let same_directory = |path: &Path| path == call.cwd || is_same(sight, path, &call.cwd);
        let pwd = step.env.get(OsStr::new("PWD")).map(PathBuf::from).filter(|pwd| same_directory(pwd));
        if let Some(pwd) = &pwd {
            gather.walk(pwd).map_err(at(pwd))?;
        }
        let mut reads: Vec<&Read> = step.reads.iter().collect();
        let localtime = Read::File(LOCALTIME.into());
        if step.volatile && sight.see(Path::new(LOCALTIME)).is_ok_and(|seen| seen.followed().is_some()) {
            reads.push(&localtime);
        }
        let protection = self.store.protection();
        let mut known = self.headers.known(&step.reads, protection).into_iter();
        for read in reads {
            match read {
                Read::File(path) => file(&mut gather, path)?,
                Read::Header(header) => {
                    let known = known.next().flatten();
                    self.header(&mut gather, header, known, protection, &tools, sight)?;
                }
                Read::System { path, root } => self.system(&mut gather, path, root)?,
                Read::Stdin => {}
                Read::Directory(path) => {
                    if let (real, Found::Directory) = gather.walk(path).map_err(at(path))? {
                        gather.directory(&real);
                    }
                }
            }
        }

        let mut outputs = BTreeMap::new();
        for write in &step.writes {
            let path = call.absolute(&write.path);
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(SealError::Path { path, what: "is no file name to write to" });
            };
            let (real, Found::Directory) = gather.walk(parent).map_err(at(parent))? else {
                return Err(SealError::Path { path: parent.into(), what: "is no directory to write to" });
            };
            gather.directory(&real);
            let real = real.join(name);
            let unfit = match sight.see_before_change(&real) {
                Ok(Seen::Link(_)) => true,
                Ok(Seen::Plain(stamp)) => !stamp.is_file(),
                Ok(Seen::Nothing) | Err(_) => false,
            };
            if unfit {
                return Err(SealError::Path { path: real, what: "is written to, and is no regular file" });
            }
            let tag = Tag::new(&*write.tag)
                .map_err(|_| SealError::Path { path: real.clone(), what: "has an output tag that gg cannot use" })?;
            let inside = abs(&real)?;
            outputs.insert(tag, (real, Output { path: inside, optional: write.optional, dynamic: false }));
        }

        // In order: a map is quickly made of that.
        let mut inputs = vec![(AbsPath::root(), Input::Tree(tools.root))];
        for (path, node) in gather.finish() {
            if tools.covered.contains(&path) {
                continue;
            }
            let input = match node {
                Node::File => {
                    let (object, mode) = self.content(path.as_path(), sight)?;
                    Input::File { object, mode }
                }
                Node::Sealed(input) => input,
                Node::Tree => Input::Tree(self.snapshot(path.as_path())?),
                Node::Symlink(target) => Input::Symlink(target),
                Node::Directory if tools.directories.contains(&path) => continue,
                Node::Directory => Input::Directory,
            };
            inputs.push((path, input));
        }
        let mut inputs: BTreeMap<AbsPath, Input> = inputs.into_iter().collect();

        if let (Some(content), true) = (stdin, step.reads.contains(&Read::Stdin)) {
            let object = Reference::Value(self.store.put(Kind::Value, content)?);
            inputs.insert(abs(Path::new(Thunk::STDIN))?, Input::File { object, mode: 0o644 });
        }

        let mut args = step.argv.clone();
        if let Some(first) = args.first_mut() {
            // A stand-in's own path means nothing elsewhere.
            if first.as_bytes().contains(&b'/') {
                *first = call.tool.clone().into();
            }
        }
        let function = Function {
            executable: abs(&call.tool)?,
            args,
            env: self.environment(call, step, pwd.is_some(), &tools),
            cwd: abs(&call.cwd)?,
            umask,
        };
        let declared = outputs.iter().map(|(tag, (_, output))| (tag.clone(), output.clone())).collect();
        let outputs = outputs.into_iter().map(|(tag, (path, _))| (tag, path)).collect();
        // A build that says which time it is has the same result tomorrow.
        let volatile = step.volatile && !step.env.contains_key(OsStr::new("SOURCE_DATE_EPOCH"));
        Ok(SealedStep {
            thunk: Thunk { function, inputs, outputs: declared, timeout: None, volatile, strict: false },
            outputs,
        })
    }

    /// A file that the scanner found; `known` is what it was sealed as before.
    fn header(
        &self,
        gather: &mut Gather,
        header: &Header,
        known: Option<(AbsPath, Input)>,
        protection: Protection,
        tools: &Sealed,
        sight: &dyn Sight,
    ) -> Result<(), SealError> {
        let place = gather.place(&header.directory).map_err(at(&header.directory))?;
        // Then the path is the one under which the file is in the sandbox.
        let straight = place.straight && header.state.is_some();
        if straight && place.covered {
            return Ok(());
        }
        // At the top of a directory of the system it is taken by itself.
        let single = header.root.as_ref().is_none_or(|root| *root == header.directory);
        if !single || !straight || abs(&header.directory).is_ok_and(|path| tools.directories.contains(&path)) {
            return match &header.root {
                Some(root) => self.system(gather, &header.path, root),
                None => file(gather, &header.path),
            };
        }
        let (path, input) = match known {
            Some(known) => known,
            None => {
                let path = abs(&header.path)?;
                let (object, mode) = self.content(&header.path, sight)?;
                let input = Input::File { object: object.clone(), mode };
                let seen = sight.see(&header.path).ok().and_then(Seen::followed);
                if let Some(stamp) = seen
                    && header.state == Some(state(&stamp))
                    && self.known(&header.path, &stamp).map(Reference::Value).as_ref() == Some(&object)
                {
                    self.headers.keep(header, protection, &path, &input);
                }
                (path, input)
            }
        };
        gather.sealed(path, input);
        Ok(())
    }

    /// A file found in a directory of the system: the whole top-level directory that it is in becomes visible, since
    /// that is one input in place of hundreds; a file at the top is taken by itself.
    fn system(&self, gather: &mut Gather, path: &Path, root: &Path) -> Result<(), SealError> {
        if gather.is_covered(path).map_err(at(path))? {
            return Ok(());
        }
        if let Ok(rest) = path.strip_prefix(root) {
            let mut parts = rest.components();
            if let (Some(std::path::Component::Normal(first)), Some(_)) = (parts.next(), parts.next()) {
                let (real, found) = gather.walk(&root.join(first)).map_err(at(path))?;
                if found == Found::Directory && self.is_system(&real) {
                    gather.tree(&real);
                }
            }
        }
        match gather.walk(path).map_err(at(path))? {
            (real, Found::File) => gather.file(&real),
            (_, _) => return Err(SealError::Path { path: path.into(), what: "is no regular file" }),
        }
        Ok(())
    }

    fn is_system(&self, path: &Path) -> bool {
        system::holds(path) && !path.starts_with(&self.root)
    }

    /// What a file contains, as it is seen, with its permission bits. The content of a project's file is copied into the
    /// store: it may change or go away before it is used.
    fn content(&self, path: &Path, sight: &dyn Sight) -> Result<(Reference, u32), SealError> {
        let stamp = sight.see(path).map_err(at(path))?.followed();
        let stamp = stamp.ok_or_else(|| at(path)(io::ErrorKind::NotFound.into()))?;
        if let Some(name) = self.known(path, &stamp) {
            return Ok((Reference::Value(name), stamp.mode & 0o7777));
        }
        let placeholder = |mode: u32| Some((Placeholders::at(path)?.reference(), mode & 0o7777));
        if let Some(found) = placeholder(stamp.mode) {
            return Ok(found);
        }
        let (name, mode) = self.take_in(path)?;
        // One may have been put there meanwhile.
        if name.length() <= Placeholder::MAX_LENGTH as u64
            && let Some(found) = placeholder(mode)
        {
            return Ok(found);
        }
        locked(&self.seen).insert(name, path.to_path_buf());
        Ok((Reference::Value(name), mode & 0o7777))
    }

    /// The content of a file that this session has taken in as it is now. A placeholder never is.
    fn known(&self, path: &Path, stamp: &Stamp) -> Option<Name> {
        let name = self.store.name_of(stamp)?;
        let taken = if self.is_system(path) {
            locked(&self.noted).get(path) == Some(stamp)
        } else {
            self.store.is_protected(&name)
        };
        (taken && locked(&self.seen).contains_key(&name)).then_some(name)
    }

    fn take_in(&self, path: &Path) -> Result<(Name, u32), StoreError> {
        if self.is_system(path) {
            let (name, stamp) = self.store.hash(path)?;
            self.store.note_origin(&name, path, &stamp)?;
            locked(&self.noted).insert(path.to_path_buf(), stamp);
            return Ok((name, stamp.mode));
        }
        let (name, stamp) = self.store.import(path)?;
        Ok((name, stamp.mode))
    }

    /// Takes an object that was lost or damaged in the store from where it was seen, if it is still there; says whether.
    pub fn resupply(&self, name: &Name) -> bool {
        let path = locked(&self.seen).get(name).cloned();
        if path.is_some_and(|path| self.take_in(&path).is_ok_and(|(found, _)| found == *name)) {
            return true;
        }
        let composed = locked(&self.composed).get(name).cloned();
        if composed.is_some_and(|tree| self.store.put_tree(&tree).is_ok()) {
            return true;
        }
        // Something inside a whole directory. This store remembers having seen to that; one newly opened does not.
        let Ok(fresh) = Store::open(self.store.dir()) else { return false };
        let directories = locked(&self.snapshots).clone();
        directories.iter().any(|directory| fresh.snapshot(directory).is_ok() && fresh.contains(name))
    }

    fn snapshot(&self, directory: &Path) -> Result<Name, StoreError> {
        locked(&self.snapshots).insert(directory.to_path_buf());
        self.store.snapshot(directory)
    }

    fn toolchain(&self, tool: &Path, toolchain: &Arc<Toolchain>) -> Result<Arc<Sealed>, SealError> {
        let mut known = locked(&self.toolchains);
        let variants = known.entry(tool.to_path_buf()).or_default();
        if let Some((_, sealed)) = variants.iter().find(|(captured, _)| Arc::ptr_eq(captured, toolchain)) {
            return Ok(Arc::clone(sealed));
        }
        let mut gather = Gather::within(BTreeSet::new(), &Disk);
        for path in &toolchain.trees {
            if let (real, Found::Directory) = gather.walk(path).map_err(at(path))? {
                gather.tree(&real);
            }
        }
        for path in toolchain.files.iter().map(PathBuf::as_path).chain([tool]) {
            match gather.walk(path).map_err(at(path))? {
                (real, Found::File) => gather.file(&real),
                (real, Found::Directory) => gather.directory(&real),
                (_, _) => {}
            }
        }
        let nodes = gather.finish();
        let mut sealed = Sealed {
            root: Name::of_value(b""),
            covered: nodes.iter().map(|(path, _)| path.clone()).collect(),
            trees: nodes.iter().filter(|(_, node)| *node == Node::Tree).map(|(path, _)| path.clone()).collect(),
            directories: nodes.iter().flat_map(|(path, _)| ancestors(path)).collect(),
        };
        sealed.root = self.put_tree(&nodes, 0)?;
        let sealed = Arc::new(sealed);
        variants.push((Arc::clone(toolchain), Arc::clone(&sealed)));
        Ok(sealed)
    }

    /// Stores the directory that holds `nodes`, all of which have the same first `depth` parts.
    fn put_tree(&self, nodes: &[(AbsPath, Node)], depth: usize) -> Result<Name, SealError> {
        let mut tree = Tree::new();
        let part = |path: &AbsPath| path.components().nth(depth).map(OsString::from).unwrap_or_default();
        for group in nodes.chunk_by(|(a, _), (b, _)| part(a) == part(b)) {
            let (path, node) = &group[0];
            let is_leaf = path.components().count() == depth + 1;
            let entry = match node {
                Node::File if is_leaf => match self.content(path.as_path(), &Disk)? {
                    (Reference::Value(content), mode) => Entry::File { content, mode },
                    (Reference::Output(..), _) => {
                        let what = "is part of a compiler, and has not been computed yet";
                        return Err(SealError::Path { path: path.as_path().into(), what });
                    }
                },
                Node::Tree if is_leaf => Entry::Tree(self.snapshot(path.as_path())?),
                Node::Symlink(target) if is_leaf => Entry::Symlink(target.clone()),
                Node::Directory if is_leaf => Entry::Tree(self.store.put_tree(&Tree::new())?),
                _ => Entry::Tree(self.put_tree(group, depth + 1)?),
            };
            tree.insert(part(path), entry);
        }
        let name = self.store.put_tree(&tree)?;
        locked(&self.composed).insert(name, tree);
        Ok(name)
    }

    /// The environment of the sandbox: what the model lets through, without what cannot matter there, so that the same
    /// step has the same name in every terminal.
    fn environment(&self, call: &Call, step: &Step, keep_pwd: bool, tools: &Sealed) -> BTreeMap<OsString, OsString> {
        let mut env = step.env.clone();
        // Temporary files live and die in the sandbox.
        for temporary in ["TMPDIR", "TMP", "TEMP"] {
            env.remove(OsStr::new(temporary));
        }
        if !keep_pwd {
            env.remove(OsStr::new("PWD"));
        }
        if let Some(path) = env.get_mut(OsStr::new("PATH")) {
            let kept: Vec<&[u8]> = path
                .as_bytes()
                .split(|&b| b == b':')
                .filter(|dir| AbsPath::from_bytes(dir).is_ok_and(|dir| tools.directories.contains(&dir)))
                .collect();
            if !kept.is_empty() {
                *path = OsString::from_vec(kept.join(&b':'));
            }
        }
        if step.volatile
            && let Some(zone) = call.env.get(OsStr::new("TZ"))
        {
            env.insert("TZ".into(), zone.clone());
        }
        env
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Caches, changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SealError + use<> {
    let path = path.to_path_buf();
    move |error| SealError::Io { path, error }
}

/// A file or directory that a step names.
fn file(gather: &mut Gather, path: &Path) -> Result<(), SealError> {
    let (real, found) = gather.walk(path).map_err(at(path))?;
    let what = match found {
        Found::File => {
            gather.file(&real);
            return Ok(());
        }
        Found::Directory => {
            gather.directory(&real);
            return Ok(());
        }
        Found::Nothing => "does not exist",
        Found::Other => "is no regular file",
    };
    Err(SealError::Path { path: path.into(), what })
}

fn is_same(sight: &dyn Sight, a: &Path, b: &Path) -> bool {
    let id = |path: &Path| sight.see(path).ok()?.followed().map(|stamp| (stamp.device, stamp.inode));
    id(a).is_some() && id(a) == id(b)
}

fn ancestors(path: &AbsPath) -> Vec<AbsPath> {
    std::iter::successors(path.parent(), AbsPath::parent).collect()
}

fn abs(path: &Path) -> Result<AbsPath, SealError> {
    AbsPath::new(path).map_err(|_| SealError::Path { path: path.into(), what: "is no plain absolute path" })
}
