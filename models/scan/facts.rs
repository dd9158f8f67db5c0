//! What one file asks for.

/// How a name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Its text is read in (`#include`).
    Include,
    /// Only its existence counts here (`__has_include`), but what exists is mostly included next.
    Probe,
    /// Its bytes or its time count, not what it includes (`#embed`, `#pragma GCC dependency`).
    Data,
}

/// A header name that is spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// The name between the quotes or brackets.
    pub name: Box<[u8]>,
    /// It stood in quotes.
    pub quoted: bool,
    /// The search goes on after the directory of the current file (`#include_next`).
    pub next: bool,
    /// How it is used.
    pub usage: Use,
    /// It stands outside every `#if`.
    pub unconditional: bool,
}

/// Where the name of a file comes from a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Computed {
    /// The macro; `None` where it takes more than the expansion of one name.
    pub name: Option<Box<[u8]>>,
    /// What the name is for.
    pub place: Place,
    /// The line, from 1.
    pub line: usize,
}

/// Where a computed name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `#include NAME` and its kin.
    Directive {
        /// `#include_next`.
        next: bool,
        /// How the file is used.
        usage: Use,
    },
    /// `__has_include(NAME)`.
    Condition {
        /// `__has_include_next`.
        next: bool,
        /// How the file is used.
        usage: Use,
    },
    /// `.incbin NAME`, `.include NAME`.
    Assembler {
        /// It is `.include`, whose text is read in turn.
        include: bool,
    },
}

/// A file named to the assembler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Embedded {
    /// The name between the quotes.
    pub name: Box<[u8]>,
    /// It is `.include`, whose text is read in turn, rather than `.incbin`.
    pub include: bool,
}

/// Something that no scan can follow, whatever else it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// What it is.
    pub what: &'static str,
    /// The line, from 1.
    pub line: usize,
}

/// What one file asks for: a function of its content alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Names spelled out, in the order of the text.
    pub lookups: Vec<Lookup>,
    /// Names that come from macros.
    pub computed: Vec<Computed>,
    /// Names for the assembler.
    pub embedded: Vec<Embedded>,
    /// Macros that stand for `__has_include`, by name: `#define HAS(x) __has_include(x)`.
    pub wrappers: Vec<Box<[u8]>>,
    /// Modules and the like.
    pub modules: Vec<Note>,
    /// `__DATE__` or `__TIME__` occurs.
    pub volatile: bool,
    /// `__TIMESTAMP__` occurs.
    pub timestamp: bool,
}
