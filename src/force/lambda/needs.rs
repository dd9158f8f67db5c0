//! What a step needs to be at hand.

use std::collections::BTreeSet;

use gg_ir::{Input, Name, Reference};

use crate::engine::Work;

/// The objects that a worker has to have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Files.
    pub names: Vec<Name>,
    /// Directories, with all below.
    pub trees: Vec<Name>,
}

impl Needs {
    /// Those of a step; the reference that nobody has resolved, if there is one.
    pub fn of(work: &Work) -> Result<Self, Reference> {
        let (mut names, mut trees) = (BTreeSet::new(), BTreeSet::new());
        for input in work.thunk.inputs.values() {
            match input {
                Input::File { object: Reference::Value(name), .. } => drop(names.insert(*name)),
                Input::File { object: reference, .. } => {
                    names.insert(*work.resolved.get(reference).ok_or_else(|| reference.clone())?);
                }
                Input::Tree(name) => drop(trees.insert(*name)),
                Input::Symlink(_) | Input::Directory => {}
            }
        }
        Ok(Self { names: names.into_iter().collect(), trees: trees.into_iter().collect() })
    }
}
