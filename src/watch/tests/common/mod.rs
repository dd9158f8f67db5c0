//! A build directory with placeholders, and a guard that knows what they stand for.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gg_watch::{Access, FileId, Guard, Watch, spawn};

#[derive(Clone)]
pub struct Product {
    pub content: Vec<u8>,
    pub mode: u32,
    pub delay: Duration,
    pub errno: Option<i32>,
}

impl Product {
    pub fn of(content: impl AsRef<[u8]>) -> Product {
        Product { content: content.as_ref().to_vec(), mode: 0o644, delay: Duration::ZERO, errno: None }
    }

    pub fn program(content: impl AsRef<[u8]>) -> Product {
        Product { mode: 0o755, ..Product::of(content) }
    }
}

#[derive(Default)]
pub struct Known {
    files: Mutex<HashMap<FileId, Product>>,
    pub produced: Mutex<Vec<(PathBuf, Access)>>,
    pub renames: Mutex<Vec<(PathBuf, PathBuf)>>,
    pub programs: Mutex<Vec<PathBuf>>,
    /// What is executed in place of what.
    pub instead: Mutex<HashMap<PathBuf, CString>>,
    pub now: AtomicUsize,
    pub most: AtomicUsize,
}

impl Guard for Known {
    fn concerns(&self, file: FileId) -> bool {
        self.files.lock().unwrap().contains_key(&file)
    }

    fn produce(&self, path: &Path, file: FileId, access: Access) -> Result<(), i32> {
        let Some(product) = self.files.lock().unwrap().get(&file).cloned() else { return Ok(()) };
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.produced.lock().unwrap().push((path.to_owned(), access));
        sleep(product.delay);
        self.now.fetch_sub(1, Ordering::SeqCst);
        if let Some(errno) = product.errno {
            return Err(errno);
        }
        // Once and not twice: the file must not change again under who has it already.
        let mut files = self.files.lock().unwrap();
        if files.remove(&file).is_none() {
            return Ok(());
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".real");
        fs::write(&beside, &product.content).map_err(|e| e.raw_os_error().unwrap())?;
        fs::set_permissions(&beside, Permissions::from_mode(product.mode)).map_err(|e| e.raw_os_error().unwrap())?;
        fs::rename(&beside, path).map_err(|e| e.raw_os_error().unwrap())?;
        Ok(())
    }

    fn renamed(&self, from: &Path, to: &Path) {
        assert!(from.symlink_metadata().is_ok(), "told before the rename");
        self.renames.lock().unwrap().push((from.to_owned(), to.to_owned()));
    }

    fn instead(&self, program: &Path, _: u32) -> Option<CString> {
        self.instead.lock().unwrap().get(program).cloned()
    }

    fn executed(&self, program: &Path) {
        self.programs.lock().unwrap().push(program.to_owned());
    }
}

pub struct Build {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
    pub known: Arc<Known>,
}

impl Build {
    pub fn new() -> Build {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        Build { _dir: dir, root, known: Arc::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub fn placeholder(&self, name: &str, product: Product) {
        self.write(name, "not yet");
        fs::set_permissions(self.path(name), Permissions::from_mode(product.mode)).unwrap();
        self.known.files.lock().unwrap().insert(self.id(name), product);
    }

    pub fn id(&self, name: &str) -> FileId {
        let data = fs::symlink_metadata(self.path(name)).unwrap();
        FileId { device: data.dev(), inode: data.ino() }
    }

    /// Whether the name still leads to a placeholder.
    pub fn is_placeholder(&self, name: &str) -> bool {
        self.known.concerns(self.id(name))
    }

    pub fn produced(&self) -> Vec<(String, Access)> {
        let short = |p: &PathBuf| p.strip_prefix(&self.root).unwrap_or(p).to_str().unwrap().to_owned();
        self.known.produced.lock().unwrap().iter().map(|(p, a)| (short(p), *a)).collect()
    }

    pub fn start(&self, command: &mut Command) -> (Child, Watch) {
        command.current_dir(&self.root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("LC_ALL", "C");
        spawn(command, Arc::clone(&self.known) as Arc<dyn Guard>).unwrap()
    }

    pub fn output(&self, command: &mut Command) -> Output {
        let (child, watch) = self.start(command);
        let output = child.wait_with_output().unwrap();
        assert!(watch.wait_for(Duration::from_secs(20)), "nothing is left, so the supervisor ends");
        output
    }

    /// Runs a shell command; what it said on both outputs, which must be a success.
    pub fn sh(&self, script: &str) -> String {
        let output = self.output(Command::new("sh").args(["-c", script]));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{script}: {}: {text}", output.status);
        text
    }

    /// Compiles a C program with the real compiler, unwatched.
    pub fn compile(&self, name: &str, source: &str, flags: &[&str]) {
        let file = format!("{name}.c");
        self.write(&file, source);
        let status = Command::new("gcc").arg("-o").arg(name).arg(&file).args(flags).current_dir(&self.root).status();
        assert!(status.unwrap().success(), "{name}");
    }
}

/// Waits for a thing to become true.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(5));
    }
}
