//! A store, a pool, and thunks made of scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{AbsPath, Entry, Function, Input, Kind, Made, Name, Output, Reduction, Reference, Tag, Thunk, Tree};
use gg_store::Store;
use gg_worker::{Cancel, Failure, Job, Outcome, Pool, PoolConfig, SandboxChoice, WorkerError};

/// Worker processes are this test executable: before `main` and its threads, an argument turns it into one.
#[used]
#[unsafe(link_section = ".init_array")]
static BECOME_WORKER: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = become_worker;

extern "C" fn become_worker(argc: c_int, argv: *const *const c_char, _: *const *const c_char) {
    if argc == 2 && unsafe { CStr::from_ptr(*argv.add(1)) } == c"__worker" {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
}

pub fn worker_command() -> Vec<OsString> {
    vec![std::env::current_exe().unwrap().into(), "__worker".into()]
}

pub fn path(text: impl AsRef<OsStr>) -> AbsPath {
    AbsPath::new(text).unwrap()
}

pub fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// The files of some programs, and the shared libraries that they need, as one tree at the root.
pub fn toolchain(store: &Store, programs: &[&str]) -> Name {
    let mut files = BTreeSet::new();
    for program in programs {
        files.insert(std::fs::canonicalize(program).unwrap());
        let listed = Command::new("ldd").arg(program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let libraries = listed.split_ascii_whitespace().filter(|word| word.starts_with('/'));
        // Under the name by which the loader asks for them.
        files.extend(libraries.map(|lib| {
            let lib = Path::new(lib);
            std::fs::canonicalize(lib.parent().unwrap()).unwrap().join(lib.file_name().unwrap())
        }));
    }
    let mut top = Level::default();
    for link in ["bin", "lib", "lib64"] {
        top.entries.insert(link.into(), Entry::Symlink(format!("usr/{link}").into()));
    }
    let mut shell = false;
    for program in programs {
        let real = std::fs::canonicalize(program).unwrap();
        if real != Path::new(program) {
            let text = Entry::Symlink(std::fs::canonicalize(program).unwrap().into());
            top.add(&as_usr(Path::new(program)), text);
            shell |= *program == "/bin/sh";
        }
    }
    assert!(shell || !programs.contains(&"/bin/sh") || Path::new("/bin/sh").is_file());
    for file in files {
        let (content, stamp) = store.hash(&file).unwrap();
        store.note_origin(&content, &file, &stamp).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        top.add(&file, Entry::File { content, mode });
    }
    top.put(store)
}

fn as_usr(path: &Path) -> PathBuf {
    if path.starts_with("/usr") { path.to_owned() } else { Path::new("/usr").join(path.strip_prefix("/").unwrap()) }
}

#[derive(Default)]
struct Level {
    below: BTreeMap<OsString, Level>,
    entries: BTreeMap<OsString, Entry>,
}

impl Level {
    fn add(&mut self, path: &Path, entry: Entry) {
        let mut here = self;
        for name in path.parent().unwrap().iter().skip(1) {
            here = here.below.entry(name.to_owned()).or_default();
        }
        here.entries.insert(path.file_name().unwrap().to_owned(), entry);
    }

    fn put(self, store: &Store) -> Name {
        let mut tree = Tree::new();
        for (name, entry) in self.entries {
            assert!(tree.insert(name, entry));
        }
        for (name, level) in self.below {
            assert!(tree.insert(name, Entry::Tree(level.put(store))));
        }
        store.put_tree(&tree).unwrap()
    }
}

/// Set, it makes sandboxes relocated that would have had namespaces.
pub const RELOCATED: &str = "GG_TEST_RELOCATED";

pub const SHELL: &[&str] = &[
    "/bin/sh",
    "/usr/bin/cat",
    "/usr/bin/ls",
    "/usr/bin/sleep",
    "/usr/bin/mkdir",
    "/usr/bin/ln",
    "/usr/bin/chmod",
    "/usr/bin/stat",
    "/usr/bin/head",
    "/usr/bin/find",
    "/usr/bin/id",
    "/usr/bin/setsid",
    "/usr/bin/touch",
    "/usr/bin/rm",
    "/usr/bin/mknod",
    "/usr/bin/mkfifo",
    "/usr/bin/cp",
    "/usr/bin/env",
    "/usr/bin/grep",
    "/usr/bin/tty",
    "/usr/bin/mv",
    "/usr/bin/bash",
    "/usr/bin/dd",
];

pub struct Bench {
    /// Removed at the end.
    _dir: tempfile::TempDir,
    pub store: Arc<Store>,
    pub pool: Pool,
    shell: Name,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(2, SandboxChoice::Namespace)
    }

    pub fn with(processes: usize, sandbox: SandboxChoice) -> Self {
        Self::limited(processes, sandbox, None)
    }

    pub fn limited(processes: usize, sandbox: SandboxChoice, memory_limit: Option<u64>) -> Self {
        let relocated = sandbox == SandboxChoice::Namespace && std::env::var_os(RELOCATED).is_some();
        let sandbox = if relocated { SandboxChoice::Relocated } else { sandbox };
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let pool = Pool::start(PoolConfig {
            store: store.clone(),
            processes,
            scratch: dir.path().join("scratch"),
            worker_command: worker_command(),
            memory_limit,
            sandbox,
        })
        .unwrap();
        let shell = toolchain(&store, SHELL);
        Self { _dir: dir, store, pool, shell }
    }

    /// A script run by `sh` in `/p`.
    pub fn script(&self, text: &str) -> Step<'_> {
        let mut step = Step::new(self, "/bin/sh", &["sh", "-c", text]);
        step.thunk.inputs.insert(AbsPath::root(), Input::Tree(self.shell));
        step.env("PATH", "/bin")
    }
}

