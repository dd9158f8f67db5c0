//! Python programs: the interpreter, its standard library, and what is imported.
//!
//! # Layout
//!
//! - `command`: what a command line tells Python to run
//! - `distributions.py`, `search.py`, `probe.py`: run in the interpreter, and say which files and directories are imported; they look at
//!   texts, and execute none
//! - `answer`: what it says
//! - `bytecode`, `compile.py`: compiled modules

mod answer;
mod bytecode;
mod command;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gg_models::{Environment, World};

use crate::disk::Disk;
use crate::gather::{Gather, Started};
use crate::lookup::Found;
use crate::{CaptureError, Note, interpreters, objects};
use answer::Record;
use command::{Command, Target};

const PROBE: &str = concat!(include_str!("distributions.py"), include_str!("search.py"), include_str!("probe.py"));

/// Compiled modules, which Python writes beside their texts: they hold times, and other bytes each time.
const COMPILED: &str = "__pycache__";

/// What of the standard library is taken only if one of some modules is imported: it is large, or needs much that is large, and most
/// programs have no business with it. What ends with a dot or dash is the beginning of names.
const SELDOM: &[(&[&str], &[&str])] = &[
    (&["test"], &["test"]),
    (&["ensurepip"], &["ensurepip"]),
    (&["idlelib"], &["idlelib"]),
    (&["turtledemo"], &["turtledemo"]),
    (&["tkinter", "_tkinter", "turtle", "turtledemo", "idlelib"], &["tkinter", "lib-dynload/_tkinter."]),
];

/// Where packages are installed, which are taken as they are imported.
const INSTALLED: &[&str] = &["site-packages", "dist-packages"];

/// The directory with what Python is linked from, which lies in the same place (`config-3.11-x86_64-linux-gnu`).
const LINKED_FROM: &str = "config-";

/// Variables that are set unless the caller sets them, and to what. Compiled modules would be among what a program writes, and
/// with a hash seed of each run's own the order of sets, and with it outputs, would differ between runs of the same thing.
const VARIABLES: &[(&str, &str)] = &[("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONHASHSEED", "0")];

/// Variables by which modules are found.
const PLACES: &[&str] = &["PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONNOUSERSITE", "PYTHONSAFEPATH"];

/// The paths in a directory that are meant by this one: those that begin so, if it ends with a mark.
fn begun(directory: &Path, path: &str) -> Vec<PathBuf> {
    if !path.ends_with(['.', '-']) {
        return vec![path.into()];
    }
    let (above, beginning) = path.rsplit_once('/').unwrap_or(("", path));
    let listed = Disk.list(&directory.join(above)).unwrap_or_default().into_iter();
    let meant = listed.filter(|name| name.as_bytes().starts_with(beginning.as_bytes()));
    meant.map(|name| Path::new(above).join(name)).collect()
}

/// Whether a program is Python, by its name: `python`, `python3`, `python3.13`, `python3.13t`.
pub(crate) fn is_python(program: &Path) -> bool {
    interpreters::is_called(program, "python") || {
        let name = program.as_os_str().to_string_lossy();
        name.strip_suffix(['t', 'd']).is_some_and(|name| interpreters::is_called(Path::new(name), "python"))
    }
}

