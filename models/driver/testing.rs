//! The machine as it is, and a scratch directory, for tests of models against the real tools.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::{Answer, Call, Environment, FileKind, World};

/// The machine itself.
pub struct Disk;

impl World for Disk {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let kind = std::fs::metadata(path).ok()?.file_type();
        Some(match (kind.is_file(), kind.is_dir()) {
            (true, _) => FileKind::File,
            (_, true) => FileKind::Directory,
            _ => FileKind::Other,
        })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        std::fs::read(path).map(Arc::from)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = std::fs::read_dir(path)?.map(|it| Ok(it?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        let out = Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(cwd)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .output()?;
        Ok(Answer { success: out.status.success(), stdout: out.stdout, stderr: out.stderr })
    }
}

/// A directory that goes with the test, and calls made in it.
pub struct Scratch {
    _dir: tempfile::TempDir,
    root: PathBuf,
    /// The environment of the calls.
    pub env: Environment,
}

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let env = Environment::from([("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())]);
        Self { _dir: dir, root, env }
    }

    /// Writes a file, with the directories above it.
    #[must_use]
    pub fn with(self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A call of the first word's tool, as PATH finds it.
    pub fn call<S: AsRef<OsStr>>(&self, words: &[S]) -> Call {
        let argv: Vec<OsString> = words.iter().map(|word| word.as_ref().to_owned()).collect();
        let tool = Path::new("/usr/bin").join(&argv[0]);
        Call { tool, argv, cwd: self.root.clone(), env: self.env.clone() }
    }

    /// Runs a call; panics with what it printed when it fails.
    pub fn run(&self, call: &Call) {
        let mut argv = call.argv.clone();
        argv[0] = call.tool.clone().into();
        let answer = Disk.ask(&argv, &call.cwd, &call.env).unwrap();
        assert!(answer.success, "{argv:?}: {}", String::from_utf8_lossy(&answer.stderr));
    }

    /// Every regular file, relative to the directory.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let mut out = BTreeSet::new();
        let mut pending = vec![self.root.clone()];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    out.insert(path.strip_prefix(&self.root).unwrap().to_owned());
                }
            }
        }
        out
    }

    pub fn is_executable(&self, name: &Path) -> bool {
        std::fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o111 != 0
    }
}