/// One thunk in the making.
pub struct Step<'a> {
    bench: &'a Bench,
    pub thunk: Thunk,
    pub timeout: Duration,
    pub terminal: bool,
    pub resolved: BTreeMap<Reference, Name>,
}

impl<'a> Step<'a> {
    pub fn new(bench: &'a Bench, executable: &str, args: &[&str]) -> Self {
        let function = Function {
            executable: path(executable),
            args: args.iter().map(OsString::from).collect(),
            env: BTreeMap::new(),
            cwd: path("/p"),
            umask: 0o22,
        };
        let thunk = Thunk {
            function,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            timeout: None,
            volatile: false,
            strict: false,
        };
        Self { bench, thunk, timeout: Duration::from_secs(60), terminal: false, resolved: BTreeMap::new() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.thunk.function.env.insert(name.into(), value.into());
        self
    }

    pub fn cwd(mut self, at: impl AsRef<OsStr>) -> Self {
        self.thunk.function.cwd = path(at);
        self
    }

    pub fn input(mut self, at: impl AsRef<OsStr>, input: Input) -> Self {
        self.thunk.inputs.insert(path(at), input);
        self
    }

    pub fn file(self, at: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> Self {
        self.file_mode(at, content, 0o644)
    }

    pub fn file_mode(self, at: impl AsRef<OsStr>, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let name = self.bench.store.put(Kind::Value, content.as_ref()).unwrap();
        self.input(at, Input::File { object: Reference::Value(name), mode })
    }

    pub fn output(mut self, name: &str, at: impl AsRef<OsStr>) -> Self {
        self.thunk.outputs.insert(tag(name), Output { path: path(at), optional: false, dynamic: false });
        self
    }

    pub fn optional(mut self, name: &str, at: impl AsRef<OsStr>) -> Self {
        self.thunk.outputs.insert(tag(name), Output { path: path(at), optional: true, dynamic: false });
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub fn try_run(&self, cancel: &Cancel) -> Result<Outcome, WorkerError> {
        let job = Job {
            thunk: &self.thunk.name(),
            description: &self.thunk,
            resolved: self.resolved.clone(),
            timeout: self.timeout,
            terminal: self.terminal,
        };
        self.bench.pool.run(&job, cancel)
    }

    pub fn error(&self) -> WorkerError {
        self.try_run(&Cancel::new().unwrap()).unwrap_err()
    }

    pub fn done(&self) -> Reduction {
        match self.try_run(&Cancel::new().unwrap()).unwrap() {
            Outcome::Done(reduction) => reduction,
            Outcome::Failed(failure) => panic!("{}\n{failure:?}", String::from_utf8_lossy(&failure.stderr)),
        }
    }

    pub fn failed(&self) -> Failure {
        match self.try_run(&Cancel::new().unwrap()).unwrap() {
            Outcome::Failed(failure) => failure,
            Outcome::Done(reduction) => panic!("{reduction:?}"),
        }
    }

    /// What a successful run says on standard output.
    pub fn says(&self) -> String {
        let reduction = self.done();
        assert_eq!(String::from_utf8_lossy(&reduction.stderr), "");
        String::from_utf8(reduction.stdout).unwrap()
    }

    /// The bytes of what was written.
    pub fn bytes(&self, made: &Made) -> Vec<u8> {
        self.bench.store.read(made.object.name()).unwrap()
    }
}

/// The processes of this machine whose command lines hold a text.
pub fn processes_with(text: &str) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(text.len()).any(|part| part == text.as_bytes())
        })
        .collect()
}

/// Waits, for at most some seconds, until something holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("still not: {what}");
}

/// Bytes that are no UTF-8.
pub fn raw(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
