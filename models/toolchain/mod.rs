//! Which files of the machine a tool needs to run: what has to be visible in a sandbox beside a step's inputs.
//!
//! # Layout
//!
//! - `elf`: loaders and shared libraries of one program
//! - `programs`: how a program finds the programs that it starts
//! - `gcc`, `clang`: what the two compilers are made of
//! - `described`: what a data file says of its tool
//! - `locale`: messages and character sets
//!
//! The answer holds host paths with their symlinks unresolved; who seals them takes the symlinks on the way too.

mod clang;
mod described;
pub mod elf;
mod gcc;
mod locale;
mod programs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::driver::name::{self, Family};
use crate::tools::Needs;
use crate::{Environment, FileKind, Reason, World, binutils};

/// What a tool needs to run, as absolute host paths, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// Single files: programs, loaders, shared libraries, plugins, messages.
    pub files: Vec<PathBuf>,
    /// Whole directories: a compiler's own library directory.
    pub trees: Vec<PathBuf>,
}

/// Programs that only start another compiler, by the name of the file behind every symlink.
const WRAPPERS: &[&str] = &["ccache", "sccache", "distcc", "icecc", "colorgcc", "buildcache", "gomacc", "cachepot"];

/// What `tool` (as PATH finds it, absolute) needs to run under `env`; `needs` is what a data file says of it, if one does.
///
/// # Errors
/// [`Reason::Wrapper`] for scripts and compiler caches, [`Reason::MissingInput`] where there is no such file, and
/// [`Reason::Unsealable`] where a compiler does not say where its parts are.
pub fn capture(tool: &Path, needs: Option<&Needs>, world: &dyn World, env: &Environment) -> Result<Toolchain, Reason> {
    let target = world.resolve(tool).map_err(|_| Reason::MissingInput(tool.to_owned()))?;
    if target.file_name().is_some_and(|name| WRAPPERS.iter().any(|wrapper| name == *wrapper)) {
        return Err(Reason::Wrapper);
    }
    let mut parts = Parts { world, env, files: BTreeSet::new(), trees: BTreeSet::new(), messages: Vec::new() };
    if parts.is_script(tool)? {
        return Err(Reason::Wrapper);
    }
    parts.program(tool)?;
    match name::compiler(tool, world).map(|compiler| compiler.family) {
        Some(Family::Gcc) => gcc::capture(tool, &mut parts)?,
        Some(Family::Clang) => clang::capture(tool, &mut parts)?,
        None => {
            parts.plugins(tool)?;
            gcc::capture_wrapper(tool, &mut parts)?;
        }
    }
    if let Some(needs) = needs {
        described::capture(tool, needs, &mut parts)?;
    }
    locale::capture(&mut parts, locale::CATALOGUES);
    Ok(parts.finish())
}

/// The locales that `env` names, with the C library's messages in them: what any program needs to speak as it is told.
pub fn locales(world: &dyn World, env: &Environment) -> Toolchain {
    let mut parts = Parts { world, env, files: BTreeSet::new(), trees: BTreeSet::new() };
    locale::capture(&mut parts, locale::LIBC);
    parts.finish()
}

/// What has been found so far.
struct Parts<'a> {
    world: &'a dyn World,
    env: &'a Environment,
    files: BTreeSet<PathBuf>,
    trees: BTreeSet<PathBuf>,
    /// The names of message catalogues beside those of compilers and binutils.
    messages: Vec<String>,
}

impl Parts<'_> {
    /// Adds a program or shared library with everything that it is loaded with; nothing where there is no such file.
    fn program(&mut self, path: &Path) -> Result<(), Reason> {
        if self.world.kind(path) != Some(FileKind::File) || !self.files.insert(path.to_owned()) {
            return Ok(());
        }
        let libraries = elf::closure(path, self.world, self.env)?;
        self.files.extend(libraries);
        Ok(())
    }

    /// Adds a file as it is, if there is one.
    fn file(&mut self, path: &Path) {
        if self.world.kind(path) == Some(FileKind::File) {
            self.files.insert(path.to_owned());
        }
    }

    /// Adds a whole directory, if there is one.
    fn tree(&mut self, path: &Path) {
        if self.world.kind(path) == Some(FileKind::Directory) {
            self.trees.insert(path.to_owned());
        }
    }

    /// Adds what ar, ld and their kin load when they meet an object they do not know, and ld's own scripts.
    fn plugins(&mut self, tool: &Path) -> Result<(), Reason> {
        for directory in binutils::plugin_directories(tool, self.world) {
            for name in self.world.list(&directory).unwrap_or_default() {
                self.program(&directory.join(name))?;
            }
        }
        Ok(())
    }

    /// Whether a file is a script rather than a program.
    fn is_script(&self, path: &Path) -> Result<bool, Reason> {
        let missing = |_| Reason::MissingInput(path.to_owned());
        match self.world.head(path, 2).map_err(missing)? {
            Some(head) => Ok(head == b"#!"),
            None => Ok(self.world.read(path).map_err(missing)?.starts_with(b"#!")),
        }
    }

    fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.get(OsStr::new(name)).map(|value| value.as_os_str()).filter(|value| !value.as_bytes().is_empty())
    }

    /// Files inside a tree go with the tree.
    fn finish(self) -> Toolchain {
        let Self { files, trees, .. } = self;
        // `tree/../program` is not in the tree: so do cross compilers name their assembler.
        let inside = |path: &Path, above: &Path| {
            path.strip_prefix(above).is_ok_and(|rest| !rest.components().any(|part| part == Component::ParentDir))
        };
        let nested = |path: &Path| path.ancestors().skip(1).any(|above| trees.contains(above) && inside(path, above));
        Toolchain {
            files: files.iter().filter(|path| !nested(path)).cloned().collect(),
            trees: trees.iter().filter(|path| !nested(path)).cloned().collect(),
        }
    }
}
