//! Finds every file that a compile or an assembly may read, without running the preprocessor.
//!
//! [`Scanner::scan`] starts from the sources and the forced includes of one call and follows every `#include` (and its
//! kin: `#include_next`, `#import`, `#embed`, `__has_include`, `.incbin`, `.include`) whether or not the `#if` around
//! it holds. So it may name more files than the compiler opens, and never fewer: where it cannot follow something, it
//! says so in [`Scan::unresolved`] or [`Scan::unsealable`].
//!
//! What a file asks for depends on its content alone and is kept for the whole build; whether the files are still where
//! they were found is asked anew at each scan, since a build makes headers, and a new one may shadow an old one.
//!
//! # Layout
//!
//! - `text`: a file's text with its line continuations removed
//! - `lex`: comments, literals and lines; calls `directive` where a line is one
//! - `directive`: `#include`, `#if`, `#define`, `#pragma`, `#embed` and what they ask for
//! - `assembly`: `.incbin` and `.include`, in assembly and in the strings of inline assembly
//! - `facts`: what one file asks for
//! - `macros`: the object-like macros of one file, for computed includes
//! - `cache`: the facts of all files seen so far
//! - `hash`: a quick hash for the tables of a scan
//! - `atlas`: directories, names, and which file a name means: what is kept from scan to scan
//! - `chart`: where searches through the same directories led before; `reached`: what all names in a file led to
//! - `run`: one scan
//! - `computed`: the part of a scan that follows `#include MACRO`

mod assembly;
mod atlas;
mod cache;
mod chart;
mod computed;
mod directive;
mod facts;
pub mod hash;
mod lex;
mod macros;
mod reached;
mod run;
mod text;

#[cfg(test)]
mod lasting;
#[cfg(test)]
mod reality;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Header, World};

/// A directory in which headers are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchDir {
    /// The directory, absolute.
    pub path: PathBuf,
    /// It belongs to the toolchain or the system rather than to the project: what is found below it has
    /// this directory as its root ([`Header::root`]).
    pub system: bool,
}

/// Where headers are looked for, in the preprocessor's own order, duplicates removed as the preprocessor removes them.
///
/// `#include "x"` looks in the directory of the file that has the line (as that file was named), then in `quote`, then
/// in `bracket`; `#include <x>` in `bracket` (GCC manual, "Search Path"). Directories that do not exist are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Search {
    /// `-iquote`.
    pub quote: Vec<SearchDir>,
    /// `-I`, `-isystem`, the built-in directories, `-idirafter`.
    pub bracket: Vec<SearchDir>,
}

/// The language family of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// What the C preprocessor reads: C, C++, Objective-C, `.S`.
    C,
    /// Assembly that is not preprocessed (`.s`): only `.include` and `.incbin` count.
    Assembly,
}

/// What to scan.
#[derive(Clone, Debug)]
pub struct ScanRequest<'a> {
    /// The working directory of the call, absolute.
    pub cwd: &'a Path,
    /// The sources, absolute or relative to `cwd`.
    pub sources: Vec<PathBuf>,
    /// The operands of `-include` and `-imacros`: looked up in `cwd` first, then like a quoted include.
    pub forced: Vec<PathBuf>,
    /// Where headers are looked for.
    pub search: &'a Search,
    /// Every `-D`, name and value (`1` where none was given; for a function-like macro the name ends before `(`), for
    /// computed includes. All of them: an include of a macro that nothing defines is taken for dead.
    pub defines: Vec<(String, String)>,
    /// `-I` as the assembler sees it (`-Wa,-I` and `-I`), absolute: where `.include` and `.incbin` look after `cwd`.
    pub assembler_dirs: Vec<PathBuf>,
    /// The language family of the sources.
    pub syntax: Syntax,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Every file found, sources and precompiled headers included, each once.
    pub reads: Vec<Header>,
    /// Existing directories without which the names in the sources would not lead where they lead here: the search
    /// directories, and those that a name leaves by `..`.
    pub directories: Vec<PathBuf>,
    /// `__DATE__` or `__TIME__` occurs in a file of the project or in a `-D`.
    pub volatile: bool,
    /// `__TIMESTAMP__` occurs in a file of the project or in a `-D`.
    pub timestamp: bool,
    /// What could not be followed and `gcc -M` can (computed includes, header units), as `file:line: what`.
    pub unresolved: Vec<String>,
    /// What could not be followed and `gcc -M` does not list either (a computed `__has_include`, an `.incbin` whose
    /// name macros put together), as `file:line: what`.
    pub unsealable: Vec<String>,
}

/// As many atlases are kept for further scans.
const IDLE: usize = 16;

/// The include scanner of a build: what each file asks for is found out once. Shared by many threads.
#[derive(Debug, Default)]
pub struct Scanner {
    cache: cache::Cache,
    /// Those that no scan is using, the one used last at the end.
    atlases: Mutex<Vec<atlas::Atlas>>,
}

impl Scanner {
    /// A scanner that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds every file that the call described by `request` may read.
    ///
    /// # Errors
    /// When a source is missing, is no regular file or cannot be read; the message names it. A header that cannot be
    /// read is an entry in [`Scan::unresolved`].
    pub fn scan(&self, world: &dyn World, request: &ScanRequest) -> io::Result<Scan> {
        let idle = || self.atlases.lock().unwrap_or_else(PoisonError::into_inner);
        // Not to be waited for: whoever has it may be waiting for a file that takes minutes to make.
        let mut atlas = idle().pop().unwrap_or_default();
        let scan = run::Run::new(world, &self.cache, &mut atlas, request).finish();
        let mut idle = idle();
        if idle.len() < IDLE {
            idle.push(atlas);
        }
        scan
    }
}
