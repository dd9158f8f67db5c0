//! A capture under way: from a name to all that is needed, through any number of scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gg_ir::{AbsPath, Placeholder};
use gg_models::{Environment, toolchain};

use crate::disk::{self, Disk};
use crate::lookup::Found;
use crate::places::Places;
use crate::{CaptureError, Captured, Note, Request, lookup, objects, python, script};

/// A script may be run by a script, as often as Linux follows (execve(2)).
const MOST_SCRIPTS: u32 = 5;

/// As much of a program as tells what it is.
const HEAD: usize = 4096;

/// Characters in plain English, which the C library reads for `C.UTF-8` where that is not built in.
const PLAIN: &str = "/usr/lib/locale/C.utf8";

/// What has been found so far.
#[derive(Clone)]
pub(crate) struct Gather<'a> {
    pub request: &'a Request,
    pub places: Places,
    /// What the loader is told when it is asked.
    pub loading: Environment,
    /// The ELF files that were looked at.
    pub objects: BTreeSet<PathBuf>,
    /// The file names of the libraries that are there.
    pub names: BTreeSet<OsString>,
    /// By the places that an object names (mostly none), the names of the libraries that were found, which are there with all that
    /// they need.
    pub usual: BTreeMap<Vec<OsString>, BTreeSet<OsString>>,
    /// The directories in which libraries were found, where the loader looks by itself or not.
    pub directories: BTreeSet<PathBuf>,
    /// The directories of `LD_LIBRARY_PATH` in which libraries were found.
    pub library_path: BTreeSet<PathBuf>,
    /// The entries and bytes of directories that links led to out of trees.
    pub linked: (u64, u64),
    /// By directory, those below for libraries that need newer processors.
    pub newer: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// The directories by which PATH leads to something.
    pub search: BTreeSet<PathBuf>,
    /// Those that come before all of PATH: what is there stands for something that PATH leads to.
    pub path_first: Vec<PathBuf>,
    /// The first of the programs that is Python, and the packages of the request that no such program has.
    pub lacking: Option<(PathBuf, BTreeSet<String>)>,
    pub env: BTreeMap<OsString, OsString>,
    /// See [`Captured::decisive`]; those of the program that was asked for are looked at for as long as `is_main`.
    pub decisive: usize,
    pub is_main: bool,
    /// See [`Captured::looked`].
    pub looked: Option<BTreeSet<PathBuf>>,
    pub notes: BTreeSet<Note>,
}

/// What was asked for, as it is executed.
pub(crate) struct Started {
    pub executable: PathBuf,
    /// What it must be told is its name, where that is not what it was asked for by.
    pub name: Option<OsString>,
}

/// How many arguments decided, and what is needed.
pub(crate) fn capture(request: &Request) -> (usize, Result<Captured, CaptureError>) {
    let mut gather = Gather {
        request,
        places: Places::default(),
        loading: objects::loader_environment(&request.env, &request.cwd),
        objects: BTreeSet::new(),
        names: BTreeSet::new(),
        usual: BTreeMap::new(),
        library_path: BTreeSet::new(),
        directories: BTreeSet::new(),
        linked: (0, 0),
        newer: BTreeMap::new(),
        search: BTreeSet::new(),
        path_first: Vec::new(),
        lacking: None,
        env: BTreeMap::new(),
        decisive: 0,
        is_main: true,
        looked: Some(BTreeSet::new()),
        notes: BTreeSet::new(),
    };
    let started = gather.all();
    (gather.decisive, started.and_then(|started| gather.finish(started)))
}

