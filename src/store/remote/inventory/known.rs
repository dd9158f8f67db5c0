//! What is known to be in a remote store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gg_ir::Name;

use super::log::Note;
use crate::remote::error::Missing;
use crate::remote::pack::{FOOTER, Index, PackId};
use crate::remote::sources::{PackSource, Sources, key};

/// A pack that is there.
#[derive(Debug)]
struct Pack {
    size: u64,
    /// The tree that it was made for. It holds all that is below it, and so below every tree in it.
    root: Option<Name>,
    index: Arc<Index>,
}

/// Where an object lies in a pack.
#[derive(Clone, Copy, Debug)]
struct Place {
    pack: PackId,
    /// The number of its block.
    block: usize,
    /// Where it begins in the decompressed block.
    at: u64,
}

/// What lies where.
#[derive(Debug, Default)]
pub(super) struct Known {
    singles: HashSet<Name>,
    packs: HashMap<PackId, Pack>,
    places: HashMap<Name, Place>,
    /// What lies in packs of trees: of a tree, all that is below it lies there too.
    closed: HashMap<Name, PackId>,
}

impl Known {
    /// Takes over a line of the log.
    pub fn add(&mut self, note: Note) {
        match note {
            Note::Object(name) => {
                self.singles.insert(name);
            }
            Note::NoObject(name) => {
                self.singles.remove(&name);
            }
            Note::NoPack(id) => self.remove(&id),
            Note::Pack { id, size, root, index } => {
                for (block, (_, names)) in index.blocks().enumerate() {
                    let mut at = 0;
                    for name in names {
                        self.places.insert(*name, Place { pack: id, block, at });
                        at += name.length();
                    }
                }
                if root.is_some() {
                    self.closed.extend(index.names().map(|name| (*name, id)));
                }
                self.packs.insert(id, Pack { size, root, index });
            }
        }
    }

    fn remove(&mut self, id: &PackId) {
        let Some(pack) = self.packs.remove(id) else { return };
        for name in pack.index.names() {
            if self.places.get(name).is_some_and(|place| place.pack == *id) {
                self.places.remove(name);
            }
            if self.closed.get(name) == Some(id) {
                self.closed.remove(name);
            }
        }
    }

    pub fn object(&self, name: &Name) -> bool {
        self.singles.contains(name) || self.places.contains_key(name)
    }

    /// Whether a tree and all that is below it is there.
    pub fn tree(&self, name: &Name) -> bool {
        self.closed.contains_key(name)
    }

    /// What to forget when these are gone: a pack too in which an object was believed to be.
    pub fn gone(&self, missing: &Missing) -> Vec<Note> {
        let singles = missing.names.iter().filter(|name| self.singles.contains(name)).map(|name| Note::NoObject(*name));
        let around = missing.names.iter().filter_map(|name| {
            (!self.singles.contains(name)).then(|| self.places.get(name).map(|place| place.pack)).flatten()
        });
        let mut packs: Vec<PackId> =
            missing.packs.iter().copied().filter(|id| self.packs.contains_key(id)).chain(around).collect();
        packs.sort_unstable();
        packs.dedup();
        singles.chain(packs.into_iter().map(Note::NoPack)).collect()
    }

    fn source<'a>(&self, id: PackId, sources: &'a mut Sources) -> Option<(&Pack, &'a mut PackSource)> {
        let pack = self.packs.get(&id)?;
        let source = sources.packs.entry(id).or_default();
        (source.size, source.index) = (pack.size, pack.size.saturating_sub(pack.index.end() + FOOTER));
        Some((pack, source))
    }

    /// Where these lie; all of them are known.
    pub fn sources(&self, names: &[Name], trees: &[Name]) -> Sources {
        let mut sources = Sources::default();
        for tree in trees {
            if let Some((pack, source)) = self.closed.get(tree).and_then(|id| self.source(*id, &mut sources)) {
                source.trees.insert(key(tree), pack.root == Some(*tree));
            }
        }
        for name in names.iter().filter(|name| !self.singles.contains(name)) {
            let Some(place) = self.places.get(name) else { continue };
            if let Some((pack, source)) = self.source(place.pack, &mut sources) {
                let (block, _) = pack.index.block(place.block);
                let told = source.blocks.entry(block.offset).or_default();
                told.length = block.length;
                told.objects.insert((place.at, key(name)));
            }
        }
        sources
    }

    pub fn len(&self) -> usize {
        self.singles.len() + self.packs.len()
    }

    /// All of it, for a log written anew.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        let packs = self.packs.iter().map(|(id, pack)| Note::Pack {
            id: *id,
            size: pack.size,
            root: pack.root,
            index: pack.index.clone(),
        });
        self.singles.iter().map(|name| Note::Object(*name)).chain(packs)
    }
}
