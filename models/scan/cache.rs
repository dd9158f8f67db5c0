//! The facts of all files seen so far, and the names in them.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::facts::Facts;
use super::hash::QuickMap;
use super::lex::Lexer;
use super::macros::Macros;
use super::text::Text;
use super::{Syntax, assembly};

/// A name that the cache knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// What stands for the name as long as the cache lives: its number, from 0.
    pub id: u32,
    bytes: Arc<[u8]>,
}

impl std::ops::Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// One file, read once.
#[derive(Debug)]
pub(super) struct Lexed {
    content: Arc<[u8]>,
    /// What it asks for.
    pub facts: Facts,
    /// The names of `facts.lookups`, in their order.
    pub names: Vec<Name>,
    macros: OnceLock<Macros>,
}

impl Lexed {
    /// Its macros. Few compiles need any, so they are collected when asked for.
    pub fn macros(&self) -> &Macros {
        self.macros.get_or_init(|| Lexer::macros(&Text::new(&self.content)))
    }
}

/// The facts of all files seen so far, by path. A file is read again when its content has changed.
#[derive(Debug, Default)]
pub(super) struct Cache {
    c: Table,
    assembly: Table,
    names: RwLock<QuickMap<Arc<[u8]>, u32>>,
}

/// By path (as a string, whose hash is the cheaper): the content as the world last gave it, and what it says. The
/// content is kept beside the facts (which may hold an equal one from before) so that its address stays its own.
type Table = RwLock<QuickMap<OsString, (Arc<[u8]>, Arc<Lexed>)>>;

// A panic elsewhere leaves no half-made entry in these tables, so a poisoned lock is as good as any.
impl Cache {
    /// What the file at `path` with this content asks for.
    pub fn lexed(&self, path: &Path, content: Arc<[u8]>, syntax: Syntax) -> Arc<Lexed> {
        let table = match syntax {
            Syntax::C => &self.c,
            Syntax::Assembly => &self.assembly,
        };
        let mut same = None;
        if let Some((old, lexed)) = table.read().unwrap_or_else(PoisonError::into_inner).get(path.as_os_str()) {
            if Arc::ptr_eq(old, &content) {
                return lexed.clone();
            }
            same = (*old == content).then(|| lexed.clone());
        }
        let lexed = same.unwrap_or_else(|| Arc::new(self.read(content.clone(), syntax)));
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(path.into(), (content, lexed.clone()));
        lexed
    }

    fn read(&self, content: Arc<[u8]>, syntax: Syntax) -> Lexed {
        let facts = match syntax {
            Syntax::C => Lexer::facts(&Text::new(&content)),
            Syntax::Assembly => assembly::plain(&content),
        };
        let names = facts.lookups.iter().map(|lookup| self.name(&lookup.name)).collect();
        Lexed { content, facts, names, macros: OnceLock::new() }
    }

    /// The one copy of a name.
    pub fn name(&self, bytes: &[u8]) -> Name {
        let known = |names: &QuickMap<Arc<[u8]>, u32>| {
            names.get_key_value(bytes).map(|(bytes, &id)| Name { id, bytes: bytes.clone() })
        };
        if let Some(known) = known(&self.names.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known(&names) {
            return known;
        }
        let name = Name { id: names.len() as u32, bytes: bytes.into() };
        names.insert(name.bytes.clone(), name.id);
        name
    }
}
