//! The compilation database: which command compiles which file, for language servers and linters.
//!
//! The format is Clang's "JSON Compilation Database Format Specification": an array of objects with `directory`, `file`,
//! `arguments` and `output`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use gg_models::{Call, Compilation};
use serde::{Deserialize, Serialize};

/// The commands of one build, by what they compile and what comes out.
#[derive(Debug)]
pub struct CompileCommands {
    path: PathBuf,
    /// What an earlier build wrote: one that has little to do still describes the whole project.
    earlier: Vec<Command>,
    commands: Mutex<BTreeMap<(PathBuf, PathBuf), Command>>,
}

/// One object of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Command {
    directory: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<String>,
    /// In place of `arguments` in what others wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl Command {
    fn absolute(&self, path: &str) -> PathBuf {
        Path::new(&self.directory).join(path)
    }

    fn key(&self) -> (PathBuf, PathBuf) {
        (self.absolute(&self.file), self.output.as_deref().map(|output| self.absolute(output)).unwrap_or_default())
    }
}

impl CompileCommands {
    /// For a build whose commands are to be written to `path`, which is read first.
    ///
    /// # Errors
    /// When there is something else in its place.
    pub fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))?;
        let earlier = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is no compilation database; name another file, or remove it", path.display())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { path, earlier, commands: Mutex::default() })
    }

    /// Takes down one call. JSON is text: what is no text in names and arguments is shown as nearly as can be.
    pub fn add(&self, call: &Call, compilations: &[Compilation]) {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        // A language server asks this program what it has built in.
        let tool = [text(&call.tool)];
        let arguments: Vec<String> =
            tool.into_iter().chain(call.args().iter().map(|arg| arg.to_string_lossy().into_owned())).collect();
        for Compilation { source, output } in compilations {
            let command = Command {
                directory: text(&call.cwd),
                arguments: arguments.clone(),
                command: None,
                file: text(source),
                output: output.as_deref().map(text),
            };
            self.commands.lock().unwrap_or_else(PoisonError::into_inner).insert(command.key(), command);
        }
    }

    /// Writes the file: what this build did, and of what earlier ones did all whose sources are still there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let mut all: BTreeMap<_, _> = self.earlier.iter().map(|command| (command.key(), command.clone())).collect();
        all.retain(|(file, _), _| file.exists());
        all.extend(self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let all: Vec<Command> = all.into_values().collect();
        let write = || {
            let mut name = self.path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}", std::process::id()));
            let temporary = self.path.with_file_name(name);
            fs::write(&temporary, serde_json::to_vec_pretty(&all)?)?;
            fs::rename(&temporary, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}
