//! A directory with programs in it, and a sandbox to run what was captured.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString, c_char, c_int};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gg_capture::{Captured, Need, Request, capture};
use gg_ir::{AbsPath, Function, Input, Kind, Reference, Thunk};
use gg_store::Store;
use gg_worker::{Cancel, Job, Outcome, Pool, PoolConfig, SandboxChoice};

/// Worker processes are this test executable: before `main` and its threads, an argument turns it into one.
#[used]
#[unsafe(link_section = ".init_array")]
static BECOME_WORKER: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = become_worker;

extern "C" fn become_worker(argc: c_int, argv: *const *const c_char, _: *const *const c_char) {
    if argc == 2 && unsafe { CStr::from_ptr(*argv.add(1)) } == c"__worker" {
        gg_worker::worker_main(gg_worker::SOCKET_FD);
    }
}

/// Where programs are looked for, unless a test says otherwise.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Set, it makes sandboxes relocated that would have had namespaces.
const RELOCATED: &str = "GG_TEST_RELOCATED";

/// Whether sandboxes are relocated, which cannot run everything.
pub fn is_relocated() -> bool {
    std::env::var_os(RELOCATED).is_some()
}

/// A directory that goes with the test, with a pool of its own.
pub struct Bench {
    _dir: tempfile::TempDir,
    /// Where files are written, and programs run.
    pub root: PathBuf,
    store: Arc<Store>,
    pool: Pool,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // For the next test.
        let _ = self.store.save_stamps();
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with(if is_relocated() { SandboxChoice::Relocated } else { SandboxChoice::Namespace })
    }

    pub fn with(sandbox: SandboxChoice) -> Self {
        // Not below /tmp, which every sandbox has empty.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = dir.path().canonicalize().unwrap();
        let root = home.join("p");
        fs::create_dir(&root).unwrap();
        // Kept from test to test: a standard library is many files to read.
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capture-store");
        let store = Arc::new(Store::open(&store).unwrap());
        let pool = Pool::start(PoolConfig {
            store: store.clone(),
            processes: 1,
            scratch: home.join("scratch"),
            worker_command: vec![std::env::current_exe().unwrap().into(), "__worker".into()],
            memory_limit: None,
            sandbox,
        })
        .unwrap();
        Self { _dir: dir, root, store, pool }
    }

    /// Writes a file, with the directories above it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file that may be executed.
    pub fn script(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub fn link(&self, name: &str, target: impl AsRef<Path>) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Runs words as a command here, outside of any sandbox.
    pub fn here(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let done = Command::new(words[0]).args(&words[1..]).current_dir(&self.root).status().unwrap();
        assert!(done.success(), "{line}");
    }

    /// A request for words as a command.
    pub fn request(&self, words: &[&str]) -> Request {
        let mut request = Request::new(words[0]);
        request.args = words[1..].iter().map(OsString::from).collect();
        request.cwd = self.root.clone();
        request.env = BTreeMap::from([("PATH".into(), PATH.into())]);
        request
    }

    /// What a captured program writes to standard output in a sandbox of its own.
    pub fn says(&self, words: &[&str]) -> String {
        self.run(&self.request(words)).1
    }

    /// The same, with what was captured.
    pub fn run(&self, request: &Request) -> (Captured, String) {
        let captured = capture(request).unwrap_or_else(|error| panic!("{error}"));
        match self.outcome(&captured, request) {
            Outcome::Done(done) => {
                assert_eq!(String::from_utf8_lossy(&done.stderr), "");
                (captured, String::from_utf8(done.stdout).unwrap())
            }
            Outcome::Failed(failure) => panic!("{}\n{failure:?}", String::from_utf8_lossy(&failure.stderr)),
        }
    }

    /// How a captured program ends that has nothing but what was captured: no variable but those either.
    pub fn outcome(&self, captured: &Captured, request: &Request) -> Outcome {
        let inputs = captured.needs.iter().map(|(path, need)| (path.clone(), self.input(need))).collect();
        let function = Function {
            executable: captured.executable.clone(),
            args: captured.args.clone(),
            env: captured.env.clone(),
            cwd: AbsPath::new(&request.cwd).unwrap(),
            umask: 0o22,
        };
        let thunk = Thunk { function, inputs, outputs: BTreeMap::new(), timeout: None, volatile: false, strict: false };
        let name = thunk.name();
        let job = Job {
            thunk: &name,
            description: &thunk,
            resolved: BTreeMap::new(),
            timeout: Duration::from_secs(120),
            terminal: false,
        };
        self.pool.run(&job, &Cancel::new().unwrap()).unwrap()
    }

    fn input(&self, need: &Need) -> Input {
        match need {
            Need::File(path) => {
                let (name, stamp) = self.store.import(path).unwrap();
                Input::File { object: Reference::Value(name), mode: stamp.mode & 0o7777 }
            }
            Need::Text(content) => {
                let name = self.store.put(Kind::Value, content).unwrap();
                Input::File { object: Reference::Value(name), mode: 0o644 }
            }
            Need::Symlink(target) => Input::Symlink(target.clone()),
            Need::Tree(tree) => {
                let name = self.store.snapshot_without(&tree.directory, &|path| tree.leaves_out(path)).unwrap();
                Input::Tree(name)
            }
            Need::Directory => Input::Directory,
        }
    }

    /// What cannot be captured, as a user reads it, with the test's directory as `.`.
    pub fn error(&self, request: &Request) -> String {
        let error = capture(request).expect_err("it can be captured").to_string();
        error.replace(self.root.to_str().unwrap(), ".")
    }
}

/// What of the needs lies below a directory, as text.
pub fn below(captured: &Captured, directory: &Path) -> Vec<String> {
    let below =
        captured.needs.iter().filter_map(|(path, need)| Some((path.as_path().strip_prefix(directory).ok()?, need)));
    below
        .map(|(path, need)| match need {
            Need::File(_) => format!("{} file", path.display()),
            Need::Text(_) => format!("{} text", path.display()),
            Need::Symlink(target) => format!("{} -> {}", path.display(), target.display()),
            Need::Tree(_) => format!("{} tree", path.display()),
            Need::Directory => format!("{} directory", path.display()),
        })
        .collect()
}
