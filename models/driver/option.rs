//! What one option of a compiler driver is: how it takes its operand and what it means.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use super::known;
use super::name::Family;
use super::rows;

/// One row of the option table: spelling, operand, meaning, and the compilers that have it.
pub type Row = (&'static str, Operand, Meaning, Families);

/// How an option takes its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// It has none: `-c`.
    Alone,
    /// The rest of the argument: `-std=c99`.
    Joined,
    /// The next argument: `-include x.h`.
    Separate,
    /// The rest of the argument, or the next one when nothing is left: `-ofile`, `-o file`.
    Either,
    /// The rest of the argument, which may be empty: `-O`, `-O2`.
    Optional,
}

/// Which compilers have an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// GCC and Clang alike.
    Both,
    /// GCC alone.
    Gcc,
    /// Clang alone.
    Clang,
}

impl Families {
    fn has(self, family: Family) -> bool {
        match self {
            Self::Both => true,
            Self::Gcc => family == Family::Gcc,
            Self::Clang => family == Family::Clang,
        }
    }
}

/// Where a driver stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// `-E`, `-M`, `-MM`: after preprocessing.
    Preprocess,
    /// `-S`: with assembly (or LLVM IR).
    Compile,
    /// `-c`: with an object.
    Assemble,
    /// After linking.
    Link,
}

/// A chain of directories that `#include` searches (GCC manual, "Directory Options").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// `-iquote`
    Quote,
    /// `-I`
    Bracket,
    /// `-isystem`
    System,
    /// `-idirafter`
    After,
}

/// What of the `-M` family an option is (GCC manual, "Preprocessor Options").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// `-M`, `-MM`: rules in place of preprocessed text.
    Only,
    /// `-MD`, `-MMD`: rules beside the main output.
    Beside,
    /// `-MF file`
    File,
    /// `-MG`: headers that do not exist count as generated.
    Missing,
    /// `-MP`, `-MT`, `-MQ`, `-MV`: what the rules look like.
    Style,
}

/// Where an option hands its operand on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// `-Wp,a,b`
    Preprocessor,
    /// `-Xpreprocessor a`
    PreprocessorWord,
    /// `-Wa,a,b`
    Assembler,
    /// `-Xassembler a`
    AssemblerWord,
    /// `-Xclang a`: Clang's inner compiler.
    Inner,
    /// `-mllvm a`: LLVM's own options.
    Llvm,
}

/// A file written beside the main output, named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `-gsplit-dwarf`: `.dwo`
    SplitDwarf,
    /// `-gno-split-dwarf`
    NoSplitDwarf,
    /// `--coverage`, `-ftest-coverage`: `.gcno`
    Coverage,
    /// `-fstack-usage`: `.su`
    StackUsage,
    /// `-fcallgraph-info`: `.ci`
    CallGraph,
    /// `-save-temps`, `-save-temps=obj`
    Temporaries,
    /// `-save-temps=cwd`
    TemporariesHere,
    /// `-ftime-trace`: `.json`
    TimeTrace,
    /// `-dumpbase`, `-dumpdir`, `-dumpbase-ext`: other names for all of these.
    Names,
}

/// What an option means to gg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `-o file`
    Output,
    /// `-c`, `-S`, `-E`
    Stop(Stop),
    /// A directory for a chain.
    Include(Chain),
    /// `-I-`: the directories before it serve quotes only, and the current file's directory is not searched.
    Split,
    /// `-include file`, `-imacros file`
    Forced,
    /// `-D name[=value]`
    Define,
    /// `-U name`
    Undefine,
    /// `-x language`
    Language,
    /// The `-M` family.
    Dependency(Dependency),
    /// Handed on to another tool.
    Pass(Pass),
    /// `-l name`: an input of the link.
    Library,
    /// Only the link cares, and the link is asked about with `-###`.
    Linking,
    /// Has a say in the built-in include directories, so it is part of the question about them.
    Search,
    /// `-B prefix`: like [`Meaning::Search`], and programs are looked for there first.
    ToolPrefix,
    /// `-specs=file`: like [`Meaning::Search`], and a file is read.
    Specs,
    /// A file written beside the main output.
    Side(Side),
    /// The operand is a file that is written; the text is its tag.
    Writes(&'static str),
    /// The operand is a file that is read.
    Reads,
    /// `-fprofile-use[=path]`: profiles of earlier runs are read.
    Profile,
    /// `-march=native` and its kin: this machine decides.
    Native,
    /// Debug information, or another record of the command line in the output.
    Record,
    /// Emits LLVM IR in place of assembly and objects.
    Llvm,
    /// `-v`: tells what it runs, and where it looks.
    Verbose,
    /// A question to the tool about itself.
    Query,
    /// The call runs here; the text says what it depends on.
    Here(&'static str),
    /// Only the exit status and the diagnostics count.
    CheckOnly,
    /// A switch of a family too large for rows, judged by the lists in `known`.
    Listed,
    /// Reads, writes and finds nothing.
    Harmless,
}

/// An option found in a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The spelling of its row.
    pub spelling: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// Its operand; empty where it has none.
    pub operand: OsString,
    /// The operand is an argument of its own.
    pub separate: bool,
}

static TABLE: LazyLock<HashMap<&'static [u8], Vec<&'static Row>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows::all() {
        table.entry(row.0.as_bytes()).or_default().push(row);
    }
    table
});

/// Finds the row with the longest spelling that `arg` starts with, and the operand; `next` is the argument after it.
/// `None` when no row describes it, or its operand is missing.
pub fn find(arg: &OsStr, next: Option<&OsString>, family: Family) -> Option<Found> {
    let bytes = arg.as_bytes();
    for length in (1..=bytes.len()).rev() {
        let (head, rest) = bytes.split_at(length);
        for &&(spelling, operand, meaning, families) in TABLE.get(head).into_iter().flatten() {
            if !families.has(family) {
                continue;
            }
            let found = |operand: &OsStr, separate| Found { spelling, meaning, operand: operand.into(), separate };
            let found = match (operand, rest.is_empty()) {
                (Operand::Alone, true) => found(OsStr::new(""), false),
                (Operand::Joined | Operand::Optional, _) | (Operand::Either, false) => {
                    found(OsStr::from_bytes(rest), false)
                }
                (Operand::Separate | Operand::Either, true) => found(next?, true),
                (Operand::Alone | Operand::Separate, false) => continue,
            };
            if meaning == Meaning::Listed && !known::is_known(bytes, family) {
                return None;
            }
            return Some(found);
        }
    }
    None
}
