//! The inputs laid over one another.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path};

use gg_ir::{AbsPath, Entry, Name};

use crate::WorkerError;
use crate::error::Result;
use crate::farm::Farm;

/// As many symbolic links are followed in one path, like Linux does (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Something at a path.
#[derive(Debug)]
pub(super) enum Node {
    Directory(Directory),
    File(File),
    Link(OsString),
}

#[derive(Debug)]
pub(super) struct File {
    pub content: Name,
    pub mode: u32,
    /// Whether the program may write to it: it is an output too.
    pub output: bool,
}

/// A directory: trees, one over the other, and over all of them the entries that stand here singly.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// The lowest first.
    pub trees: Vec<Name>,
    pub entries: BTreeMap<OsString, Node>,
    /// The permission bits, where something says so.
    pub mode: Option<u32>,
    /// Whether the program may create files in it.
    pub writable: bool,
}

/// What a sandbox holds.
pub(super) struct Layers<'a> {
    pub farm: &'a Farm,
    pub top: Directory,
    /// The directory of the latest file, and where that is: the next one mostly lies beside it.
    last: (AbsPath, Vec<OsString>),
}

impl From<&Entry> for Node {
    fn from(entry: &Entry) -> Self {
        match entry {
            Entry::File { content, mode } => Node::File(File { content: *content, mode: *mode, output: false }),
            Entry::Symlink(target) => Node::Link(target.clone()),
            Entry::Tree(name) => Node::Directory(Directory { trees: vec![*name], ..Directory::default() }),
        }
    }
}

impl Directory {
    /// The entry of this name, taken out of the trees when it does not stand here singly yet.
    fn entry(&mut self, name: &OsStr, farm: &Farm) -> Result<Option<&mut Node>> {
        if !self.entries.contains_key(name)
            && let Some(node) = from_trees(&self.trees, name, farm)?
        {
            self.entries.insert(name.to_owned(), node);
        }
        Ok(self.entries.get_mut(name))
    }

    /// All entries, those of the trees included.
    pub fn expand(&mut self, farm: &Farm) -> Result<()> {
        let trees = self.trees.iter().map(|name| farm.tree(name)).collect::<Result<Vec<_>>>()?;
        for tree in &trees {
            for (name, _) in tree.entries() {
                self.entry(name, farm)?;
            }
        }
        self.trees.clear();
        Ok(())
    }
}

/// What several trees, one over the other, hold under a name.
fn from_trees(trees: &[Name], name: &OsStr, farm: &Farm) -> Result<Option<Node>> {
    let mut found: Option<Node> = None;
    for tree in trees {
        if let Some(entry) = farm.tree(tree)?.get(name) {
            found = Some(match (found, Node::from(entry)) {
                (Some(Node::Directory(mut lower)), Node::Directory(upper)) => {
                    lower.trees.extend(upper.trees);
                    Node::Directory(lower)
                }
                (_, upper) => upper,
            });
        }
    }
    Ok(found)
}

impl<'a> Layers<'a> {
    pub fn new(farm: &'a Farm) -> Self {
        Self { farm, top: Directory::default(), last: (AbsPath::root(), Vec::new()) }
    }

    pub fn file(&mut self, path: &AbsPath, content: Name, mode: u32) -> Result<()> {
        self.put(path, Node::File(File { content, mode, output: false }))
    }

    pub fn link(&mut self, path: &AbsPath, target: &OsStr) -> Result<()> {
        self.put(path, Node::Link(target.to_owned()))
    }

    pub fn tree(&mut self, path: &AbsPath, name: Name) -> Result<()> {
        let place = self.resolve(path)?;
        self.directory_at(path, &place)?.trees.push(name);
        Ok(())
    }

    /// A directory; made with these permission bits unless something else gives it some.
    pub fn directory(&mut self, path: &AbsPath, mode: u32) -> Result<OsString> {
        let place = self.resolve(path)?;
        self.directory_at(path, &place)?.mode.get_or_insert(mode);
        Ok(joined(&place))
    }

    /// A directory in which the program may create files; its path from the root.
    pub fn writable(&mut self, path: &AbsPath, mode: u32) -> Result<OsString> {
        let place = self.resolve(path)?;
        let directory = self.directory_at(path, &place)?;
        directory.mode.get_or_insert(mode);
        directory.writable = true;
        Ok(joined(&place))
    }

    /// A file that the program writes, whether it is there before or not; its directory's path from the root.
    pub fn output(&mut self, path: &AbsPath) -> Result<OsString> {
        let mut place = self.resolve(path)?;
        let Some(name) = place.pop() else { return Err(conflict(path, "the root cannot be an output")) };
        let farm = self.farm;
        let directory = self.directory_at(path, &place)?;
        directory.writable = true;
        if let Some(Node::File(file)) = directory.entry(&name, farm)? {
            file.output = true;
        }
        Ok(joined(&place))
    }

    fn put(&mut self, path: &AbsPath, node: Node) -> Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.components().last()) else {
            return Err(conflict(path, "only a directory can be the root"));
        };
        if self.last.0 != parent {
            self.last = (parent.clone(), self.resolve(&parent)?);
        }
        let place = std::mem::take(&mut self.last.1);
        let directory = self.directory_at(path, &place)?;
        if matches!(directory.entries.get(name), Some(Node::Directory(below)) if !below.entries.is_empty()) {
            return Err(conflict(path, "other inputs lie below it, which is not a directory"));
        }
        directory.entries.insert(name.to_owned(), node);
        self.last.1 = place;
        Ok(())
    }

    /// The same place, named without symbolic links as far as the inputs so far hold any.
    fn resolve(&mut self, path: &AbsPath) -> Result<Vec<OsString>> {
        let mut todo: Vec<OsString> = path.components().map(OsStr::to_owned).collect();
        todo.reverse();
        let mut done: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                // As in the kernel: the parent of the root is the root.
                done.pop();
                continue;
            }
            let farm = self.farm;
            let known = match self.known(&done)? {
                Some(directory) => directory.entry(&name, farm)?,
                None => None,
            };
            let Some(Node::Link(target)) = known else {
                done.push(name);
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return Err(conflict(path, "too many symbolic links in one path"));
            }
            for component in Path::new(target).components().rev() {
                match component {
                    Component::RootDir => done.clear(),
                    Component::Normal(name) => todo.push(name.to_owned()),
                    Component::ParentDir => todo.push("..".into()),
                    Component::CurDir | Component::Prefix(_) => {}
                }
            }
        }
        Ok(done)
    }

    /// The directory at a place, if anything is known of it.
    fn known(&mut self, place: &[OsString]) -> Result<Option<&mut Directory>> {
        let mut here = &mut self.top;
        for name in place {
            match here.entry(name, self.farm)? {
                Some(Node::Directory(below)) => here = below,
                _ => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// The directory at a resolved place, made where it is missing.
    fn directory_at(&mut self, path: &AbsPath, place: &[OsString]) -> Result<&mut Directory> {
        let mut here = &mut self.top;
        for name in place {
            if here.entry(name, self.farm)?.is_none() {
                here.entries.insert(name.clone(), Node::Directory(Directory::default()));
            }
            match here.entries.get_mut(name) {
                Some(Node::Directory(below)) => here = below,
                _ => return Err(conflict(path, "something else stands where a directory has to be")),
            }
        }
        Ok(here)
    }
}

fn joined(place: &[OsString]) -> OsString {
    place.join(OsStr::new("/"))
}

fn conflict(path: &AbsPath, why: &'static str) -> WorkerError {
    WorkerError::Conflict { path: path.clone(), why }
}
