//! Tools described by data files: one TOML file says how a tool's command line names what it reads and writes, and what the
//! tool needs to run. The form is documented in `docs/tools.md`.
//!
//! What a file does not say makes a call run here: an option or operand that it does not describe, a value or name that it
//! does not allow, an output that nothing names.
//!
//! # Layout
//!
//! - `form`: a data file as it is written; `description`: the same, read and checked
//! - `plan`: a call of a described tool, planned
//! - `given`: the options and operands of one call
//! - `limits`: what makes a call run here, whatever its options are
//! - `writes`: the names of outputs that are derived from others
//! - `follow`: what inputs name in turn
//! - `pattern`, `places`: names and paths with `*`

mod description;
mod follow;
mod form;
mod given;
mod limits;
mod pattern;
mod places;
mod plan;
mod writes;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use self::description::Description;
pub use self::form::Needs;
pub(crate) use self::pattern::fits_one;
pub(crate) use self::places::matching;
use crate::{Call, Plan, World};

/// The descriptions that come with the program.
const EMBEDDED: &[(&str, &str)] = &[
    ("bison.toml", include_str!("bison.toml")),
    ("convert.toml", include_str!("convert.toml")),
    ("dwp.toml", include_str!("dwp.toml")),
    ("elfedit.toml", include_str!("elfedit.toml")),
    ("ffmpeg.toml", include_str!("ffmpeg.toml")),
    ("flex.toml", include_str!("flex.toml")),
    ("msgfmt.toml", include_str!("msgfmt.toml")),
    ("patchelf.toml", include_str!("patchelf.toml")),
    ("protoc.toml", include_str!("protoc.toml")),
    ("vpxenc.toml", include_str!("vpxenc.toml")),
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
    #[error("tool description {path:?}, line {line}: {what} {word:?}; correct it")]
    Meaning {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
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

    /// What the tool of this name needs to run, if a file describes it.
    pub(crate) fn needs(&self, name: &OsStr) -> Option<&Needs> {
        self.tools.iter().find(|tool| tool.is_called(name)).map(|tool| &tool.needs)
    }

    /// The names of all tools, for whoever puts stand-ins on PATH; `*` stands for anything.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().flat_map(|tool| &tool.names).map(String::as_str)
    }

    /// The plan for a call; `None` when no file describes the tool.
    pub fn plan(&self, call: &Call, world: &dyn World) -> Option<Plan> {
        let name = call.tool.file_name()?;
        self.tools.iter().find(|tool| tool.is_called(name)).map(|tool| plan::plan(tool, call, world))
    }
}

#[cfg(test)]
mod tests;
