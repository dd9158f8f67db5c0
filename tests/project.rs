//! A project in a directory of its own, with a gg store of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a tree holds: path to kind, mode and content.
pub type Manifest = BTreeMap<PathBuf, (char, u32, Vec<u8>)>;

/// A project.
pub struct Project {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            status: output.status.code().or(output.status.signal().map(|signal| 128 + signal)).unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics with everything that was said unless the status is 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Project {
    /// An empty project.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gg-test-").tempdir().unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        Self { folder }
    }

    /// The project's directory.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    /// The store's directory.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A path in the project.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Reads a file of the project.
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether a file of the project is a placeholder.
    #[track_caller]
    pub fn is_placeholder(&self, name: impl AsRef<Path>) -> bool {
        gg_ir::Placeholder::parse(&self.read(name)).is_some()
    }

    /// A command to run in the project's directory, with its store, and no terminal.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GG_") || text.starts_with("MAKE") || text.starts_with("CARGO") {
                command.env_remove(&name);
            }
        }
        command.env("GG_DIR", self.store()).env("LC_ALL", "C.UTF-8");
        command
    }

    /// `gg-make` with arguments, not started.
    pub fn gg_make_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_gg-make"));
        command.args(args);
        command
    }

    /// Runs `gg-make`. Its output goes to one file, as a person's would to one terminal: a step whose output goes
    /// through a pipe of its own is awaited.
    pub fn gg_make(&self, args: &[&str]) -> Ran {
        run(&mut self.gg_make_command(args))
    }

    /// Runs `gg`.
    pub fn gg(&self, args: &[&str]) -> Ran {
        run(self.command(env!("CARGO_BIN_EXE_gg")).args(args))
    }

    /// Runs plain make.
    pub fn make(&self, args: &[&str]) -> Ran {
        run(self.command("make").args(args))
    }

    /// Runs a shell command.
    pub fn sh(&self, script: &str) -> Ran {
        run(self.command("sh").args(["-c", script]))
    }

    /// The report of the last build.
    #[track_caller]
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_str(&self.gg(&["report", "--json"]).ok().stdout).unwrap()
    }

    /// How many steps of the last build came from where: `executed`, `cached`, ...
    #[track_caller]
    pub fn served(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for step in self.report()["steps"].as_array().unwrap() {
            *counts.entry(step["served"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }

    /// The labels of the steps that the last build executed, sorted, relative to the project.
    #[track_caller]
    pub fn executed(&self) -> Vec<String> {
        let root = format!("{}/", self.root().display());
        let report = self.report();
        let steps = report["steps"].as_array().unwrap().iter();
        let executed = steps.filter(|step| step["served"] == "executed");
        let mut labels: Vec<_> = executed.map(|step| step["label"].as_str().unwrap().replace(&root, "")).collect();
        labels.sort();
        labels
    }

    /// Why calls of the last build ran here, one line each.
    #[track_caller]
    pub fn ran_here(&self) -> Vec<String> {
        let report = self.report();
        let here = report["here"].as_array().unwrap().iter();
        here.map(|call| format!("{}: {}", call["command"].as_str().unwrap(), call["reason"].as_str().unwrap()))
            .collect()
    }

    /// What the tree holds.
    pub fn manifest(&self) -> Manifest {
        let mut found = Manifest::new();
        collect(&self.root(), &self.root(), &mut found);
        found
    }

    /// Builds with plain make from the present state, twice, goes back, builds with `gg-make`, and panics unless it leaves
    /// the same tree, in all that the two plain builds agree on, and the same exit status.
    #[track_caller]
    pub fn same_as_make(&self, args: &[&str]) -> Ran {
        let saved = self.folder.path().join("saved");
        copy(&self.root(), &saved);
        let mut plain = Vec::new();
        for _ in 0..2 {
            let ran = self.make(args);
            plain.push((ran, self.manifest()));
            fs::remove_dir_all(self.root()).unwrap();
            copy(&saved, &self.root());
        }
        fs::remove_dir_all(&saved).unwrap();
        let ran = self.gg_make(args);
        let (again, (first, mut want)) = (plain.pop().unwrap().1, plain.pop().unwrap());
        let said = format!("make:\n{}{}\ngg-make:\n{}{}", first.stdout, first.stderr, ran.stdout, ran.stderr);
        assert_eq!(ran.status, first.status, "{said}");
        let mut got = self.manifest();
        let unstable: Vec<_> = want.iter().filter(|(path, entry)| again.get(*path) != Some(entry)).collect();
        for path in unstable.into_iter().map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            assert!(got.remove(&path).is_some(), "missing: {}", path.display());
            want.remove(&path);
        }
        assert_same(&want, &got);
        ran
    }
}

/// Panics with the paths that differ, if any do.
#[track_caller]
pub fn assert_same(want: &Manifest, got: &Manifest) {
    let mut wrong = Vec::new();
    for (path, entry) in want {
        match got.get(path) {
            None => wrong.push(format!("missing: {}", path.display())),
            Some(other) if other.1 != entry.1 => {
                wrong.push(format!("mode of {}: {:o}, not {:o}", path.display(), other.1, entry.1));
            }
            Some(other) if other != entry => {
                let text = String::from_utf8_lossy(&other.2[..other.2.len().min(300)]).into_owned();
                wrong.push(format!("differs: {}: {text}", path.display()));
            }
            Some(_) => {}
        }
    }
    wrong.extend(got.keys().filter(|path| !want.contains_key(*path)).map(|path| format!("extra: {}", path.display())));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn collect(root: &Path, folder: &Path, found: &mut Manifest) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let info = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_path_buf();
        let mode = info.mode() & 0o7777;
        if info.is_symlink() {
            use std::os::unix::ffi::OsStrExt;
            found.insert(name, ('l', 0, fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()));
        } else if info.is_dir() {
            found.insert(name, ('d', mode, Vec::new()));
            collect(root, &path, found);
        } else {
            found.insert(name, ('f', mode, fs::read(&path).unwrap()));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Runs a command to its end; standard output and error go to files, which are no pipes and have no reader.
pub fn run(command: &mut Command) -> Ran {
    let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let append = |file: &tempfile::NamedTempFile| fs::OpenOptions::new().append(true).open(file.path()).unwrap();
    let status = command.stdout(append(&out)).stderr(append(&err)).status().unwrap();
    Ran::of(&Output { status, stdout: fs::read(out.path()).unwrap(), stderr: fs::read(err.path()).unwrap() })
}
