//! Tools described by data files: one TOML file says how a tool's command line names what it reads and writes.
//!
//! ```toml
//! names = ["squeeze", "squeeze-*"]      # file names of the program; `*` stands for anything
//! kind = "other"                        # compile, assemble, preprocess, archive, link, strip or other
//! environment = ["SQUEEZE_LEVEL"]       # variables it looks at, beside PATH, PWD, TMPDIR and those of the language
//! positional = ["input", "output"]      # what the operands are, in order; ...
//! rest = "input"                        # ... what further operands are (without this they are unknown)
//! clusters = true                       # `-ab` means `-a -b`; default false
//! response-files = true                 # `@file` stands for the arguments in it; default false
//! default-output = { from = "first", append = ".sq" }   # the output where none is named
//!
//! [[option]]
//! names = ["-o", "--output"]
//! operand = "either"                    # see the table in the module `args`
//! role = "output"
//! ```
//!
//! A role is one of
//!
//! | role | meaning |
//! |---|---|
//! | `flag` | concerns no file |
//! | `input` | a file that is read |
//! | `input-directory` | a directory all of whose files, but not those in directories below it, may be read |
//! | `output` | a file that is written, not executable |
//! | `executable` | a file that is written and made executable |
//! | `in-place` | a file that is read and written, and keeps its mode |
//! | `query` | the tool tells about itself: runs here |
//! | `reads` | the tool only prints what it reads: runs here |
//! | `here` | nothing that can be described: runs here |
//!
//! `default-output` takes the operand of an option (`from = "-e"`), or the first operand (`from = "first"`), replaces
//! its suffix by `suffix` if that is given, and adds `append`. A call that names no output and has no default one
//! writes to standard output and runs here. A call with an option or operand that the file does not describe runs here.
//!
//! A description is right only if the command line alone names every file: a tool that follows includes, or that reads
//! what its inputs name, must have those forms left out or marked `here`.

mod description;
mod plan;

use std::path::{Path, PathBuf};

use self::description::Description;
use crate::{Call, Plan, World};

/// The descriptions that come with the program.
const EMBEDDED: &[(&str, &str)] = &[
    ("dwp.toml", include_str!("dwp.toml")),
    ("elfedit.toml", include_str!("elfedit.toml")),
    ("patchelf.toml", include_str!("patchelf.toml")),
    ("xxd.toml", include_str!("xxd.toml")),
];

/// A data file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The directory or file cannot be read.
    #[error("cannot read the tool descriptions in {path:?}: {source}; give a directory of .toml files")]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid TOML or lacks something.
    #[error("tool description {path:?}: {message}; see the documentation of tool descriptions")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
    /// The file contradicts itself.
    #[error("tool description {path:?}: {what} {word:?}; correct it")]
    Meaning {
        /// The file.
        path: PathBuf,
        /// What is wrong with the word.
        what: &'static str,
        /// The word.
        word: String,
    },
}

/// Tools described by data files.
#[derive(Debug)]
pub struct Tools {
    tools: Vec<Description>,
}

impl Tools {
    /// The tools that come with the program, and before them those described by the `.toml` files of `directory`, which
    /// must exist when it is given.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(directory: Option<&Path>, world: &dyn World) -> Result<Self, ToolError> {
        let mut tools = Vec::new();
        if let Some(directory) = directory {
            let read = |path: &Path, source| ToolError::Read { path: path.to_owned(), source };
            for name in world.list(directory).map_err(|source| read(directory, source))? {
                let path = directory.join(name);
                if path.extension().is_some_and(|suffix| suffix == "toml") {
                    let content = world.read(&path).map_err(|source| read(&path, source))?;
                    tools.push(Description::parse(&path, &String::from_utf8_lossy(&content))?);
                }
            }
        }
        for (name, text) in EMBEDDED {
            tools.push(Description::parse(Path::new(name), text)?);
        }
        Ok(Self { tools })
    }

    /// The names of all tools that hold no `*`, for whoever puts stand-ins on PATH.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().flat_map(|tool| &tool.names).map(String::as_str).filter(|name| !name.contains('*'))
    }

    /// The plan for a call; `None` when no file describes the tool.
    pub fn plan(&self, call: &Call, world: &dyn World) -> Option<Plan> {
        let name = call.tool.file_name()?;
        self.tools.iter().find(|tool| tool.is_called(name)).map(|tool| plan::plan(tool, call, world))
    }
}

#[cfg(test)]
mod tests;
