//! What the sources of a recipe stand for on this machine.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gg_ir::{Entry, Input, Kind, Name, Reference, Tree};
use gg_recipe::{RecipeError, Source, Sources};
use gg_store::Store;

use crate::session::Placeholders;

/// No real directory is nested deeper.
const DEEPEST: usize = 200;

/// Directories that were taken in, each once for as long as this lives: ten thousand recipes may name the same one.
#[derive(Default)]
pub struct Taken(Mutex<HashMap<PathBuf, Name>>);

impl Taken {
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Name>> {
        // Changed by single calls: whole even if a thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This machine's files, as a recipe may name them.
pub struct Host<'a> {
    store: &'a Store,
    /// Where relative paths begin.
    cwd: &'a Path,
    taken: &'a Taken,
}

impl<'a> Host<'a> {
    /// Files of this machine; relative paths are seen from `cwd`.
    pub fn new(store: &'a Store, cwd: &'a Path, taken: &'a Taken) -> Self {
        Self { store, cwd, taken }
    }

    /// Takes in what is at a path now: a file, or a directory with all below it, also where a link leads to it; links below a
    /// directory stay links. A placeholder stands for what it stands for.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is nothing of these.
    pub fn file(&self, path: &Path) -> Result<Input, RecipeError> {
        let named = self.cwd.join(path);
        let path = fs::canonicalize(&named).map_err(|error| cannot_read(&named, &error))?;
        let meta = fs::metadata(&path).map_err(|error| cannot_read(&path, &error))?;
        if meta.is_dir() {
            let known = self.taken.lock().get(&path).copied();
            if let Some(name) = known {
                return Ok(Input::Tree(name));
            }
            let name = self.tree(&path, 0)?;
            self.taken.lock().insert(path, name);
            return Ok(Input::Tree(name));
        }
        let mode = meta.mode() & 0o7777;
        if let Some(placeholder) = Placeholders::at(&path) {
            return Ok(Input::File { object: placeholder.reference(), mode });
        }
        Ok(Input::File { object: Reference::Value(self.value(&path)?), mode })
    }

    fn value(&self, path: &Path) -> Result<Name, RecipeError> {
        self.store.import(path).map(|(name, _)| name).map_err(|error| RecipeError::new(error.to_string()))
    }

    fn tree(&self, directory: &Path, depth: usize) -> Result<Name, RecipeError> {
        if depth > DEEPEST {
            return Err(RecipeError::new(format!("{} is nested too deep", directory.display())));
        }
        let mut tree = Tree::new();
        for entry in fs::read_dir(directory).map_err(|error| cannot_read(directory, &error))? {
            let path: PathBuf = entry.map_err(|error| cannot_read(directory, &error))?.path();
            let meta = fs::symlink_metadata(&path).map_err(|error| cannot_read(&path, &error))?;
            let entry = if meta.is_symlink() {
                Entry::Symlink(fs::read_link(&path).map_err(|error| cannot_read(&path, &error))?.into())
            } else if meta.is_dir() {
                Entry::Tree(self.tree(&path, depth + 1)?)
            } else if meta.is_file() {
                if Placeholders::at(&path).is_some() {
                    let path = path.display();
                    return Err(RecipeError::new(format!(
                        "{path} is a placeholder in a directory; run `gg force {path}` first"
                    )));
                }
                Entry::File { content: self.value(&path)?, mode: meta.mode() & 0o7777 }
            } else {
                // A socket or a pipe is nothing that could be sent anywhere.
                continue;
            };
            if let Some(name) = path.file_name() {
                tree.insert(name, entry);
            }
        }
        self.store.put_tree(&tree).map_err(|error| RecipeError::new(error.to_string()))
    }

    fn put(&self, content: &[u8]) -> Result<Input, RecipeError> {
        let name = self.store.put(Kind::Value, content).map_err(|error| RecipeError::new(error.to_string()))?;
        Ok(Input::File { object: Reference::Value(name), mode: 0o644 })
    }
}

impl Sources for Host<'_> {
    fn input(&mut self, source: &Source) -> Result<Input, RecipeError> {
        if let Some(text) = &source.text {
            return self.put(text.as_bytes());
        }
        if let Some(text) = &source.base64 {
            let content = STANDARD.decode(text).map_err(|error| RecipeError::new(format!("base64: {error}")))?;
            return self.put(&content);
        }
        if let Some(path) = &source.file {
            if path.0.is_empty() {
                return Err(RecipeError::new("file: an empty path leads to nothing"));
            }
            return self.file(Path::new(&path.to_os()));
        }
        let kind = if source.input.is_some() { "input" } else { "made" };
        Err(RecipeError::new(format!("{kind}: only what a program states in a graph can name that")))
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> RecipeError {
    RecipeError::new(format!("cannot read {}: {error}", path.display()))
}
