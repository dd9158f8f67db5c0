//! The answer: what a program needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use gg_ir::AbsPath;

use crate::Need;

/// What a program needs to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// What is to be executed. For a script that is the script itself, whose interpreter is among the needs.
    pub executable: AbsPath,
    /// The whole argument vector: the request's, with the program's own name in front. That is as it was asked for, or the path of
    /// the executable where an interpreter finds its parts by it.
    pub args: Vec<OsString>,
    /// How many of the request's arguments decided what is needed: with the same so far, or as few, and any others behind, the same is.
    pub decisive: usize,
    /// What has to stand at which path. What lies below another one's [`Need::Tree`] is laid over it, and only what that tree leaves out
    /// does. No path leads through a symbolic link, unless the link itself is in a tree.
    pub needs: BTreeMap<AbsPath, Need>,
    /// Variables that the program must be given, in place of those of the same name in the request's environment: PATH where
    /// something is found by it, with only the directories where that is; `LD_LIBRARY_PATH` and an interpreter's own where they matter.
    pub env: BTreeMap<OsString, OsString>,
    /// Where things were looked for, and files that were read and are no needs; `None` if more decided than can be looked at again
    /// ([`Captured::sight`]).
    pub(crate) looked: Option<BTreeSet<PathBuf>>,
    /// What could not be found and may be missed, in order: here the program does without it, too, or has not come to it.
    pub notes: Vec<Note>,
}

impl Captured {
    /// The whole argument vector for other arguments, the [decisive](Self::decisive) ones among which are the same.
    pub fn args_with(&self, args: &[OsString]) -> Vec<OsString> {
        self.args.iter().take(1).chain(args).cloned().collect()
    }
}

/// Something that was not found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A shared library, which is loaded at run time if at all, lacks others.
    MissingLibrary {
        /// The library.
        library: PathBuf,
        /// What it lacks, or what its loader says.
        lacks: String,
    },
    /// A module that a Python program imports somewhere is not installed.
    MissingModule {
        /// The module.
        module: String,
        /// The file that imports it.
        importer: PathBuf,
    },
    /// A Python program looks for modules where only its run shows.
    SearchPath {
        /// The file that changes `sys.path`.
        importer: PathBuf,
        /// In which line.
        line: String,
    },
    /// A link in a directory that was taken whole leads out of it, to more than comes along without being named.
    LinkOut {
        /// The link.
        link: PathBuf,
        /// The directory that it leads to.
        target: PathBuf,
    },
    /// Compiled Python modules cannot be kept; Python compiles what it imports each time.
    NotCompiled {
        /// Where they are to be kept.
        directory: PathBuf,
        /// What Python said.
        why: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLibrary { library, lacks } => {
                write!(f, "{} needs {lacks}, which the loader does not find", library.display())
            }
            Self::MissingModule { module, importer } => {
                write!(f, "{} imports {module}, which is not installed", importer.display())
            }
            Self::SearchPath { importer, line } => {
                let importer = importer.display();
                write!(
                    f,
                    "{importer}, line {line}, changes sys.path in a way that only its run shows: what it imports from there may be \
                     missing, or be another; name that directory as one that belongs to the program (`also`)"
                )
            }
            Self::LinkOut { link, target } => {
                let (link, target) = (link.display(), target.display());
                write!(
                    f,
                    "{link} leads to {target}, which is much and was not taken along: name it (`also`) if the program needs it"
                )
            }
            Self::NotCompiled { directory, why } => {
                write!(f, "cannot keep compiled Python modules in {}: {why}", directory.display())
            }
        }
    }
}