impl Gather<'_> {
    /// Adds Python with what these arguments make it import. `named` says that a script names it by its path.
    ///
    /// # Errors
    /// [`CaptureError::Unanswered`], [`CaptureError::NoPackage`], and as [`Gather::program`].
    pub fn python(&mut self, found: &Found, args: &[OsString], named: bool) -> Result<Started, CaptureError> {
        let command = Command::parse(args);
        if self.is_main {
            // What scripts on the way have put before them is theirs.
            self.decisive = command.asked.saturating_sub(args.len() - self.request.args.len());
        }
        let records = self.ask_python(&found.path, &command)?;
        let said = records.iter().find(|it| it.kind == "executable").map(|it| it.path());
        let mut python = found.path.clone();
        // A script that picks an interpreter and starts it (pyenv's shims): what it picks is taken in its place.
        if !objects::is_object(&python) {
            // By what it picks, only it knows.
            self.looked = None;
            python = said.filter(|said| said.is_absolute() && objects::is_object(said)).ok_or_else(|| {
                let why = "it is a script, and does not say which interpreter it starts".to_owned();
                CaptureError::Unanswered { interpreter: found.path.clone(), why }
            })?;
            if named {
                self.places.stand_in(&found.path, python.clone().into())?;
            }
            self.path_first.extend(python.parent().filter(|_| found.directory.is_some()).map(Path::to_owned));
        } else {
            self.search.extend(found.directory.clone());
        }
        let real = self.places.file(&python)?;
        self.program(&real)?;
        self.standard_library(&records)?;
        for record in &records {
            self.record(record, &python)?;
        }
        let paths = |kind: &str| records.iter().filter(|it| it.kind == kind).map(Record::path).collect::<Vec<_>>();
        if let Some(form) = records.iter().find(|it| it.kind == "bytecode") {
            self.compiled(&python, &form.first, &paths("library"), &paths("tree"))?;
        }
        for (name, value) in VARIABLES {
            let value = self.request.env.get(OsStr::new(name)).cloned().unwrap_or_else(|| value.into());
            self.env.insert(name.into(), value);
        }
        for name in PLACES {
            if let Some(value) = self.request.env.get(OsStr::new(name)) {
                self.env.insert(name.into(), value.clone());
            }
        }
        let missing = records.iter().filter(|it| it.kind == "missing-package");
        let missing: BTreeSet<String> = missing.map(|it| it.first.to_string_lossy().into_owned()).collect();
        match &mut self.lacking {
            Some((_, lacking)) => lacking.retain(|package| missing.contains(package)),
            lacking => *lacking = Some((python.clone(), missing)),
        }
        Ok(Started { executable: python.clone(), name: Some(python.into()) })
    }

    fn ask_python(&self, python: &Path, command: &Command) -> Result<Vec<Record>, CaptureError> {
        let request = self.request;
        let unanswered = |why: String| CaptureError::Unanswered { interpreter: python.into(), why };
        let (kind, target) = match &command.target {
            Target::Script(script) => {
                let path = request.cwd.join(script);
                if !path.exists() {
                    return Err(CaptureError::Missing { path });
                }
                ("script", path.into_os_string())
            }
            Target::Module(module) => ("module", module.clone()),
            Target::Code(code) => ("code", code.clone()),
            Target::Nothing => ("none", "-".into()),
        };
        let mut argv: Vec<OsString> = vec![python.into()];
        argv.extend(command.options.iter().cloned());
        argv.extend(["-c".into(), PROBE.into(), kind.into(), target]);
        argv.extend(request.packages.iter().map(OsString::from));
        let mut env: Environment = request.env.clone();
        env.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
        // It would stay in the interpreter once it is done.
        env.remove(OsStr::new("PYTHONINSPECT"));
        let answer = Disk.ask(&argv, &request.cwd, &env).map_err(|error| unanswered(error.to_string()))?;
        let records = answer.success.then(|| answer::records(&answer.stdout)).flatten();
        records.ok_or_else(|| unanswered(interpreters::last_line(&answer.stderr)))
    }

    /// Adds the standard library.
    fn standard_library(&mut self, records: &[Record]) -> Result<(), CaptureError> {
        let imported: BTreeSet<&OsStr> =
            records.iter().filter(|it| it.kind == "standard").map(|it| it.first.as_os_str()).collect();
        let left_out = SELDOM.iter().filter(|(names, _)| !names.iter().any(|it| imported.contains(OsStr::new(it))));
        for record in records.iter().filter(|it| it.kind == "library") {
            let library = record.path();
            let mut without = BTreeSet::from([PathBuf::from(COMPILED)]);
            let beginnings = left_out.clone().flat_map(|(_, paths)| *paths).chain(INSTALLED).chain([&LINKED_FROM]);
            for path in beginnings {
                without.extend(begun(&library, path).into_iter().map(|path| Path::new("/").join(path)));
            }
            self.tree(&library, &without)?;
        }
        Ok(())
    }

    fn record(&mut self, record: &Record, python: &Path) -> Result<(), CaptureError> {
        let path = record.path();
        match record.kind.as_str() {
            "file" => {
                let Some(real) = self.places.optional(&path)? else { return Ok(()) };
                if objects::is_object(&real) {
                    self.library(&real)?;
                }
            }
            "tree" => self.tree(&path, &BTreeSet::from([COMPILED.into()]))?,
            "looked" => self.look([path]),
            "directory" => drop(self.places.optional(&path)?),
            "user-base" => drop(self.env.insert("PYTHONUSERBASE".into(), record.first.clone())),
            "missing-module" => {
                let module = record.first.to_string_lossy().into_owned();
                self.notes.insert(Note::MissingModule { module, importer: PathBuf::from(&record.second) });
            }
            "search-path" => {
                let line = record.second.to_string_lossy().into_owned();
                self.notes.insert(Note::SearchPath { importer: path, line });
            }
            "missing-target" => {
                let module = record.first.to_string_lossy().into_owned();
                return Err(CaptureError::NoModule { module, interpreter: python.into() });
            }
            _ => {}
        }
        Ok(())
    }
}
