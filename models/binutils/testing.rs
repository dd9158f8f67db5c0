//! Tests against the real tools: a scratch directory that is also the world.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::{Answer, Call, Environment, FileKind, Plan, Read, Reason, Step, World};

/// A temporary directory with the real machine around it.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Compiles C text to an object.
    pub fn object(&self, name: &str, text: &str) {
        self.file("source.c", text);
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        self.run(&["gcc", "-fPIC", "-c", "source.c", "-o", name]);
    }

    /// Runs a tool and demands success.
    pub fn run(&self, argv: &[&str]) {
        let status = Command::new(argv[0]).args(&argv[1..]).current_dir(self.directory.path()).status().unwrap();
        assert!(status.success(), "{argv:?}");
    }

    /// A call of `/usr/bin/<argv[0]>` in the directory.
    pub fn call(&self, argv: &[&str]) -> Call {
        call(argv, self.directory.path())
    }

    /// What a step reads, relative to the directory where it lies there, sorted.
    pub fn reads(&self, reads: &[Read]) -> Vec<String> {
        shown_reads(reads, self.directory.path())
    }
}

/// A call of `/usr/bin/<argv[0]>` in `cwd`.
pub(crate) fn call(argv: &[&str], cwd: &Path) -> Call {
    Call {
        tool: Path::new("/usr/bin").join(argv[0]),
        argv: argv.iter().map(OsString::from).collect(),
        cwd: cwd.to_owned(),
        env: Environment::from([("PATH".into(), "/usr/bin:/bin".into())]),
    }
}

/// The files among `reads`, relative to `base` where they lie there, sorted and once each.
pub(crate) fn shown_reads(reads: &[Read], base: &Path) -> Vec<String> {
    let mut shown: Vec<String> = reads
        .iter()
        .filter(|read| !matches!(read, Read::Directory(_)))
        .filter_map(Read::path)
        .map(|path| path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned())
        .collect();
    shown.sort();
    shown.dedup();
    shown
}

/// A table-driven test's view of a plan: `reads -> tag=path ...`, or the reason.
pub(crate) fn shown(plan: Plan, base: &Path) -> String {
    match plan {
        Plan::Thunk(Step { reads, writes, .. }) => {
            let writes: Vec<String> = writes
                .iter()
                .map(|write| {
                    let path = write.path.strip_prefix(base).unwrap_or(&write.path);
                    let marks = if write.executable { "*" } else { "" };
                    format!("{}={}{marks}", write.tag, path.display())
                })
                .collect();
            format!("{} -> {}", shown_reads(&reads, base).join(" "), writes.join(" "))
        }
        Plan::Here(reason) => format!("{reason:?}"),
    }
}

/// A step or a failed test.
pub(crate) fn step(plan: Plan) -> Step {
    match plan {
        Plan::Thunk(step) => step,
        Plan::Here(reason) => panic!("runs here: {reason:?}"),
    }
}

/// A reason or a failed test.
pub(crate) fn reason(plan: Plan) -> Reason {
    match plan {
        Plan::Here(reason) => reason,
        Plan::Thunk(step) => panic!("a step: {step:?}"),
    }
}

impl World for Scratch {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let meta = std::fs::metadata(path).ok()?;
        Some(match (meta.is_file(), meta.is_dir()) {
            (true, _) => FileKind::File,
            (_, true) => FileKind::Directory,
            _ => FileKind::Other,
        })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        // A file that starts with this stands for a placeholder that must not be forced.
        let content = std::fs::read(path)?;
        assert!(!content.starts_with(b"PENDING"), "forced {}", path.display());
        Ok(content.into())
    }

    fn head(&self, path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let content = std::fs::read(path)?;
        let pending = content.starts_with(b"PENDING");
        Ok((!pending).then(|| content[..limit.min(content.len())].to_vec()))
    }

    fn executable(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names: Vec<OsString> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
        names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        Ok(names)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(cwd).env_clear().envs(env).stdin(Stdio::null());
        let output = command.output()?;
        Ok(Answer { success: output.status.success(), stdout: output.stdout, stderr: output.stderr })
    }
}
