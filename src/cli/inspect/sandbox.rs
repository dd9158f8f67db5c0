//! What a step's sandbox is made from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use gg_ir::{AbsPath, Input, Kind, Name, Reference, Thunk};
use gg_store::Store;
use gg_worker::{Job, WorkerError};

use super::{Found, absolute};
use crate::shell;

/// A step, ready to be put into a sandbox again.
pub struct Sandboxed {
    /// Its thunk's name.
    pub name: Name,
    /// Its thunk.
    pub thunk: Arc<Thunk>,
    /// What the outputs of other steps among its inputs are.
    pub resolved: BTreeMap<Reference, Name>,
}

impl Sandboxed {
    /// Reads it.
    ///
    /// # Errors
    /// When its thunk, or what it needs of other steps, is not in the store.
    pub fn of(found: &Found, store: &Store) -> Result<Self> {
        let name = found.thunk()?;
        let thunk = store.read_thunk(&name).map_err(|error| {
            anyhow!("what {} was made from is not kept any more: {error}; build it again", found.label())
        })?;
        let mut resolved = BTreeMap::new();
        for (path, input) in &thunk.inputs {
            let Input::File { object: reference @ Reference::Output(other, tag), .. } = input else { continue };
            let made = store.recorded(other)?.and_then(|made| Some(made.outputs.get(tag)?.object.clone()));
            let Some(Reference::Value(value)) = made else {
                let path = path.as_path().to_string_lossy();
                let path = found.record.shorten(&path);
                bail!(
                    "{} needs {path}, which was not made, or is not kept any more; build {path} first",
                    found.label()
                );
            };
            resolved.insert(reference.clone(), value);
        }
        Ok(Self { name, thunk, resolved })
    }

    /// As a job.
    pub fn job(&self) -> Job<'_> {
        let (thunk, resolved) = (&self.name, self.resolved.clone());
        Job { thunk, description: &self.thunk, resolved, timeout: Duration::MAX, terminal: false }
    }

    /// The path of the input that is this object.
    pub fn path_of(&self, lost: &Name) -> Option<String> {
        let is_lost = |input: &Input| match input {
            Input::File { object: Reference::Value(value), .. } | Input::Tree(value) => value == lost,
            Input::File { object, .. } => self.resolved.get(object) == Some(lost),
            _ => false,
        };
        self.thunk.inputs.iter().find(|(_, input)| is_lost(input)).map(|(path, _)| path.to_string())
    }

    /// An error of the worker's, with the path of the input that it is about.
    pub fn explained(&self, error: WorkerError) -> anyhow::Error {
        let (WorkerError::Missing(lost) | WorkerError::Corrupt(lost)) = &error else { return error.into() };
        let what = self.path_of(lost).unwrap_or_else(|| lost.to_string());
        anyhow!(
            "{what} is not kept in this machine's store, in the state that the step saw; build again here, then reproduce"
        )
    }

    /// The lines of a shell script that runs the step's command as gg does; `in_root` comes before the command and its arguments,
    /// in words of a shell, and enters the sandbox's root and the directory. The last line ends the script.
    pub fn script(&self, env: &str, in_root: &str, stdin: &str) -> String {
        let function = &self.thunk.function;
        let set = |(name, value): (&OsString, &OsString)| {
            let mut word = name.clone();
            word.push("=");
            word.push(value);
            shell::quote(&word)
        };
        let variables: Vec<String> = function.env.iter().map(set).collect();
        let arguments = shell::line(function.args.get(1..).unwrap_or_default());
        let program = shell::quote(&self.program());
        let merged = if self.thunk.is_merged() { " 2>&1" } else { "" };
        let words = [&format!("exec {env} -i"), &variables.join(" "), in_root, &program, &arguments];
        let words: Vec<&str> = words.into_iter().map(|word| word as &str).filter(|word| !word.is_empty()).collect();
        format!("umask {:03o}\n{} <{stdin}{merged}\n", function.umask, words.join(" "))
    }

    /// The name by which the program is started from its directory: that of its `argv[0]`, where it leads to it.
    fn program(&self) -> OsString {
        let function = &self.thunk.function;
        let path = function.executable.as_path();
        let leads = |name: &OsStr| {
            if name.as_encoded_bytes().contains(&b'/') {
                return absolute(Path::new(name), function.cwd.as_path()) == path;
            }
            let places = function.env.get(OsStr::new("PATH"));
            places.is_some_and(|places| std::env::split_paths(places).any(|place| place.join(name) == path))
        };
        function.args.first().filter(|name| leads(name)).cloned().unwrap_or_else(|| path.into())
    }

    /// What its standard input is, if it has one.
    ///
    /// # Errors
    /// When that is not in the store.
    pub fn stdin(&self, store: &Store) -> Result<Option<Vec<u8>>> {
        let input = AbsPath::new(Thunk::STDIN).ok().and_then(|path| self.thunk.inputs.get(&path));
        let Some(Input::File { object, .. }) = input else { return Ok(None) };
        let value = match object {
            Reference::Value(value) => Some(value),
            output => self.resolved.get(output),
        };
        let value = value.filter(|value| value.kind() == Kind::Value);
        value.map(|value| store.read(value).map_err(|error| self.explained(error.into()))).transpose()
    }
}