impl Gather<'_> {
    fn all(&mut self) -> Result<Started, CaptureError> {
        let request = self.request;
        let started = self.named(&request.program, &request.args)?;
        self.is_main = false;
        for program in &request.programs {
            self.named(program, &[])?;
        }
        for program in &request.guessed {
            let before = self.clone();
            if self.named(program, &[]).is_err() {
                // It may be one later, for reasons that were not kept.
                *self = Gather { looked: None, ..before };
            }
        }
        for path in &request.also {
            self.also(&lookup::plain(&request.cwd.join(path)))?;
        }
        match &self.lacking {
            None if !request.packages.is_empty() => {
                return Err(CaptureError::NoPython { packages: request.packages.clone() });
            }
            Some((python, lacking)) => {
                if let Some(package) = lacking.first() {
                    return Err(CaptureError::NoPackage { package: package.clone(), interpreter: python.clone() });
                }
            }
            None => {}
        }
        self.look_where_loaders_do();
        self.locales()?;
        self.list_directories()?;
        self.places.walk(&request.cwd)?;
        self.places.merged()?;
        Ok(started)
    }

    /// Adds a program as a shell would find it.
    fn named(&mut self, name: &OsStr, args: &[OsString]) -> Result<Started, CaptureError> {
        let found = self.look_up(name, &self.request.env)?;
        self.start(&found, args, 0)
    }

    /// Keeps where something was looked for.
    pub fn look(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        if let Some(looked) = &mut self.looked {
            looked.extend(paths);
        }
    }

    /// Finds a program, and keeps where it was looked for.
    fn look_up(&mut self, name: &OsStr, env: &Environment) -> Result<Found, CaptureError> {
        let found = lookup::program(name, &self.request.cwd, env)?;
        if found.directory.is_some() {
            for directory in lookup::search_path(env) {
                let directory = lookup::plain(&self.request.cwd.join(directory));
                // What is there and cannot be executed may become a program.
                let other = Some(directory.join(name)).filter(|it| it.is_symlink() || it.exists());
                let last = Some(&directory) == found.directory.as_ref();
                self.look(other.into_iter().chain([directory]));
                if last {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Adds a program with what it needs to be started with these arguments, `scripts` scripts having led to it.
    fn start(&mut self, found: &Found, args: &[OsString], scripts: u32) -> Result<Started, CaptureError> {
        let path = &found.path;
        if python::is_python(path) {
            return self.python(found, args, scripts > 0 && found.directory.is_none());
        }
        let io = |error| CaptureError::Io { path: path.clone(), error };
        let head = disk::head(path, HEAD).map_err(io)?;
        let started = Started { executable: path.clone(), name: None };
        let real = self.places.file(path)?;
        self.search.extend(found.directory.clone());
        if head.starts_with(b"\x7fELF") {
            self.program(&real)?;
            self.modules(path)?;
        } else if let Some(line) = script::first_line(path, &head)? {
            self.script(path, line, args, scripts + 1)?;
        } else if Placeholder::parse(&head).is_some() {
            return Err(CaptureError::Placeholder { path: path.clone() });
        } else {
            return Err(CaptureError::NoProgram { path: path.clone() });
        }
        Ok(started)
    }

    /// Adds who runs a script.
    fn script(
        &mut self,
        script: &Path,
        line: script::FirstLine,
        args: &[OsString],
        scripts: u32,
    ) -> Result<(), CaptureError> {
        if scripts > MOST_SCRIPTS {
            let what =
                "leads to a script that is run by a script, more often than Linux follows: name a program".into();
            return Err(CaptureError::FirstLine { script: script.into(), what });
        }
        let request = self.request;
        let by = |interpreter: &OsStr| {
            let interpreter = interpreter.to_owned();
            move |error| match error {
                // The innermost script says it best.
                CaptureError::Interpreter { .. } => error,
                error => CaptureError::Interpreter { script: script.into(), interpreter, error: Box::new(error) },
            }
        };
        let mut rest: Vec<OsString> = vec![script.into()];
        rest.extend(args.iter().cloned());
        // A path, even if it has no slash.
        let interpreter = lookup::plain(&request.cwd.join(&line.interpreter));
        let found = self.look_up(interpreter.as_os_str(), &request.env).map_err(by(line.interpreter.as_os_str()))?;
        if interpreter.file_name() != Some(OsStr::new("env")) {
            let args: Vec<OsString> = line.argument.into_iter().chain(rest).collect();
            self.start(&found, &args, scripts).map_err(by(line.interpreter.as_os_str()))?;
            return Ok(());
        }
        self.start(&found, &[], scripts).map_err(by(line.interpreter.as_os_str()))?;
        let call = script::env_call(script, line.argument.as_deref())?;
        let mut env = request.env.clone();
        env.extend(call.set);
        let found = self.look_up(&call.program, &env).map_err(by(&call.program))?;
        let args: Vec<OsString> = call.args.into_iter().chain(rest).collect();
        self.start(&found, &args, scripts).map_err(by(&call.program))?;
        Ok(())
    }

    /// Adds a file or directory that the request names, with what libraries in it need.
    fn also(&mut self, path: &Path) -> Result<(), CaptureError> {
        if path == Path::new("/") {
            return Err(CaptureError::Everything);
        }
        if path.is_dir() {
            return self.tree(path, &BTreeSet::new());
        }
        let real = self.places.file(path)?;
        if objects::is_object(&real) { self.library(&real) } else { Ok(()) }
    }

    fn locales(&mut self) -> Result<(), CaptureError> {
        let locales = toolchain::locales(&Disk, &self.request.env);
        for file in &locales.files {
            self.places.optional(file)?;
        }
        for tree in locales.trees.iter().map(PathBuf::as_path).chain([Path::new(PLAIN)]) {
            self.tree(tree, &BTreeSet::new())?;
        }
        Ok(())
    }

    /// The directories of PATH that matter.
    fn search_path(&self) -> Option<(OsString, OsString)> {
        let list = self.request.env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        let all: Vec<PathBuf> =
            lookup::directories(&list).map(|it| lookup::plain(&self.request.cwd.join(it))).collect();
        let kept = all.iter().filter(|it| self.search.contains(*it));
        // Those that PATH does not name come from where programs are without it.
        let others = self.search.iter().filter(|it| !all.contains(it));
        let mut kept: Vec<&PathBuf> = self.path_first.iter().chain(kept).chain(others).collect();
        let mut seen = BTreeSet::new();
        kept.retain(|directory| seen.insert(*directory));
        let list = lookup::list(kept.into_iter().map(PathBuf::as_path));
        (!list.as_bytes().is_empty()).then(|| ("PATH".into(), list))
    }

    fn finish(mut self, started: Started) -> Result<Captured, CaptureError> {
        let search = self.search_path().into_iter().chain(self.library_path());
        let search: Vec<_> = search.collect();
        self.env.extend(search);
        let name = started.name.unwrap_or_else(|| self.request.program.clone());
        let executable = AbsPath::new(&started.executable)
            .map_err(|_| CaptureError::Missing { path: started.executable.clone() })?;
        Ok(Captured {
            executable,
            args: [name].into_iter().chain(self.request.args.iter().cloned()).collect(),
            decisive: self.decisive,
            looked: self.looked.map(|mut looked| {
                looked.extend(self.places.absent.iter().cloned());
                looked
            }),
            needs: self.places.finish()?,
            env: self.env,
            notes: self.notes.into_iter().collect(),
        })
    }
}
