//! The steps that make a plan real.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::Planner;
use super::layers::{Directory, File, Layers, Node};
use crate::error::Result;
use crate::farm::Over;
use crate::request::{Op, What};
use crate::shelf::Shelf;

/// Files up to this length are written into the sandbox from memory: about 10 us each, a third of what a mount costs with its
/// removal, and the same bytes that were checked.
const INLINE: u64 = 64 << 10;

/// Files up to this length are copied into the sandbox when nothing on disk has their permission bits; larger ones are
/// written to disk with them once, and mounted.
const COPIED: u64 = 1 << 20;

impl Layers<'_> {
    /// The steps, parents before what they hold.
    pub fn emit(self, planner: &Planner, shelf: Option<&Arc<Shelf>>) -> Result<Vec<Op<'static>>> {
        let mut steps = Steps { planner, shelf, ops: Vec::new() };
        steps.entries(self.top, &OsString::new())?;
        Ok(steps.ops)
    }
}

struct Steps<'a> {
    planner: &'a Planner,
    shelf: Option<&'a Arc<Shelf>>,
    ops: Vec<Op<'static>>,
}

impl Steps<'_> {
    fn push(&mut self, path: OsString, what: What<'static>) {
        self.ops.push(Op { path, what });
    }

    fn entries(&mut self, mut directory: Directory, path: &OsStr) -> Result<()> {
        directory.expand(&self.planner.farm)?;
        for (name, node) in directory.entries {
            let mut path = path.to_owned();
            if !path.is_empty() {
                path.push("/");
            }
            path.push(name);
            match node {
                Node::Link(target) => self.push(path, What::Link { target }),
                Node::File(file) => self.file(&file, path)?,
                Node::Directory(below) => self.directory(below, path)?,
            }
        }
        Ok(())
    }

    fn directory(&mut self, directory: Directory, path: OsString) -> Result<()> {
        if let ([tree], true, false) = (&directory.trees[..], directory.entries.is_empty(), directory.writable) {
            let (source, over) = self.planner.farm.directory(tree)?;
            self.push(path.clone(), What::Bind { source: source.into(), directory: true });
            return self.over(&path, &over);
        }
        self.push(path.clone(), What::Dir { mode: directory.mode.unwrap_or(0o755) });
        self.entries(directory, &path)
    }

    /// The rest of a directory that is mounted at a path.
    fn over(&mut self, path: &OsStr, over: &[Over]) -> Result<()> {
        for Over { place, content, mode } in over {
            let source = self.planner.farm.file(content, mode & 0o7777)?.into();
            self.push([path, place].join(OsStr::new("/")), What::Over { source });
        }
        Ok(())
    }

    fn file(&mut self, file: &File, path: OsString) -> Result<()> {
        let File { content, mode, output } = file;
        let mode = mode & 0o7777;
        let what = if content.length() <= INLINE {
            What::File { mode, content: self.planner.small(content, self.shelf)? }
        } else if *output || content.length() <= COPIED && !self.planner.farm.has_file(content, mode)? {
            What::Copy { mode, source: self.planner.store.file(content)?.into() }
        } else {
            What::Bind { source: self.planner.farm.file(content, mode)?.into(), directory: false }
        };
        self.push(path, what);
        Ok(())
    }
}
